"""Turns what SQLite reports into the errors of a log."""

from __future__ import annotations

import errno
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import apsw

from ashioto.errors import LogBusyError, LogCorruptError, LogError, LogFullError
from ashioto.log.embedded.locks import writer_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_NO_ROOM: Final = {errno.ENOSPC, errno.EFBIG, errno.EDQUOT}
_RESTORE: Final = "move the file away and restore it from a copy, or start with a new one"


@contextmanager
def log_errors(path: Path, connection: apsw.Connection | None = None) -> Iterator[None]:
    """Raise errors of SQLite as those of a log.

    Args:
        path: The file, which the message names.
        connection: Where the failure's system error number is asked for.

    Raises:
        LogError: Always in place of an `apsw.Error`.

    >>> from pathlib import Path
    >>> with log_errors(Path("log.db")):
    ...     raise apsw.FullError("database or disk is full")
    Traceback (most recent call last):
    ...
    ashioto.errors.LogFullError: no room left for the log log.db; nothing of this append was written
    Hint: free some disk space, then append again
    """
    try:
        yield
    except apsw.Error as error:
        raise log_error(error, path, connection) from error


def log_error(error: apsw.Error, path: Path, connection: apsw.Connection | None = None) -> LogError:
    """Return the log's error for one of SQLite."""
    file = str(path)
    if isinstance(error, apsw.FullError) or (isinstance(error, apsw.IOError) and _no_room(connection)):
        return LogFullError(
            f"no room left for the log {path}; nothing of this append was written",
            hint="free some disk space, then append again",
            file=file,
        )
    if isinstance(error, (apsw.NotADBError, apsw.CorruptError)):
        return damaged(path, str(error))
    if isinstance(error, (apsw.BusyError, apsw.LockedError)):
        return _busy(path)
    if isinstance(error, (apsw.CantOpenError, apsw.ReadOnlyError, apsw.PermissionsError)):
        return LogError(
            f"the log {path} cannot be opened for writing: {error}",
            hint="check that the folder exists and that you may write to it and to the file",
            file=file,
        )
    return LogError(f"the log {path} failed: {error}", file=file)


def _busy(path: Path) -> LogBusyError:
    pid = writer_of(path)
    who, other = ("", "the other process") if pid is None else (f" (number {pid})", f"process {pid}")
    return LogBusyError(
        f"another process holds the log {path}{who}",
        hint=f"try again, or end {other}",
        file=str(path),
        pid=pid,
    )


def damaged(path: Path, what: str) -> LogCorruptError:
    """Return the error for a file whose content does not hold together."""
    return LogCorruptError(f"the file {path} is damaged or is no log: {what}", hint=_RESTORE, file=str(path))


def truncated(path: Path, *, size: int, wanted: int) -> LogCorruptError:
    """Return the error for a file that is shorter than its header says."""
    return LogCorruptError(f"the log {path} is truncated: {size} bytes of {wanted}", hint=_RESTORE, file=str(path))


def no_log(path: Path) -> LogCorruptError:
    """Return the error for a file that is something else."""
    return LogCorruptError(f"the file {path} is no log", hint="name another file in ashioto.toml", file=str(path))


def _no_room(connection: apsw.Connection | None) -> bool:
    return connection is not None and connection.system_errno in _NO_ROOM
