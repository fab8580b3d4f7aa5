"""The newest record of each key of a compact topic, in a SQLite file that outlives the process.

It is a copy: what is in it can be read again from the topic. A topic that was deleted and made again has a file of
its own, since the number of the topic is part of the name. Several processes may share a file: positions and records
are written and read together, and whoever comes late leaves out what another has written. Nothing is taken in that does
not go on where the file ends: what lay between would be missing for good.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, cast

import apsw
import numpy as np
import pyarrow as pa

from ashioto.errors import LogError, LogFullError
from ashioto.log.base import ViewPage

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from ashioto.log.kafka.topics import Topic
    from ashioto.log.kafka.values import Values

_BUSY_MS: Final = 30_000
_MOST_RANGES: Final = 64
_TABLES: Final = """
CREATE TABLE IF NOT EXISTS newest(
  key BLOB PRIMARY KEY, partition INTEGER NOT NULL, "offset" INTEGER NOT NULL, ts INTEGER NOT NULL,
  value BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS positions(
  partition INTEGER PRIMARY KEY, "offset" INTEGER NOT NULL, seen_ms INTEGER NOT NULL);
"""
Record = tuple[bytes, int, int, bytes | None]
"""Key, offset, time and value; no value deletes the key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Own:
    """Says where in a partition there are only records that this process has written.

    Args:
        start: Offset of the first.
        stop: Offset behind the last, and what stands behind it.
        ranges: The smallest and the largest of their keys, of each stretch in which they ascend.

    >>> Own(start=0, stop=3, ranges=((b"a", b"c"),)).joined(Own(start=3, stop=5, ranges=((b"d", b"e"),)))
    Own(start=0, stop=5, ranges=((b'a', b'e'),))
    """

    start: int
    stop: int
    ranges: tuple[tuple[bytes, bytes], ...]

    def is_beside(self, start: bytes | None, stop: bytes | None) -> bool:
        """Return whether none of their keys can be in `[start, stop)`."""
        return all(
            (stop is not None and stop <= low) or (start is not None and start > high) for low, high in self.ranges
        )

    def joined(self, other: Own) -> Own:
        """Return both as one where they touch, else the one that stands behind."""
        first, last = (self, other) if self.start <= other.start else (other, self)
        if first.stop != last.start:
            return last
        ranges = [*first.ranges]
        for low, high in last.ranges:
            if ranges[-1][1] <= low:
                ranges[-1] = ranges[-1][0], high
            else:
                ranges.append((low, high))
        if len(ranges) > _MOST_RANGES:
            ranges = [(min(low for low, _ in ranges), max(high for _, high in ranges))]
        return Own(start=first.start, stop=last.stop, ranges=tuple(ranges))


class ViewFile:
    """Keeps the newest record of each key of one topic.

    Args:
        folder: Where the file is.
        topic: The topic.
    """

    def __init__(self, folder: Path, topic: Topic) -> None:
        self.path = folder / f"{topic.real}.{topic.id}.db"
        self.topic_id = topic.id
        self._topic = topic
        self._lock = threading.Lock()
        self.own: dict[int, Own] = {}
        """By partition, where this process has written much that may not be in the file."""
        self.is_asked = False
        """Whether somebody has asked for a page since this process wrote to the topic."""
        with _errors(self.path):
            self._connection = self._opened(folder)

    def position(self, partition: int, now_ms: int) -> int:
        """Return up to which offset a partition is in the file.

        All is read anew where the file was left alone for so long that the topic may have forgotten a deletion.

        Args:
            partition: Number of the partition.
            now_ms: The time.
        """
        with self._lock, _errors(self.path):
            offset, seen_ms = self._stands(partition)
            if not self._is_outdated(seen_ms, now_ms):
                return offset
            with self._transaction():
                offset, seen_ms = self._stands(partition)
                if self._is_outdated(seen_ms, now_ms):  # and nobody else has read it anew meanwhile
                    self._clear(partition)
                    offset = 0
        return offset

    def clear(self, partition: int, known: int) -> int:
        """Forget a partition, unless somebody else has changed it meanwhile.

        Args:
            partition: Number of the partition.
            known: Up to which offset it was in the file.

        Returns:
            Up to which offset it is in the file now.
        """
        with self._lock, _errors(self.path), self._transaction():
            offset, _ = self._stands(partition)
            if offset != known:
                return offset
            self._clear(partition)
        return 0

    def put(self, partition: int, records: Sequence[Record], start: int, stop: int, now_ms: int) -> int:
        """Take in records, where the partition is in the file up to them at least.

        Args:
            partition: Number of the partition.
            records: All at `[start, stop)`, in the order of their offsets.
            start: From which offset on these are all.
            stop: Up to which offset there are no more.
            now_ms: The time at which they were read.

        Returns:
            Up to which offset the partition is in the file now: below `start` where nothing was taken in.
        """
        with self._lock, _errors(self.path), self._transaction():
            known, _ = self._stands(partition)
            if not start <= known < stop:
                return known
            newest = {key: (offset, at, value) for key, offset, at, value in records if offset >= known}
            alive = sorted((k, partition, o, at, v) for k, (o, at, v) in newest.items() if v is not None)
            self._connection.executemany("REPLACE INTO newest VALUES(?, ?, ?, ?, ?)", alive)
            gone = [(key,) for key, (_, _, value) in newest.items() if value is None]
            self._connection.executemany("DELETE FROM newest WHERE key = ?", gone)
            self._connection.execute("REPLACE INTO positions VALUES(?, ?, ?)", (partition, stop, now_ms))
        return stop

    def seen(self, partition: int, now_ms: int) -> None:
        """Note that a partition is in the file as it is; a minute more or less does not count."""
        sql = "UPDATE positions SET seen_ms = ?2 WHERE partition = ?1 AND seen_ms < ?2 - 60000"
        with self._lock, _errors(self.path):
            if self._all("SELECT 1 FROM positions WHERE partition = ?1 AND seen_ms < ?2 - 60000", (partition, now_ms)):
                self._connection.execute(sql, (partition, now_ms))

    def page(
        self, topic: Topic, values: Values, wanted: Mapping[int, int], *, start: bytes | None, stop: bytes | None,
        limit: int | None, reverse: bool,
    ) -> ViewPage | None:  # fmt: skip
        """Return the newest record of each key in `[start, stop)`, in key order.

        Args:
            topic: The topic as it is now.
            values: Decodes the values.
            wanted: Up to which offset each partition must be in the file.
            start: The first key, or None.
            stop: The key behind the last, or None.
            limit: At most so many; None for all.
            reverse: From the last key to the first.

        Returns:
            The records; None where a partition is not in the file so far, since somebody else has it read anew.
        """
        bounds = [("key >= ?", start), ("key < ?", stop)]
        given = [(text, value) for text, value in bounds if value is not None]
        where = " WHERE " + " AND ".join(text for text, _ in given) if given else ""
        order = "DESC" if reverse else "ASC"
        sql = f'SELECT key, "offset", ts, value FROM newest{where} ORDER BY key {order} LIMIT ?'  # noqa: S608 (fixed words only)
        with self._lock, _errors(self.path), self._transaction("BEGIN"):
            self.is_asked = True
            if any(self._stands(partition)[0] < end for partition, end in wanted.items()):
                return None
            rows = self._all(sql, (*(value for _, value in given), -1 if limit is None else limit))
        found = values.decode(topic, pa.array([row[3] for row in rows], pa.large_binary()))
        if found.reasons:  # it could be read when it came; another schema has been registered since
            rows = [row for number, row in enumerate(rows) if number not in found.reasons]
            found = values.decode(topic, pa.array([row[3] for row in rows], pa.large_binary()))
        return ViewPage(
            keys=[row[0] for row in rows],
            offsets=np.array([row[1] for row in rows], dtype=np.int64),
            timestamps=np.array([row[2] for row in rows], dtype=np.int64),
            data=found.data,
        )

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()

    def _opened(self, folder: Path) -> apsw.Connection:
        folder.mkdir(parents=True, exist_ok=True)
        try:
            return self._connected()
        except (apsw.NotADBError, apsw.CorruptError):
            _remove(self.path)
            return self._connected()
        finally:
            for other in folder.glob(f"{self._topic.real}.*.db"):
                if other != self.path and other.name.count(".") == self.path.name.count("."):
                    _remove(other)

    def _connected(self) -> apsw.Connection:
        connection = apsw.Connection(str(self.path))
        connection.set_busy_timeout(_BUSY_MS)
        connection.execute("PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA journal_size_limit=16777216")
        connection.execute(_TABLES)
        return connection

    def _stands(self, partition: int) -> tuple[int, int | None]:
        """Return up to which offset a partition is in the file, and when that was seen, ms; None for never."""
        rows = self._all('SELECT "offset", seen_ms FROM positions WHERE partition = ?', (partition,))
        return (int(rows[0][0]), int(rows[0][1])) if rows else (0, None)

    def _is_outdated(self, seen_ms: int | None, now_ms: int) -> bool:
        return seen_ms is not None and now_ms - seen_ms > self._topic.deletes_kept_ms // 2

    def _clear(self, partition: int) -> None:
        self._connection.execute("DELETE FROM newest WHERE partition = ?", (partition,))
        self._connection.execute("DELETE FROM positions WHERE partition = ?", (partition,))

    def _all(self, sql: str, bindings: tuple[object, ...]) -> list[Any]:
        return self._connection.execute(sql, cast("Any", bindings)).fetchall()

    @contextmanager
    def _transaction(self, begin: str = "BEGIN IMMEDIATE") -> Iterator[None]:
        self._connection.execute(begin)
        try:
            yield
            self._connection.execute("COMMIT")
        finally:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")


def _remove(path: Path) -> None:
    for end in ("", "-wal", "-shm"):
        with suppress(OSError):
            path.with_name(path.name + end).unlink()


@contextmanager
def _errors(path: Path) -> Iterator[None]:
    try:
        yield
    except apsw.FullError as error:
        raise LogFullError(f"no room left for the view {path}", hint="free some disk space", file=str(path)) from error
    except (apsw.Error, OSError) as error:
        raise LogError(
            f"the view {path} cannot be used: {error}", hint="delete the file; it is made anew", file=str(path)
        ) from error
