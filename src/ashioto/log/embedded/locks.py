"""Finds out which process writes to an embedded log, by the locks that the system knows."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

_WRITE_LOCK: Final = 120
"""The byte of the `-shm` file that SQLite locks while it writes in WAL mode; part of its file format."""


def writer_of(path: Path) -> int | None:
    """Return the number of the process that is writing to a log now, or None where that is not known.

    Args:
        path: The file of the log.
    """
    try:
        found = path.with_name(f"{path.name}-shm").stat()
        locks = Path("/proc/locks").read_text("ascii")
    except OSError:
        return None
    file = f"{os.major(found.st_dev):02x}:{os.minor(found.st_dev):02x}:{found.st_ino}"
    return lock_holder(locks, file, _WRITE_LOCK)


def lock_holder(locks: str, file: str, byte: int) -> int | None:
    """Return the number of the process that holds the write lock on a byte of a file, or None.

    Args:
        locks: What `/proc/locks` says.
        file: Major and minor number of the device and number of the file, as they are written there.
        byte: Which byte.

    >>> lock_holder("1: POSIX  ADVISORY  WRITE 4711 fe:00:99 120 120", "fe:00:99", 120)
    4711
    """
    for line in locks.splitlines():
        words = line.split()
        if words[1:2] != ["POSIX"] or words[3] != "WRITE" or words[5] != file:
            continue
        last = byte if words[7] == "EOF" else int(words[7])
        if int(words[6]) <= byte <= last:
            return int(words[4])
    return None
