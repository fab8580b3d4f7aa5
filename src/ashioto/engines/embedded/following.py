"""Finds in the bars topics what the engine did not write itself: it knows which offsets its own appends took.

How far it has followed is kept beside the progress, in the append of the bars. What was appended is only known once the
append has returned, so the record also says what is being appended; after a crash it is looked up.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ashioto import keys, naming
from ashioto.engines.embedded.imported import is_history
from ashioto.engines.embedded.rebuild import partition_pages
from ashioto.schema.arrow import int64_view

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ashioto.bars.algebra import Ints
    from ashioto.engines.embedded.rebuild import Rebuild
    from ashioto.log.base import Appended, Batch, Log, Slice
    from ashioto.logical.nodes import Query
    from ashioto.period import Period
    from ashioto.schedule.sessions import Flags

PAGE: Final = 65_536
_TAIL: Final = keys.TIME_DIGITS + 1
Run = tuple[int, int, int]
"""First offset and count of records, and where to read on behind them."""


@dataclass(slots=True, kw_only=True)
class Sent:
    """Says what an append holds, for the case that nobody learns where it went.

    Args:
        count: How many records.
        first: Key of the first one.
        digest: Of all of them.
    """

    count: int
    first: str
    digest: str


@dataclass(slots=True, kw_only=True)
class Place:
    """Says how far one topic has been followed.

    Args:
        done: Below it all is taken in, and the bars behind it are as they should be.
        viewed: Below it imported bars are found by key and not by offset, as older versions wrote there too.
        end: Where the next append is expected to go.
        own: First offset and count of the engine's appends from `done` on.
        sent: The append that this record is in.
        known: Below it all is taken in.
    """

    done: int = 0
    viewed: int = 0
    end: int = 0
    own: list[tuple[int, int]] = field(default_factory=list)
    sent: Sent | None = None
    known: int = 0

    def take(self, runs: Sequence[Run]) -> list[Race]:
        """Note an append; returns which of its runs stand behind what was written since the last look.

        Args:
            runs: First offset and count of each run, and where to read on behind it; ascending.
        """
        before, self.sent = self.end, None
        joined = _joined(runs)
        self.own += [(base, count) for base, count, _ in joined]
        if joined:
            self.end = joined[-1][2]
            if self.known == before == joined[0][0]:
                self.known = joined[0][2]
        self._shorten()
        return [Race(start=before, base=base, count=count) for base, count, _ in joined if base > before]

    def kept(self) -> dict[str, object]:
        """Return what a later start goes on from."""
        sent = (
            None
            if self.sent is None
            else {"count": self.sent.count, "first": self.sent.first, "digest": self.sent.digest}
        )
        return {"done": self.done, "viewed": self.viewed, "end": self.end, "own": self.own, "sent": sent}

    def finish(self) -> None:
        """Say that all that is taken in is done."""
        self.done = self.known
        self._shorten()

    def is_own(self, offset: int, count: int) -> Flags:
        """Return which of some records the engine has written; shape (count,)."""
        found = np.zeros(count, dtype=np.bool_)
        for base, size in self.own:
            found[max(base - offset, 0) : max(base + size - offset, 0)] = True
        return found

    def _shorten(self) -> None:
        joined = _joined([(base, count, base + count) for base, count in self.own])
        low = min(self.done, self.known)
        self.own = [(base, count) for base, count, _ in joined if base + count > low]


@dataclass(frozen=True, slots=True, kw_only=True)
class Race:
    """Says that others may have written between the last look and a run of an append.

    Args:
        start: Their first offset.
        base: First offset of the run.
        count: How many records it has.
    """

    start: int
    base: int
    count: int


class Follower:
    """Follows the bars topics of a query in one partition.

    Args:
        log: Where they are.
        query: Whose bars these are.
        partition: Number of the partition.
        text: What was kept beside the progress; None where nothing was.
        rebuild: Says which bars are of older versions; None means none.
    """

    def __init__(self, log: Log, query: Query, partition: int, text: str | None, rebuild: Rebuild | None) -> None:
        self._log, self._partition = log, partition
        self._topics = {p: naming.bars_topic(query.context, query.entity.name, p) for p in query.frames}
        self.sparse = True
        self.since = 0
        """Up to which offset of the source the ticks were in bars before the newest append."""
        self.places: dict[Period, Place] = {}
        known = {} if text is None else json.loads(text)
        if known:
            self.sparse, self.since = bool(known["sparse"]), int(known["since"])
        for period in query.frames:
            found = known.get("frames", {}).get(period.kind)
            if found is None:
                floor = self._end(period) if rebuild is None else rebuild.floor(period)
                self.places[period] = Place(viewed=floor, end=floor)
            else:
                sent = found.pop("sent")
                place = Place(**found, known=found["done"], sent=None if sent is None else Sent(**sent))
                place.own = [(base, count) for base, count in place.own]
                self.places[period] = place

    def topic(self, period: Period) -> str:
        """Return the topic of a frame's bars."""
        return self._topics[period]

    def text(self, batches: Sequence[Batch], since: int) -> str:
        """Return what to keep in an append.

        Args:
            batches: What it holds.
            since: Up to which offset of the source the ticks are in bars before it.
        """
        self.since = since
        frames = {}
        for period, place in self.places.items():
            place.sent = _sent([batch for batch in batches if batch.topic == self.topic(period)])
            frames[period.kind] = place.kept()
        return json.dumps({"since": since, "sparse": self.sparse, "frames": frames}, separators=(",", ":"))

    def appended(self, found: Sequence[Appended]) -> dict[Period, list[Race]]:
        """Learn where an append went; returns where others were quicker."""
        races = {}
        for period, place in self.places.items():
            runs = [(a.base_offset, a.count, a.next_offset) for a in found if a.topic == self.topic(period)]
            if runs and (behind := place.take(runs)):
                races[period] = behind
        return races

    def resume(self) -> dict[Period, list[Race]]:
        """Look up where the last append before the start went; returns where others were quicker."""
        races = {}
        for period, place in self.places.items():
            if place.sent is not None:
                count, base = place.sent.count, self._lookup(period, place.sent)
                place.sent = None
                if base is not None and (behind := place.take([(base, count, base + count)])):
                    races[period] = behind
        return races

    def ends(self) -> dict[Period, int]:
        """Return where the topics end."""
        return {period: self._end(period) for period in self.places}

    def news(self, period: Period, end: int) -> Iterator[tuple[list[bytes], Ints]]:
        """Yield the bars that others have written and that are not taken in yet, page by page.

        Args:
            period: The frame.
            end: Up to which offset.

        Returns:
            Key bytes without the bucket start, and (number of these, bucket start) of each bar; shape (n, 2).
        """
        place = self.places[period]
        at = place.known
        if at < place.viewed:
            yield from self._imported(period, at, place.viewed)
            at = place.viewed
        while at < end and (part := self._log.read(self.topic(period), self._partition, at, max_rows=PAGE)) is not None:
            if part.base_offset > at:
                yield from self._imported(period, at, part.base_offset)
            at = part.next_offset
            rows = np.flatnonzero(~place.is_own(part.base_offset, len(part.keys)))
            if rows.size:
                yield _buckets(part.keys.take(pa.array(rows)))
        if at < end:
            yield from self._imported(period, at, end)

    def taken(self, period: Period, end: int) -> None:
        """Say that all below an offset has been taken in."""
        place = self.places[period]
        place.known = place.end = max(place.end, end)

    def between(self, period: Period, start: int, end: int) -> Iterator[Slice]:
        """Yield the records of a frame between two offsets, those apart that are gone."""
        while start < end:
            part = self._log.read(self.topic(period), self._partition, start, max_rows=min(end - start, PAGE))
            if part is None or part.base_offset >= end:
                return
            if len(part.keys):
                yield part
            start = part.next_offset

    def _end(self, period: Period) -> int:
        return self._log.end_offsets(self.topic(period))[self._partition]

    def _imported(self, period: Period, low: int, high: int) -> Iterator[tuple[list[bytes], Ints]]:
        """Find imported bars by key: those whose records lie between two offsets."""
        for page in partition_pages(self._log, self.topic(period), self._partition):
            rows = is_history(page.data) & (page.offsets >= low) & (page.offsets < high)
            if rows.any():
                yield _buckets(pa.array([page.keys[row] for row in np.flatnonzero(rows)], pa.binary()))

    def _lookup(self, period: Period, sent: Sent) -> int | None:
        """Return where an append went, or None where the log no longer tells."""
        start, end = self.places[period].end, self._end(period)
        if end == start + sent.count:
            return start
        for part in self.between(period, start, end):
            same = np.asarray(pc.equal(plain_keys(part.keys), sent.first.encode()))
            for row in np.flatnonzero(same).tolist():
                base = part.base_offset + row
                found = self._log.read(self.topic(period), self._partition, base, max_rows=sent.count)
                where = None if found is None else (found.base_offset, len(found.keys))
                if found and where == (base, sent.count) and _digest([(found.keys, found.data)]) == sent.digest:
                    return base
        return None


def _joined(runs: Sequence[Run]) -> list[Run]:
    """Return runs that follow each other as one; runs without records are left out."""
    joined: list[Run] = []
    for base, count, end in runs:
        if count and joined and joined[-1][2] == base == sum(joined[-1][:2]):
            joined[-1] = joined[-1][0], joined[-1][1] + count, end
        elif count:
            joined.append((base, count, end))
    return joined


def _sent(batches: Sequence[Batch]) -> Sent | None:
    held = [batch for batch in batches if len(batch.keys)]
    if not held:
        return None
    first: bytes = held[0].keys[0].as_py()
    return Sent(
        count=sum(len(batch.keys) for batch in held),
        first=first.decode(),
        digest=_digest([(batch.keys, batch.data) for batch in held]),
    )


def _digest(parts: Sequence[tuple[pa.Array, pa.RecordBatch]]) -> str:
    """Return what tells an append of bars from another: keys, last ticks, and offsets of the source."""
    hashes = [hashlib.blake2b(digest_size=8) for _ in range(4)]
    for record_keys, data in parts:
        plain = plain_keys(record_keys)
        offsets = np.frombuffer(plain.buffers()[1], dtype=np.int32)[plain.offset : plain.offset + len(plain) + 1]
        hashes[0].update(memoryview(plain.buffers()[2])[offsets[0] : offsets[-1]])
        for place, name in enumerate(("source_cut", "last_at", "last_seq"), 1):
            hashes[place].update(np.ascontiguousarray(int64_view(data.column(name))).data)
    return "".join(found.hexdigest() for found in hashes)


def plain_keys(record_keys: pa.Array) -> pa.Array:
    """Return the keys of records one by one, where they came as a dictionary."""
    if isinstance(record_keys, pa.DictionaryArray):
        record_keys = record_keys.dictionary_decode()
    return record_keys.cast(pa.binary())


def _buckets(record_keys: pa.Array) -> tuple[list[bytes], Ints]:
    """Return the keys of bars apart from their bucket start; records whose key names no bucket are left out."""
    text = plain_keys(record_keys).cast(pa.string())
    tail = pc.utf8_slice_codeunits(text, -keys.TIME_DIGITS)
    named = pc.and_(pc.utf8_is_digit(tail), pc.greater_equal(pc.utf8_length(text), _TAIL))
    text, tail = text.filter(named), tail.filter(named)
    prefix = pc.utf8_slice_codeunits(text, 0, -_TAIL).dictionary_encode()
    starts = tail.cast(pa.int64()).to_numpy()
    places = prefix.indices.to_numpy().astype(np.int64)
    names = [name.encode() for name in prefix.dictionary.to_pylist()]
    return names, np.stack([places, starts], axis=1) if starts.size else np.zeros((0, 2), dtype=np.int64)
