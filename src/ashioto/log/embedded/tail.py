"""The tail of a compact topic: the batches that its key index does not know yet, decoded and in key order.

A record's **place** is how many records of its topic, over all partitions, were written before it. So the newest record
of a key is the one with the largest place.
"""

from __future__ import annotations

import heapq
from bisect import bisect_left
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ashioto.log.records import concat

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ashioto.log.base import Ints, Mask, Slice

DEAD: Final = -1
"""Stands for the place of a record that deletes its key."""
Entry = tuple[bytes, int]
"""A key and the place of its newest record, or `DEAD`."""
_FEW, _MANY = 8, 4096
_FEW_ROWS: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """Holds the newest record of each key of some batches, in key order.

    Args:
        keys: Key bytes, each once, sorted; shape (n,).
        places: Of their records; shape (n,).
        dead: Where the record deletes the key; shape (n,).
    """

    keys: pa.Array
    places: Ints
    dead: Mask

    def span(self, start: bytes | None, stop: bytes | None) -> tuple[int, int]:
        """Return the bounds of the keys in `[start, stop)`."""
        first = 0 if start is None else bisect_left(self.keys, start, key=_bytes)
        last = len(self.keys) if stop is None else bisect_left(self.keys, stop, key=_bytes)
        return first, max(first, last)

    def part(self, first: int, last: int) -> Run:
        """Return the keys between two bounds."""
        keys = self.keys.slice(first, last - first)
        return Run(keys=keys, places=self.places[first:last], dead=self.dead[first:last])

    def entries(self, *, reverse: bool) -> Iterator[tuple[bytes, int, bool]]:
        """Yield keys in order, with places and whether they are dead; they are made a few at a time.

        The place is negative unless they are in reverse, so that of two equal keys the newer one comes first.
        """
        at, size, whole = 0, _FEW, len(self.keys)
        while at < whole:
            first = max(whole - at - size, 0) if reverse else at
            part = self.part(first, whole - at if reverse else min(at + size, whole))
            found = zip(
                part.keys.to_pylist(), (part.places if reverse else -part.places).tolist(), part.dead.tolist(),
                strict=True,
            )  # fmt: skip
            yield from reversed(list(found)) if reverse else found
            at, size = at + size, min(2 * size, _MANY)


@dataclass(frozen=True, kw_only=True)
class Tail:
    """Holds the batches from a place on, decoded. It is never changed; a longer one shares what it has.

    It may begin with batches that the index knows by now: what it says of their keys is right all the same.

    Args:
        topic_id: The topic's number in the file.
        version: Of the catalogue that the topic was found in.
        schema: Of the topic.
        places: Of the first record of each batch, ascending.
        parts: The batches, without dictionaries.
        runs: Their keys, older runs first; each is more than twice as long as the next one.

    >>> from ashioto.log.base import Slice
    >>> data = pa.RecordBatch.from_pydict({"x": [1, 2, 3]})
    >>> part = Slice(topic="t", partition=0, base_offset=0, next_offset=3, keys=pa.array([b"b", b"a", b"b"]),
    ...     timestamps=np.zeros(3, np.int64), data=data)
    >>> tail = Tail(topic_id=1, version=0, schema=data.schema).extended([7], [part])
    >>> list(tail.entries(None, None, reverse=False, whole=True))
    [(b'a', 8), (b'b', 9)]
    """

    topic_id: int
    version: int
    schema: pa.Schema
    places: tuple[int, ...] = ()
    parts: tuple[Slice, ...] = ()
    runs: tuple[Run, ...] = ()

    @cached_property
    def rows(self) -> int:
        """How many records it holds."""
        return sum(len(part.keys) for part in self.parts)

    def extended(self, places: Sequence[int], parts: Sequence[Slice]) -> Tail:
        """Return the tail with more batches at its end."""
        if not parts:
            return self
        runs = [*self.runs, _run(places, parts)]
        plain = [_plain(part) for part in parts]
        while len(runs) > 1 and len(runs[-2].keys) <= 2 * len(runs[-1].keys):
            runs[-2:] = [_joined(runs[-2:])]
        return replace(self, places=(*self.places, *places), parts=(*self.parts, *plain), runs=tuple(runs))

    def since(self, place: int) -> Tail:
        """Return the tail without the batches before a place."""
        first = bisect_left(self.places, place)
        bare = replace(self, places=(), parts=(), runs=())
        return bare.extended(self.places[first:], self.parts[first:])

    def whole(self) -> Run:
        """Return all keys as one run."""
        return _joined(self.runs)

    def entries(self, start: bytes | None, stop: bytes | None, *, reverse: bool, whole: bool) -> Iterator[Entry]:
        """Yield each key in `[start, stop)` with the place of its newest record.

        Args:
            start: The first key, or None.
            stop: The key behind the last, or None.
            reverse: From the last key to the first.
            whole: Whether all of them will be asked for; else they are made one by one.
        """
        found = [run.part(*run.span(start, stop)) for run in self.runs]
        found = [run for run in found if len(run.keys)]
        if whole and len(found) > 1:
            found = [_joined(found)]
        streams = [run.entries(reverse=reverse) for run in found]
        merged = heapq.merge(*streams, key=itemgetter(0, 1), reverse=reverse) if len(streams) > 1 else chain(*streams)
        before = None
        for key, place, dead in merged:
            if key != before:
                yield key, DEAD if dead else abs(place)
            before = key

    def records(self, places: Ints) -> tuple[pa.RecordBatch, Ints, Ints]:
        """Return the values, the offsets and the times of records, which do not hold on to others.

        Args:
            places: Which; shape (n,), n > 0.
        """
        starts = np.array(self.places, dtype=np.int64)
        which = np.searchsorted(starts, places, side="right") - 1
        rows = places - starts[which]
        bases = np.array([part.base_offset for part in self.parts], dtype=np.int64)
        if len(places) <= _FEW_ROWS:
            spots = list(zip(which.tolist(), rows.tolist(), strict=True))
            data = _one_by_one([self.parts[number].data.slice(row, 1) for number, row in spots])
            times = np.array([self.parts[number].timestamps[row] for number, row in spots], dtype=np.int64)
            return _coded(data, self.schema), bases[which] + rows, times
        used = np.unique(which).tolist()
        at = [np.flatnonzero(which == number) for number in used]
        taken = [self.parts[n].data.take(pa.array(rows[rs])) for n, rs in zip(used, at, strict=True)]
        times = np.empty(len(places), dtype=np.int64)
        for number, rs in zip(used, at, strict=True):
            times[rs] = self.parts[number].timestamps[rows[rs]]
        return _coded(joined_rows(taken, np.concatenate(at)), self.schema), bases[which] + rows, times


def joined_rows(parts: Sequence[pa.RecordBatch], at: Ints) -> pa.RecordBatch:
    """Return the rows of some batches of one schema in another order.

    Args:
        parts: The batches.
        at: Where each row goes, those of the first batch first; shape (n,).
    """
    schema = parts[0].schema
    columns = [concat([part.column(i) for part in parts]) for i in range(len(schema))]
    if len(parts) > 1:
        back = np.empty(len(at), dtype=np.int64)
        back[at] = np.arange(len(at))
        columns = [column.take(pa.array(back)) for column in columns]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def _one_by_one(rows: Sequence[pa.RecordBatch]) -> pa.RecordBatch:
    table = pa.Table.from_batches(rows)
    columns = [column.combine_chunks() for column in table.columns]
    if len(rows) == 1:  # it would still be a part of the whole
        columns = [pa.concat_arrays([column, column.slice(0, 0)]) for column in columns]
    return pa.RecordBatch.from_arrays(columns, schema=table.schema)


def _plain(part: Slice) -> Slice:
    """Return a batch without dictionaries: a few rows of it are then cheap to copy."""
    columns = [c.dictionary_decode() if pa.types.is_dictionary(c.type) else c for c in part.data.columns]
    return replace(part, data=pa.RecordBatch.from_arrays(columns, names=part.data.schema.names))


def _coded(data: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """Return rows with the dictionaries that their schema asks for."""
    if data.schema.equals(schema):
        return data
    pairs = zip(data.columns, schema, strict=True)
    columns = [c if c.type == f.type else c.dictionary_encode().cast(f.type) for c, f in pairs]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def _bytes(scalar: Any) -> bytes:
    found: bytes = scalar.as_py()
    return found


def _run(places: Sequence[int], parts: Sequence[Slice]) -> Run:
    counts = [len(part.keys) for part in parts]
    dead = [np.zeros(n, np.bool_) if p.tombstones is None else p.tombstones for n, p in zip(counts, parts, strict=True)]
    at = [np.arange(place, place + n) for n, place in zip(counts, places, strict=True)]
    plain = [p.keys.dictionary_decode() if pa.types.is_dictionary(p.keys.type) else p.keys for p in parts]
    return _newest(concat(plain), np.concatenate(at), np.concatenate(dead))


def _joined(runs: Sequence[Run]) -> Run:
    """Return runs as one; later ones win."""
    if len(runs) == 1:
        return runs[0]
    places, dead = np.concatenate([r.places for r in runs]), np.concatenate([r.dead for r in runs])
    return _newest(concat([run.keys for run in runs]), places, dead)


def _newest(keys: pa.Array, places: Ints, dead: Mask) -> Run:
    order = pc.sort_indices(keys)  # stable, so the last of equal keys is the newest
    keys = keys.take(order)
    last = np.ones(len(keys), dtype=np.bool_)
    last[:-1] = pc.not_equal(keys[:-1], keys[1:]).to_numpy(zero_copy_only=False)
    at = order.to_numpy()[last]
    return Run(keys=keys if last.all() else keys.filter(pa.array(last)), places=places[at], dead=dead[at])
