"""Checks that every relative link in the Markdown files leads to a file, and every `#anchor` to a heading."""

from __future__ import annotations

import re
import sys
from pathlib import Path

LINK = re.compile(r"!?\[[^\]]*\]\(<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\)|(?:src|href)=\"([^\"]+)\"")
FENCE = re.compile(r"^(```|~~~).*?^\1", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"`[^`\n]*`")
HEADING = re.compile(r"^#{1,6}\s+(.+?)\s*#*$", re.MULTILINE)
SKIPPED = {".venv", ".git", "node_modules", "demo-out", "bench-out"}


def anchors(text: str) -> set[str]:
    r"""Return the anchors that the headings of a Markdown text make.

    >>> sorted(anchors("# What a bar is\n## `rc dev`"))
    ['rc-dev', 'what-a-bar-is']
    """
    headings = HEADING.findall(FENCE.sub("", text))
    return {re.sub(r"[^\w\- ]", "", h.lower()).replace(" ", "-") for h in headings}


def broken_links(file: Path) -> list[str]:
    """Return the relative links of one file that lead nowhere."""
    text = file.read_text(encoding="utf-8")
    found = []
    for match in LINK.finditer(CODE.sub("", FENCE.sub("", text))):
        link = match[1] or match[2]
        if re.match(r"[a-z][a-z0-9+.-]*:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (file.parent / path).resolve() if path else file
        if not target.exists():
            found.append(f"{file}: {link}: no such file")
        elif anchor and target.suffix == ".md" and anchor not in anchors(target.read_text(encoding="utf-8")):
            found.append(f"{file}: {link}: no such heading")
    return found


def main(root: Path) -> int:
    """Print every broken link below a folder; 1 if there is any."""
    files = sorted(f for f in root.rglob("*.md") if not SKIPPED.intersection(f.relative_to(root).parts))
    broken = [line for file in files for line in broken_links(file)]
    print("\n".join(broken) if broken else f"{len(files)} files, every link leads somewhere")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main(Path(__file__).resolve().parent.parent))
