"""Keeps a program's classes in the form that Java loads fastest: starts after the first cost half."""

from __future__ import annotations

import fcntl
import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ashioto.errors import StackError

if TYPE_CHECKING:
    from collections.abc import Callable

    from ashioto.testing.stack.java import Java

_AOT: Final = 25
"""From this Java on the archive needs no other archive that comes with Java; some come without."""


def class_archive(home: Path, java: Java, make: Callable[[Path], None]) -> Path | None:
    """Return Java's archive of the classes in a folder, made at the first call; None when it cannot be made.

    Java itself holds it against the files that it was made from, and does without it when they differ. Where making it
    failed once, it is not tried again.

    Args:
        home: The folder of the files; the archive is put there too, under a hidden name.
        java: Which Java it is for.
        make: Makes it at a path; a folder where there are several, with hidden names in it.
    """
    program = Path(java.command).resolve()
    key = hashlib.sha256(f"{program} {program.stat().st_mtime_ns}".encode()).hexdigest()[:12]
    archive = home / f".classes-{java.version}-{key}.jsa"
    if archive.exists():
        return archive
    descriptor = os.open(home / ".classes.lock", os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        tried = archive.exists() or archive.with_suffix(".none").exists()
        if not tried and not _made(archive, make):
            archive.with_suffix(".none").touch()
        return archive if archive.exists() else None
    finally:
        os.close(descriptor)


def using(java: Java, archive: Path) -> str:
    """Return Java's option to load classes from an archive.

    >>> from ashioto.testing.stack.java import Java
    >>> using(Java(command="java", version=17), Path("x"))
    '-XX:SharedArchiveFile=x'
    """
    return f"-XX:{'AOTCache' if java.version >= _AOT else 'SharedArchiveFile'}={archive}"


def writing(java: Java, archive: Path) -> list[str]:
    """Return Java's options to write an archive when a program ends.

    >>> from ashioto.testing.stack.java import Java
    >>> writing(Java(command="java", version=25), Path("x"))
    ['-XX:AOTCacheOutput=x', '-Xlog:disable']
    """
    return [f"-XX:{'AOTCacheOutput' if java.version >= _AOT else 'ArchiveClassesAtExit'}={archive}", "-Xlog:disable"]


def _made(archive: Path, make: Callable[[Path], None]) -> bool:
    unfinished = archive.with_suffix(".unfinished")
    try:
        make(unfinished)
        unfinished.replace(archive)
    except (OSError, StackError):
        return False
    return True
