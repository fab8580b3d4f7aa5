"""The lock: every file that the test stack needs, by coordinate and sha256."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ashioto.errors import StackError

LOCK_FILE: Final = Path(__file__).with_name("jars.lock")
_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_COORDINATE: Final = re.compile(r"[\w.-]+:[\w.-]+:[\w.-]+(:[\w.-]+:[\w.-]+)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Jar:
    """One file of Maven Central that is locked.

    Args:
        sha256: Of its bytes, in hex.
        group: Maven's group.
        artifact: Maven's artifact.
        version: Maven's version.
        packaging: The ending of the file.
        classifier: Maven's classifier; empty when there is none.

    >>> Jar(sha256="", group="g", artifact="a", version="1", packaging="tar.gz", classifier="all").name
    'a-1-all.tar.gz'
    """

    sha256: str
    group: str
    artifact: str
    version: str
    packaging: str = "jar"
    classifier: str = ""

    @property
    def name(self) -> str:
        """Name of the file."""
        ending = f"-{self.classifier}" if self.classifier else ""
        return f"{self.artifact}-{self.version}{ending}.{self.packaging}"


def read_lock(text: str) -> dict[str, list[Jar]]:
    """Return the files of every set of a lock.

    Args:
        text: A line a file: `set sha256 group:artifact:version`, or `…:version:packaging:classifier`; `#` begins a
            comment line.

    Raises:
        StackError: A line says something else; names it.

    >>> [jar.name for jar in read_lock(f"kafka {'0' * 64} org.lz4:lz4-java:1.8")["kafka"]]
    ['lz4-java-1.8.jar']
    """
    sets: dict[str, list[Jar]] = {}
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split()
        if not words or line.startswith("#"):
            continue
        if len(words) != 3 or not _SHA256.fullmatch(words[1]) or not _COORDINATE.fullmatch(words[2]):
            raise StackError(
                f"line {number} of the lock is no file: {line!r}",
                hint="a line is: set sha256 group:artifact:version; take jars.lock from version control again",
                line=number,
            )
        group, artifact, version, *rest = words[2].split(":")
        packaging, classifier = rest or ("jar", "")
        jar = Jar(
            sha256=words[1], group=group, artifact=artifact, version=version, packaging=packaging, classifier=classifier
        )
        sets.setdefault(words[0], []).append(jar)
    return sets
