"""Brings the key index of compact topics up to date with their tails, a little at a time.

Each transaction is small, so that appends need not wait, and may be the last one: until the batches of a portion are
struck off the tail, a view goes by the tail, whatever the index says of their keys. So several processes may index at
once, and one may end in the middle.
"""

from __future__ import annotations

import threading
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, cast

import apsw
import numpy as np
import pyarrow as pa

from ashioto.errors import LogError, UnknownTopicError
from ashioto.log.embedded.errors import log_errors
from ashioto.log.embedded.file import connect, fetch, poll_for_lock, transaction
from ashioto.log.embedded.pool import closed_error
from ashioto.log.embedded.topics import version_of
from ashioto.log.embedded.write import put_newest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ashioto.clock import Clock
    from ashioto.log.base import Ints
    from ashioto.log.embedded.tails import Tails
    from ashioto.log.embedded.topics import Catalogue, Topic
    from ashioto.log.rowcodec import RowCodec

CHECKPOINT_PAGES: Final = 2_000
_FIRST_CHUNK, _LEAST_CHUNK, _MOST_CHUNK = 1_024, 256, 16_384
_CHUNK_S: Final = 0.01
_PORTION: Final = 131_072
_POLL_MS, _TIMEOUT_MS = 2, 200
_WAITING: Final = """
SELECT name, sum(count), count(*), min(ts) FROM tail JOIN topics USING(topic_id) GROUP BY topic_id ORDER BY 4
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """Says when the tail of a topic is long enough to be indexed, and how much of it is then left.

    Records of keys that are written again every second need never be indexed: as long as a newer one is in what is
    left of the tail, an older one is not written.

    Args:
        rows: Index when more records than this wait, and leave a quarter of it.
        batches: Index when more batches than this wait, and leave a quarter of it.
        age_ms: Index when a batch has waited for longer, and leave those that have waited for less than half of it.
        most: Appends index themselves when more records than this would wait.
    """

    rows: int = 131_072
    batches: int = 256
    age_ms: int = 30_000
    most: int = 262_144

    def due(self, rows: int, batches: int, age_ms: int) -> bool:
        """Return whether a tail is long enough.

        >>> Bounds().due(131_073, 1, 0), Bounds().due(10, 10, 30_000)
        (True, False)
        """
        return rows > self.rows or batches > self.batches or age_ms > self.age_ms

    def times(self, factor: int) -> Bounds:
        """Return bounds that are so many times as wide; `most` stays."""
        return Bounds(
            rows=self.rows * factor, batches=self.batches * factor, age_ms=self.age_ms * factor, most=self.most
        )

    def taken(self, waiting: list[tuple[int, int, int]], now_ms: int) -> int:
        """Return how many of the oldest batches to index.

        Args:
            waiting: Place, rows and time of each batch, in order.
            now_ms: The time.
        """
        left_rows, left = sum(rows for _, rows, _ in waiting), len(waiting)
        taken = 0
        for at, (_, rows, ts) in enumerate(waiting):
            wanted = left_rows > self.rows // 4 or left > self.batches // 4 or 2 * (now_ms - ts) > self.age_ms
            if not wanted or (at and taken + rows > _PORTION):
                return at
            left_rows, left, taken = left_rows - rows, left - 1, taken + rows
        return len(waiting)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Portion:
    """Holds what a portion of a tail changes in the index: records to put, by key, and keys that are gone."""

    topic: Topic
    first: int
    stop: int
    keys: pa.Array
    offsets: Ints
    times: Ints
    data: pa.RecordBatch | None
    gone: list[bytes]


class Indexer:
    """Indexes tails over a connection of its own; one thread of a process at a time does.

    Its commits are not synced, since what they lose is in the tail again.

    Args:
        path: The file.
        catalogue: Knows the topics.
        tails: Knows the tails.
        writing: Held while this process writes to the file.
        clock: Says how old batches are.
    """

    def __init__(
        self, path: Path, *, catalogue: Catalogue, tails: Tails, writing: threading.Lock, clock: Clock
    ) -> None:  # fmt: skip
        self._path, self._catalogue, self._tails, self._writing, self._clock = path, catalogue, tails, writing, clock
        self._connection: apsw.Connection | None = None
        self._chunk = _FIRST_CHUNK
        self.bounds = Bounds()
        self.mine: set[str] = set()
        """Topics that this process appends to; others are left to those that do, unless these are late."""
        self.alone = threading.Lock()
        """Held by the thread that indexes."""
        self._took_s, self._hurried, self._closed = 0.0, 0, False
        self.pages = 0
        """How long the write-ahead log was after the last commit."""

    def close(self) -> None:
        """Close the connection, once the thread that indexes is done."""
        with self.alone, log_errors(self._path):
            self._closed = True
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def look(self) -> tuple[list[str], bool]:
        """Return the topics whose tail is long enough, the oldest first, and whether there is any tail."""
        with log_errors(self._path):
            waiting = fetch(self._opened(), _WAITING)
        now_ms = self._clock.now_ms()
        bounds = {True: self.bounds, False: self.bounds.times(3)}
        due = [name for name, rows, n, ts in waiting if bounds[name in self.mine].due(rows, n, now_ms - ts)]
        return due, bool(waiting)

    def make_room(self, name: str, rows: int) -> None:
        """Index a topic until so many rows more may wait; what cannot be indexed now is left.

        Args:
            name: Of the topic.
            rows: How many are about to be appended.
        """
        self._hurried += 1
        with self.alone, suppress(LogError):
            self._hurried -= 1
            while (before := self._rows(name)) and before + rows > self.bounds.most:
                for _ in self.steps(name, Bounds(rows=0, batches=0, age_ms=0)):
                    self.checkpoint()
                if self._rows(name) >= before:
                    return

    def rest_s(self) -> float:
        """Return how long to rest after a transaction, so that others get their turn; not when one waits for more."""
        return 0.0 if self._hurried else self._took_s

    def steps(self, name: str, bounds: Bounds | None = None) -> Iterator[int]:
        """Index one portion of a topic; yields after each transaction how many keys it wrote.

        Args:
            name: Of the topic; one that does not exist has nothing to index.
            bounds: How much of the tail to leave.
        """
        portion = self._portion(name, bounds or self.bounds)
        if portion is None:
            return
        total, at = len(portion.keys) + len(portion.gone), 0
        while True:
            stop = min(at + self._chunk, total)
            if not self._write(portion, at, stop):
                return
            yield stop - at
            if stop == total:
                return
            at = stop

    def checkpoint(self) -> None:
        """Move what the write-ahead log holds into the file, when it is long."""
        if self.pages < CHECKPOINT_PAGES:
            return
        with log_errors(self._path), suppress(apsw.BusyError, apsw.LockedError):
            self._opened().wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
        self.pages = 0

    def note_pages(self, pages: int) -> None:
        """Note how long the write-ahead log is."""
        self.pages = pages

    def _opened(self) -> apsw.Connection:
        if self._closed:
            raise closed_error(self._path)
        if self._connection is None:
            self._connection = connect(self._path, _TIMEOUT_MS)
            self._connection.execute("PRAGMA synchronous=NORMAL")
            poll_for_lock(self._connection, every_ms=_POLL_MS, timeout_ms=_TIMEOUT_MS)
            self._connection.set_wal_hook(self._committed)
        return self._connection

    def _committed(self, _: apsw.Connection, __: str, pages: int) -> int:
        self.note_pages(pages)
        return apsw.SQLITE_OK

    def _rows(self, name: str) -> int:
        sql = "SELECT coalesce(sum(count), 0) FROM tail WHERE topic_id = (SELECT topic_id FROM topics WHERE name = ?)"
        with log_errors(self._path):
            return int(fetch(self._opened(), sql, (name,))[0][0])

    def _portion(self, name: str, bounds: Bounds) -> _Portion | None:
        known = self._tails.known(name)
        connection = self._opened()
        with log_errors(self._path, connection), suppress(UnknownTopicError), connection:
            topic = self._catalogue.find(connection, name)
            sql = "SELECT place, count, ts FROM tail WHERE topic_id = ? ORDER BY place"
            waiting = fetch(connection, sql, (topic.id,))
            taken = bounds.taken(waiting, self._clock.now_ms())
            tail = self._tails.find(connection, topic, known) if taken else None
            if tail is None:
                return None
            first, stop = waiting[0][0], waiting[taken - 1][0] + waiting[taken - 1][1]
            run = tail.whole()
            inside = (run.places >= first) & (run.places < stop)
            put, gone = inside & ~run.dead, inside & run.dead
            none = np.zeros(0, dtype=np.int64)
            data, offsets, times = tail.records(run.places[put]) if put.any() else (None, none, none)
            return _Portion(
                topic=topic, first=first, stop=stop, keys=run.keys.filter(pa.array(put)), offsets=offsets, times=times,
                data=data, gone=run.keys.filter(pa.array(gone)).to_pylist(),
            )  # fmt: skip
        return None

    def _write(self, portion: _Portion, at: int, stop: int) -> bool:
        """Write some keys of a portion, with the last of them strike it off; return False when it is void by now."""
        topic, puts = portion.topic, len(portion.keys)
        rows: list[tuple[bytes, int, int, bytes]] = []
        if portion.data is not None and at < puts:
            values = cast("RowCodec", topic.codec).encode(portion.data.slice(at, min(stop, puts) - at))
            places = (portion.offsets[at:stop].tolist(), portion.times[at:stop].tolist())
            rows = list(zip(portion.keys.slice(at, min(stop, puts) - at).to_pylist(), *places, values, strict=True))
        gone = portion.gone[max(at - puts, 0) : max(stop - puts, 0)]
        connection = self._opened()
        with self._writing, log_errors(self._path, connection), transaction(connection):
            begun = self._clock.monotonic()
            first = fetch(connection, "SELECT min(place) FROM tail WHERE topic_id = ?", (topic.id,))[0][0]
            if first != portion.first or version_of(connection) != topic.version:
                return False
            put_newest(connection, topic.id, rows, gone)
            if stop == puts + len(portion.gone):
                connection.execute("DELETE FROM tail WHERE topic_id = ? AND place < ?", (topic.id, portion.stop))
        self._adapt(self._clock.monotonic() - begun)
        return True

    def _adapt(self, took_s: float) -> None:
        """Choose how many keys the next transaction writes, by how long this one took."""
        self._took_s = took_s
        if took_s > _CHUNK_S:
            self._chunk = max(self._chunk // 2, _LEAST_CHUNK)
        elif took_s < _CHUNK_S / 2:
            self._chunk = min(self._chunk * 2, _MOST_CHUNK)
