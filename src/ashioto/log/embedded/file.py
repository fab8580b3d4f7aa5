"""Opens the SQLite file of a log: what is refused, how it is tuned, which tables it has."""

from __future__ import annotations

import re
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

import apsw

from ashioto.clock import SystemClock
from ashioto.errors import LogError
from ashioto.log.embedded.errors import log_errors, no_log, truncated

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ashioto.clock import Clock

_MAGIC: Final = b"SQLite format 3\x00"
_HEADER: Final = 100
_RETRY_S: Final = 0.01
_NETWORK: Final = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "smbfs", "afs", "ceph", "glusterfs", "fuse.glusterfs", "fuse.sshfs", "fuse.s3fs",
     "fuse.rclone", "lustre", "ncpfs", "ocfs2", "gfs2", "davfs", "fuse.davfs2", "beegfs"}
)  # fmt: skip
_FIRST: Final = """
CREATE TABLE meta(name TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE topics(
  topic_id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, partitions INTEGER NOT NULL, cleanup TEXT NOT NULL,
  schema BLOB NOT NULL, retention_ms INTEGER);
CREATE TABLE partitions(
  topic_id INTEGER, partition INTEGER, start_offset INTEGER NOT NULL, end_offset INTEGER NOT NULL,
  PRIMARY KEY(topic_id, partition)) WITHOUT ROWID;
CREATE TABLE batches(
  topic_id INTEGER, partition INTEGER, base_offset INTEGER, count INTEGER NOT NULL, ts INTEGER NOT NULL,
  payload BLOB NOT NULL, PRIMARY KEY(topic_id, partition, base_offset)) WITHOUT ROWID;
CREATE TABLE newest(
  topic_id INTEGER, key BLOB, "offset" INTEGER NOT NULL, ts INTEGER NOT NULL, value BLOB NOT NULL,
  PRIMARY KEY(topic_id, key)) WITHOUT ROWID;
CREATE TABLE fences(name TEXT PRIMARY KEY, epoch INTEGER NOT NULL) WITHOUT ROWID;
"""
_LEASES_AND_ALTER: Final = """
CREATE TABLE leases(
  name TEXT PRIMARY KEY, epoch INTEGER NOT NULL, holder TEXT, pid INTEGER NOT NULL, started INTEGER NOT NULL,
  boot TEXT NOT NULL, space TEXT NOT NULL, expires_ms INTEGER NOT NULL) WITHOUT ROWID;
ALTER TABLE topics ADD COLUMN stored TEXT;
INSERT INTO meta VALUES('catalogue', 0);
"""
_TAIL: Final = """
CREATE TABLE tail(
  topic_id INTEGER, place INTEGER, partition INTEGER NOT NULL, base_offset INTEGER NOT NULL, count INTEGER NOT NULL,
  ts INTEGER NOT NULL, PRIMARY KEY(topic_id, place)) WITHOUT ROWID;
"""
_STEPS: Final = (_FIRST, _LEASES_AND_ALTER, _TAIL)
"""Step n makes a file of format n out of one of format n - 1; a new file takes them all."""
FORMAT: Final = len(_STEPS)


def open_file(path: Path, *, clock: Clock, busy_timeout_ms: int) -> None:
    """Make the file a log if it is new, and check that it is one.

    Args:
        path: The file; its folder exists.
        clock: Waits while another process opens the same new file.
        busy_timeout_ms: How long to wait for other processes.

    Raises:
        LogCorruptError: It is truncated, damaged or something else.
        LogError: It is a folder, cannot be written, lies on a network file system, or is of a newer version.
    """
    _check_place(path)
    # A checkpoint of another process may lie between two reads, so only what is seen twice counts.
    if (_size_wanted(path) is not None) and (wanted := _size_wanted(path)) is not None:
        raise truncated(path, size=path.stat().st_size, wanted=wanted)
    deadline = clock.monotonic() + busy_timeout_ms / 1000
    while True:
        # Another process that switches the new file to WAL makes SQLite give up at once, without its own waiting.
        with log_errors(path), connected(path, busy_timeout_ms) as connection:
            try:
                connection.execute("PRAGMA journal_mode=WAL")
                _check_tables(path, connection)
            except apsw.BusyError:
                if clock.monotonic() >= deadline:
                    raise
            else:
                return
        clock.sleep(_RETRY_S)


def connect(path: Path, busy_timeout_ms: int) -> apsw.Connection:
    """Open one connection that syncs every commit.

    Args:
        path: The file.
        busy_timeout_ms: How long to wait for other processes.
    """
    connection = apsw.Connection(str(path))
    connection.set_busy_timeout(busy_timeout_ms)
    connection.execute(
        "PRAGMA page_size=8192; PRAGMA synchronous=FULL; PRAGMA wal_autocheckpoint=16384; PRAGMA cache_size=-16000;"
        "PRAGMA journal_size_limit=67108864; PRAGMA temp_store=MEMORY"
    )
    return connection


def poll_for_lock(connection: apsw.Connection, *, every_ms: int, timeout_ms: int) -> None:
    """Make a connection ask for the file at even intervals; SQLite's own way asks ever less often, and then loses.

    Args:
        connection: Which.
        every_ms: How often it asks.
        timeout_ms: How long it waits.
    """

    def waits(tries: int) -> bool:
        if tries * every_ms >= timeout_ms:
            return False
        SystemClock().sleep(every_ms / 1000)  # other processes are waited for in real time
        return True

    connection.set_busy_handler(waits)


@contextmanager
def connected(path: Path, busy_timeout_ms: int) -> Iterator[apsw.Connection]:
    """Open a connection for as long as the block runs."""
    connection = connect(path, busy_timeout_ms)
    try:
        yield connection
    finally:
        connection.close()


def fetch(connection: apsw.Connection, sql: str, bindings: tuple[object, ...] = ()) -> list[Any]:
    """Return all rows of a query, as tuples.

    >>> fetch(apsw.Connection(":memory:"), "SELECT 1, ?", ("a",))
    [(1, 'a')]
    """
    return connection.execute(sql, cast("Any", bindings)).fetchall()


@contextmanager
def transaction(connection: apsw.Connection) -> Iterator[None]:
    """Write all that the block writes, durably, or nothing of it."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")


def _check_place(path: Path) -> None:
    if path.is_dir():
        raise LogError(f"the log {path} is a folder", hint="name a file", file=str(path))
    if not path.parent.is_dir():
        raise LogError(f"the folder of the log {path} does not exist", hint="create it first", file=str(path))
    mounts = Path("/proc/self/mountinfo")
    if not mounts.exists():
        return
    kind = file_system(path.resolve(), mounts.read_text("utf-8"))
    if kind in _NETWORK:
        raise LogError(
            f"the log {path} lies on a network file system ({kind}), whose locks do not hold",
            hint="put it on a local disk",
            file=str(path),
        )


def file_system(path: Path, mounts: str) -> str:
    """Return the type of the file system that a path lies on; empty when no mount covers it.

    Args:
        path: An absolute path without links.
        mounts: What `/proc/self/mountinfo` says.

    >>> from pathlib import Path
    >>> mounts = "21 1 8:1 / / rw - ext4 /dev/sda1 rw" + chr(10) + "22 21 0:9 / /mnt/far rw - nfs4 host:/x rw"
    >>> file_system(Path("/mnt/far/log.db"), mounts), file_system(Path("/mnt/near/log.db"), mounts)
    ('nfs4', 'ext4')
    """
    best, kind = -1, ""
    for line in mounts.splitlines():
        left, _, right = line.partition(" - ")
        place = Path(re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), left.split(" ")[4]))
        if path.is_relative_to(place) and len(place.parts) >= best:
            best, kind = len(place.parts), right.split(" ", 1)[0]
    return kind


def _size_wanted(path: Path) -> int | None:
    """Return the size that the header tells, of a file that is shorter and has no WAL content to come."""
    wal = path.with_name(path.name + "-wal")
    try:
        if not path.exists() or (wal.exists() and wal.stat().st_size):
            return None
        with path.open("rb") as file:
            header = file.read(_HEADER)
            size = path.stat().st_size
    except OSError as error:
        raise LogError(f"the log {path} cannot be read: {error.strerror}", file=str(path)) from error
    if header and header[:16] != _MAGIC:
        raise no_log(path)
    page_size = int.from_bytes(header[16:18], "big")
    wanted = int.from_bytes(header[28:32], "big") * (65536 if page_size == 1 else page_size)
    return wanted if header and size < max(wanted, _HEADER) else None


def _check_tables(path: Path, connection: apsw.Connection) -> None:
    if _format(path, connection) < FORMAT:
        with transaction(connection):
            for step in _STEPS[_format(path, connection) :]:
                connection.execute(step)
            connection.execute("REPLACE INTO meta VALUES('format', ?)", (FORMAT,))
    if not {"meta", "topics", "partitions", "batches", "newest", "fences", "leases", "tail"} <= _tables(connection):
        raise no_log(path)


def _format(path: Path, connection: apsw.Connection) -> int:
    """Return the format of the file; 0 when it is new."""
    tables = _tables(connection)
    if not tables:
        return 0
    if "meta" not in tables:
        raise no_log(path)
    found = [value for (value,) in fetch(connection, "SELECT value FROM meta WHERE name = 'format'")]
    if found not in [[number] for number in range(1, FORMAT + 1)]:
        raise LogError(
            f"the log {path} has format {found[0] if found else 'unknown'}; this version reads 1 to {FORMAT}",
            hint="use the version of ashioto that wrote it, or a newer one",
            file=str(path),
        )
    return int(found[0])


def _tables(connection: apsw.Connection) -> set[str]:
    return {name for (name,) in fetch(connection, "SELECT name FROM sqlite_master WHERE type = 'table'")}
