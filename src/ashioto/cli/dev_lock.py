"""Keeps a second `rc dev` on one machine away from a log: two would both send heartbeats and write bars."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ashioto.errors import LogBusyError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class DevRunningError(LogBusyError):
    """Says that another `rc dev` runs on the same log."""

    exit_code = 5


@contextmanager
def dev_lock(log: Path, *, place: str = "") -> Iterator[None]:
    """Hold the lock of a log's `rc dev`; the system lets go of it when the process ends, however it ends.

    Args:
        log: What stands on this machine for the log; its folder is made.
        place: Where the log is, for people, if that is elsewhere.

    Raises:
        DevRunningError: Another process holds it; names the process.
    """
    file = _lock_file(log)
    file.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        if not _locked(descriptor):
            raise DevRunningError(
                f"another rc dev (process {_holder(descriptor)}) runs on {place or log}",
                hint="use that one, or stop it first",
            )
        os.ftruncate(descriptor, 0)
        os.write(descriptor, str(os.getpid()).encode())
        yield
    finally:
        os.close(descriptor)


def running(log: Path) -> str | None:
    """Return the process number of the `rc dev` that runs on a log, or None when there is none."""
    file = _lock_file(log)
    if not file.exists():
        return None
    descriptor = os.open(file, os.O_RDWR)
    try:
        return None if _locked(descriptor) else _holder(descriptor)
    finally:
        os.close(descriptor)


def _lock_file(log: Path) -> Path:
    return log.with_name(f"{log.name}.dev")


def _holder(descriptor: int) -> str:
    return os.pread(descriptor, 32, 0).decode() or "unknown"


def _locked(descriptor: int) -> bool:
    """Take the lock if it is free; closing the file lets go of it."""
    if sys.platform == "win32":  # no advisory locks there: nothing is kept away
        return True
    import fcntl

    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
