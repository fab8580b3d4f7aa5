"""One thing that several processes use: the first starts it, and it ends when the last of them is gone."""

from __future__ import annotations

import fcntl
import json
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@contextmanager
def shared(folder: Path, name: str, start: Callable[[Path], str]) -> Iterator[str]:
    """Give what a name stands for, started once for all processes that ask for it.

    Every user holds a shared lock, which the system lets go of however the process ends. What `start` starts must run
    until it gets the lock for itself, and then delete the file beside it that ends in `.started`.

    Args:
        folder: Where those who share meet.
        name: What they share.
        start: Starts it and returns how to reach it; gets the lock file.

    >>> import tempfile
    >>> from pathlib import Path
    >>> with tempfile.TemporaryDirectory() as place, shared(Path(place), "x", lambda lock: lock.name) as found:
    ...     with shared(Path(place), "x", lambda lock: "never started") as again:
    ...         found, again
    ('x.users', 'x.users')
    """
    folder.mkdir(parents=True, exist_ok=True)
    users = os.open(folder / f"{name}.users", os.O_RDWR | os.O_CREAT, 0o644)
    try:
        yield _reached(folder, name, users, start)
    finally:
        os.close(users)


def started_file(users: Path) -> Path:
    """Return the file that says how to reach what is started, beside its lock file.

    >>> from pathlib import Path
    >>> started_file(Path("kafka.users")).name
    'kafka.started'
    """
    return users.with_suffix(".started")


def _reached(folder: Path, name: str, users: int, start: Callable[[Path], str]) -> str:
    lock = folder / f"{name}.users"
    state = started_file(lock)
    first = os.open(folder / f"{name}.lock", os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(first, fcntl.LOCK_EX)
        fcntl.flock(users, fcntl.LOCK_SH)  # waits while something that nobody used any more is being ended
        if not state.exists():
            reached = start(lock)
            state.write_text(json.dumps(reached), encoding="utf-8")
        return str(json.loads(state.read_text(encoding="utf-8")))
    finally:
        os.close(first)
