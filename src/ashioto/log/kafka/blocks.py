"""Reads partitions as columns: what was fetched and decoded is handed out slice by slice."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa

from ashioto.log.base import Slice
from ashioto.log.kafka.read import Fetcher

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ashioto.clock import Clock
    from ashioto.log.base import Ints, Mask
    from ashioto.log.kafka.client import Clients
    from ashioto.log.kafka.ends import Ends
    from ashioto.log.kafka.read import Fetched
    from ashioto.log.kafka.topics import Topic
    from ashioto.log.kafka.values import Values
    from ashioto.log.kafka.view import Record

BLOCK_ROWS: Final = 65_536
_MOST_OPEN: Final = 64
NO_KEY: Final = "the record has no key"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bad:
    """Holds a record that cannot be read.

    Args:
        offset: Of the record.
        key: Its key, or None.
        value: Its bytes, or None.
        reason: Why it cannot be read.
    """

    offset: int
    key: bytes | None
    value: bytes | None
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """Holds all that can be read at `[start, stop)`.

    Args:
        start: First offset.
        stop: Where to go on.
        offsets: Of each record; shape (n,).
        runs: Row behind the last one of the run that each is in: offsets of a run follow each other; shape (n,).
        keys: Of each record.
        times: Of each record, ms; shape (n,).
        data: Values, n rows.
        dead: Where the record deletes its key; shape (n,).
        schema_id: Of the columns.
    """

    start: int
    stop: int
    offsets: Ints
    runs: Ints
    keys: pa.Array
    times: Ints
    data: pa.RecordBatch
    dead: Mask
    schema_id: int

    def slice(self, topic: str, partition: int, offset: int, max_rows: int) -> Slice:
        """Return what stands at an offset inside the block."""
        row = int(np.searchsorted(self.offsets, offset))
        is_there = row < len(self.offsets) and self.offsets[row] == offset
        until = min(int(self.runs[row]), row + max_rows) if is_there else row
        whole = not is_there or until == self.runs[row]
        if whole:
            after = int(self.offsets[until]) if until < len(self.offsets) else self.stop
        else:
            after = offset + until - row
        dead = self.dead[row:until]
        return Slice(
            topic=topic,
            partition=partition,
            base_offset=offset,
            next_offset=after,
            keys=self.keys.slice(row, until - row),
            timestamps=self.times[row:until],
            data=self.data.slice(row, until - row),
            tombstones=dead if dead.any() else None,
        )


def block_of(fetched: Fetched, topic: Topic, values: Values, *, start: int) -> tuple[Block, list[Bad]]:
    """Decode what was fetched; records that cannot be read are set aside.

    Args:
        fetched: The records.
        topic: Whose they are.
        values: Decodes them.
        start: Where the block begins, at most where what was fetched does.
    """
    found = values.decode(topic, fetched.values)
    keys, data, offsets, times, dead = fetched.keys, found.data, fetched.offsets, fetched.times, found.dead
    reasons = found.reasons | dict.fromkeys(np.flatnonzero(keys.is_null()).tolist() if keys.null_count else (), NO_KEY)
    bad = [
        Bad(offset=int(offsets[row]), key=keys[row].as_py(), value=fetched.values[row].as_py(), reason=reasons[row])
        for row in sorted(reasons)
    ]
    if bad:
        kept = np.setdiff1d(np.arange(len(offsets)), list(reasons))
        keys, data = keys.take(pa.array(kept)), data.take(pa.array(kept))
        offsets, times, dead = offsets[kept], times[kept], dead[kept]
    block = Block(
        start=start, stop=fetched.stop, offsets=offsets, runs=_runs(offsets), keys=keys, times=times, data=data,
        dead=dead, schema_id=topic.schema_id,
    )  # fmt: skip
    return block, bad


def _runs(offsets: Ints) -> Ints:
    """Return the row behind the run of each.

    >>> _runs(np.array([3, 4, 9])).tolist()
    [2, 2, 3]
    """
    ends = np.append(np.flatnonzero(np.diff(offsets) != 1) + 1, len(offsets))
    return ends[np.searchsorted(ends, np.arange(len(offsets)), "right")]


class PartitionReader:
    """Reads one partition, one thread at a time.

    Args:
        fetcher: Fetches its records.
        topic: The topic, as it was when the reader was made.
        partition: Number of the partition.
        ends: Knows where the partition begins.
        bury: Gets the records that cannot be read.
    """

    def __init__(
        self, fetcher: Fetcher, topic: Topic, partition: int, *, ends: Ends, values: Values,
        bury: Callable[[Topic, int, Sequence[Bad]], None],
    ) -> None:  # fmt: skip
        self.topic_id = topic.id
        self._lock = threading.Lock()
        self._fetcher, self._partition, self._ends, self._values, self._bury = fetcher, partition, ends, values, bury
        self._block: Block | None = None

    def read(self, topic: Topic, offset: int, end: int, max_rows: int) -> Slice:
        """Return what stands at an offset.

        Args:
            topic: The topic as it is now.
            offset: Where to read.
            end: An end of the partition, above `offset`.
            max_rows: At most so many records.
        """
        with self._lock:
            block = self._read(topic, offset, end)
            return block.slice(topic.spec.name, self._partition, max(offset, block.start), max_rows)

    def _read(self, topic: Topic, offset: int, end: int) -> Block:
        """Return decoded records that begin at an offset, or hold it, or begin where the log does."""
        known = self._block
        if known is not None and known.start <= offset < known.stop and known.schema_id == topic.schema_id:
            return known
        fetched = self._fetcher.fetch(offset, end, BLOCK_ROWS)
        start = offset
        if not len(fetched.offsets) or fetched.offsets[0] > offset:
            start = min(max(offset, self._ends.starts(topic, [self._partition])[self._partition]), fetched.stop)
        made, bad = block_of(fetched, topic, self._values, start=start)
        if bad:
            self._bury(topic, self._partition, bad)
        self._block = made
        return made

    def holds(self, offset: int) -> bool:
        """Return whether readers see a record at an offset below the end."""
        with self._lock:
            found = self._fetcher.fetch(offset, offset + 1, 1).offsets
        return bool(len(found) and found[0] == offset)

    def records(self, topic: Topic, offset: int, end: int) -> tuple[list[Record], int]:
        """Return the records that stand at an offset and behind it with their values as they are, and where to go on.

        Args:
            topic: The topic as it is now.
            offset: Where to read.
            end: An end of the partition, above `offset`.
        """
        with self._lock:
            fetched = self._fetcher.fetch(offset, end, BLOCK_ROWS)
            _, bad = block_of(fetched, topic, self._values, start=offset)
            if bad:
                self._bury(topic, self._partition, bad)
        left_out = {one.offset for one in bad}
        keys, values = fetched.keys.to_pylist(), fetched.values.to_pylist()
        whole = zip(keys, fetched.offsets.tolist(), fetched.times.tolist(), values, strict=True)
        kept = [(key, at, time, value) for key, at, time, value in whole if key is not None and at not in left_out]
        return kept, fetched.stop

    def close(self) -> None:
        """Let go of the consumer."""
        with self._lock:
            self._fetcher.close()


class Readers:
    """Keeps readers, so that whoever reads on finds the one that goes on there.

    Args:
        clients: Of the cluster.
        ends: Knows where partitions begin.
        values: Decodes values.
        clock: Says when to give up.
        bury: Gets the records that cannot be read.
    """

    def __init__(
        self, clients: Clients, *, ends: Ends, values: Values, clock: Clock,
        bury: Callable[[Topic, int, Sequence[Bad]], None],
    ) -> None:  # fmt: skip
        self._clients, self._ends, self._values, self._clock, self._bury = clients, ends, values, clock, bury
        self._lock = threading.Lock()
        self._open: OrderedDict[tuple[str, int, str], PartitionReader] = OrderedDict()

    def of(self, topic: Topic, partition: int, purpose: str = "") -> PartitionReader:
        """Return the reader of a partition.

        Args:
            topic: The topic.
            partition: Number of the partition.
            purpose: Tells readers apart that read at different places.
        """
        key = topic.real, partition, purpose
        gone: list[PartitionReader] = []
        with self._lock:
            found = self._open.pop(key, None)
            if found is not None and found.topic_id != topic.id:
                gone.append(found)
                found = None
            if found is None:
                fetcher = Fetcher(self._clients, topic, partition, self._clock)
                found = PartitionReader(
                    fetcher, topic, partition, ends=self._ends, values=self._values, bury=self._bury
                )  # fmt: skip
            self._open[key] = found
            while len(self._open) > _MOST_OPEN:
                gone.append(self._open.popitem(last=False)[1])
        for reader in gone:
            reader.close()
        return found

    def forget(self, real: str) -> None:
        """Close the readers of a topic."""
        with self._lock:
            gone = [self._open.pop(key) for key in list(self._open) if key[0] == real]
        for reader in gone:
            reader.close()

    def close(self) -> None:
        """Close all readers."""
        with self._lock:
            gone = list(self._open.values())
            self._open.clear()
        for reader in gone:
            reader.close()
