"""The leases of an embedded log: rows beside its fences."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final

from ashioto.log.changes import check_lease, known_lease
from ashioto.log.embedded.errors import log_errors
from ashioto.log.embedded.file import connect, fetch, poll_for_lock, transaction
from ashioto.log.leases import Holder, Lease

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import apsw

_POLL_MS: Final = 1


class LeaseWriter:
    """Changes leases over a connection of its own, which waits for other writers only shortly.

    It asks for the file more often than they do, so that it gets its turn among busy ones.

    Args:
        path: The file of the log.
        timeout_ms: How long to wait for other writers.
    """

    def __init__(self, path: Path, timeout_ms: int) -> None:
        self._path, self._timeout_ms = path, timeout_ms
        self._lock = threading.Lock()
        self._connection: apsw.Connection | None = None

    def change(self, name: str, change: Callable[[Lease | None], Lease | None]) -> Lease | None:
        """Replace a lease in one transaction, and shut out writers of the fence of its name with a smaller epoch.

        Args:
            name: Of the lease.
            change: Gets the lease as it is, returns it as it shall be, or None to leave it.

        Raises:
            LogBusyError: Another writer holds the file for too long.
            LogError: The new lease has another name, or an epoch that goes back.
        """
        with self._lock:
            if self._connection is None:
                with log_errors(self._path):
                    self._connection = connect(self._path, self._timeout_ms)
                    poll_for_lock(self._connection, every_ms=_POLL_MS, timeout_ms=self._timeout_ms)
            with log_errors(self._path, self._connection), transaction(self._connection):
                return _changed(self._connection, name, change)

    def close(self) -> None:
        """Close the connection."""
        with self._lock, log_errors(self._path):
            if self._connection is not None:
                self._connection.close()
                self._connection = None


def find_lease(connection: apsw.Connection, name: str) -> Lease | None:
    """Return a lease, or None."""
    sql = "SELECT epoch, holder, pid, started, boot, space, expires_ms FROM leases WHERE name = ?"
    for epoch, holder, pid, started, boot, space, expires_ms in fetch(connection, sql, (name,)):
        who = None if holder is None else Holder(name=holder, pid=pid, started=started, boot=boot, space=space)
        return Lease(name=name, epoch=epoch, holder=who, expires_ms=expires_ms)
    return None


def _changed(
    connection: apsw.Connection, name: str, change: Callable[[Lease | None], Lease | None]
) -> Lease | None:  # fmt: skip
    fences = fetch(connection, "SELECT epoch FROM fences WHERE name = ?", (name,))
    fence = int(fences[0][0]) if fences else None
    known = known_lease(name, find_lease(connection, name), fence)
    wanted = change(known)
    if wanted is None:
        return None
    check_lease(name, known, wanted)
    who = wanted.holder or Holder(name="")
    connection.execute(
        "REPLACE INTO leases VALUES(?, ?, ?, ?, ?, ?, ?, ?)",
        (
            name,
            wanted.epoch,
            None if wanted.holder is None else who.name,
            who.pid,
            who.started,
            who.boot,
            who.space,
            wanted.expires_ms,
        ),
    )
    if fence is None or wanted.epoch > fence:
        connection.execute("REPLACE INTO fences VALUES(?, ?)", (name, wanted.epoch))
    return wanted
