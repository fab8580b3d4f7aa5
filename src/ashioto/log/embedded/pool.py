"""Connections that read an embedded log, used again and again."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ashioto.errors import LogError
from ashioto.log.embedded.errors import log_errors
from ashioto.log.embedded.file import connect

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import apsw


class ReaderPool:
    """Lends connections to threads that read.

    Args:
        path: The file of the log.
        busy_timeout_ms: How long they wait for other processes.

    Attributes:
        idle: Those that nobody has now.
    """

    def __init__(self, path: Path, busy_timeout_ms: int) -> None:
        self._path, self._busy_timeout_ms = path, busy_timeout_ms
        self._lock = threading.Lock()
        self._closed = False
        self.idle: list[apsw.Connection] = []

    def close(self) -> None:
        """Close the connections; those that are lent follow when they come back."""
        with self._lock:
            self._closed = True
            for connection in self.idle:
                connection.close()
            self.idle.clear()

    @contextmanager
    def reader(self) -> Iterator[apsw.Connection]:
        """Lend a connection.

        Raises:
            LogError: The log is closed.
        """
        with self._lock:
            if self._closed:
                raise closed_error(self._path)
            connection = self.idle.pop() if self.idle else None
        with log_errors(self._path, connection):
            connection = connection or connect(self._path, self._busy_timeout_ms)
            try:
                yield connection
            finally:
                self._give_back(connection)

    @contextmanager
    def snapshot(self) -> Iterator[apsw.Connection]:
        """Lend a connection that reads several times from one state of the file.

        Raises:
            LogError: The log is closed.
        """
        with self.reader() as connection:
            connection.execute("BEGIN")
            try:
                yield connection
            finally:
                if connection.in_transaction:
                    connection.execute("COMMIT")

    def _give_back(self, connection: apsw.Connection) -> None:
        with self._lock:
            if self._closed:
                connection.close()
            else:
                self.idle.append(connection)


def closed_error(path: Path) -> LogError:
    """Return the error for a log that was closed.

    >>> from pathlib import Path
    >>> print(closed_error(Path("log.db")))
    the log log.db is closed
    Hint: open it again
    """
    return LogError(f"the log {path} is closed", hint="open it again", file=str(path))
