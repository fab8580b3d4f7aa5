from __future__ import annotations

import json
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
REJECTED = sorted((HERE / "rejected").glob("*.py"))
PROGRAMS = [HERE / "accepted.py", *REJECTED]
Found = frozenset[tuple[str, int]]


@cache
def mypy() -> Found:
    cache_dir = f"--cache-dir={ROOT / '.mypy_cache' / 'typing'}"
    command = [sys.executable, "-m", "mypy", "--strict", cache_dir, *map(str, PROGRAMS)]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode in {0, 1}, run.stdout + run.stderr
    errors = re.findall(r"^(.+?):(\d+): error:", run.stdout, re.MULTILINE)
    return frozenset((Path(path).name, int(line)) for path, line in errors if path.startswith("tests/"))


@cache
def pyright() -> Found:
    command = [sys.executable, "-m", "pyright", "--pythonpath", sys.executable, "--outputjson", *map(str, PROGRAMS)]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode in {0, 1}, run.stdout + run.stderr
    found = [d for d in json.loads(run.stdout)["generalDiagnostics"] if d["severity"] == "error"]
    return frozenset((Path(d["file"]).name, d["range"]["start"]["line"] + 1) for d in found)


CHECKERS = {"mypy": mypy, "pyright": pyright}


def marked(program: Path) -> set[int]:
    lines = program.read_text().splitlines()
    return {number for number, line in enumerate(lines, start=1) if "# error" in line}


@pytest.mark.parametrize("checker", CHECKERS)
def test_the_documented_program_is_accepted(checker: str) -> None:
    assert {line for name, line in CHECKERS[checker]() if name == "accepted.py"} == set()


@pytest.mark.parametrize("checker", CHECKERS)
@pytest.mark.parametrize("program", REJECTED, ids=lambda p: p.stem)
def test_exactly_the_marked_lines_are_rejected(checker: str, program: Path) -> None:
    wanted = marked(program)
    assert len(wanted) > 5
    assert {line for name, line in CHECKERS[checker]() if name == program.name} == wanted
