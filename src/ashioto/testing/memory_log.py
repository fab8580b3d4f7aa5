"""A log in memory, for tests: the same rules as the stored logs, gone with the process."""

from __future__ import annotations

import threading
from bisect import bisect_left
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from ashioto.log.base import Appended, Slice, TopicInfo, TopicSpec, ViewPage
from ashioto.log.changes import check_alter, check_lease, known_lease
from ashioto.log.records import (
    check_compact,
    check_epoch,
    check_partition,
    check_same,
    check_spec,
    checked,
    concat_slices,
    cut,
    newest,
    projected,
    unknown_topic,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ashioto.log.base import Batch, Fence
    from ashioto.log.leases import Lease


@dataclass(slots=True)
class _Topic:
    spec: TopicSpec
    parts: list[list[Slice]]
    newest: dict[bytes, tuple[Slice, int]] = field(default_factory=dict)
    order: list[bytes] | None = None

    def end(self, partition: int) -> int:
        """Return the offset of the next record."""
        stored = self.parts[partition]
        return stored[-1].next_offset if stored else 0

    def alter(self, spec: TopicSpec) -> None:
        """Put all records into other columns."""
        names = spec.schema.names
        moved: dict[int, Slice] = {}
        for stored in self.parts:
            for at, part in enumerate(stored):
                stored[at] = moved[id(part)] = replace(part, data=projected(part.data, names, spec.schema))
        self.newest = {key: (moved[id(part)], row) for key, (part, row) in self.newest.items()}
        self.spec = spec


class MemoryLog:
    """Keeps topics in memory; safe to use from several threads.

    >>> from ashioto.log.base import Batch
    >>> log = MemoryLog()
    >>> log.create([TopicSpec(name="t", schema=pa.schema({"x": pa.int64()}))])
    ['t']
    >>> data = pa.RecordBatch.from_pydict({"x": [7]})
    >>> batch = Batch(topic="t", partition=0, keys=pa.array([b"k"]), timestamps=np.array([1000]), data=data)
    >>> log.append([batch])[0].base_offset
    0
    >>> log.end_offsets("t")
    {0: 1}
    """

    def __init__(self) -> None:
        self._topics: dict[str, _Topic] = {}
        self._epochs: dict[str, int] = {}
        self._leases: dict[str, Lease] = {}
        self._lock = threading.RLock()

    def create(self, specs: Sequence[TopicSpec]) -> list[str]:
        """Create the topics that do not exist yet and return their names.

        Raises:
            LogError: A topic exists with another number of partitions, cleanup or schema.
        """
        with self._lock:
            wanted: dict[str, TopicSpec] = {}
            for spec in specs:
                check_spec(spec)
                known = (
                    self._topics[spec.name].spec if spec.name in self._topics else wanted.setdefault(spec.name, spec)
                )
                check_same(known, spec)
            self._topics |= {n: _Topic(s, [[] for _ in range(s.partitions)]) for n, s in wanted.items()}
            return list(wanted)

    def topics(self) -> list[str]:
        """Return the names of all topics, sorted."""
        with self._lock:
            return sorted(self._topics)

    def alter(self, spec: TopicSpec) -> None:
        """Change the columns or the retention of a topic that exists.

        Raises:
            UnknownTopicError: It was never created.
            LogError: Partitions or cleanup differ, or a column would change its type; nothing was changed.
        """
        with self._lock:
            found = self._topic(spec.name)
            check_alter(found.spec, spec)
            found.alter(spec)

    def delete(self, names: Sequence[str]) -> None:
        """Delete topics and all their records; those that do not exist are left out."""
        with self._lock:
            for name in names:
                self._topics.pop(name, None)

    def lease(self, name: str) -> Lease | None:
        """Return a lease, or None when there never was one."""
        with self._lock:
            return self._leases.get(name)

    def change_lease(self, name: str, change: Callable[[Lease | None], Lease | None]) -> Lease | None:
        """Replace a lease; a larger epoch shuts out every writer of the fence of that name.

        Raises:
            LogError: The lease that `change` returned has another name, or an epoch that goes back.
        """
        with self._lock:
            epoch = self._epochs.get(name)
            known = known_lease(name, self._leases.get(name), epoch)
            wanted = change(known)
            if wanted is not None:
                check_lease(name, known, wanted)
                self._leases[name] = wanted
                self._epochs[name] = wanted.epoch if epoch is None else max(epoch, wanted.epoch)
            return wanted

    def describe(self, topic: str) -> TopicInfo:
        """Return how a topic was declared and which offsets it holds.

        Raises:
            UnknownTopicError: It was never created.
        """
        with self._lock:
            spec = self._topic(topic).spec
            return TopicInfo(
                spec=spec, start_offsets=dict.fromkeys(range(spec.partitions), 0), end_offsets=self.end_offsets(topic)
            )

    def append(self, batches: Sequence[Batch], *, fence: Fence | None = None) -> list[Appended]:
        """Append batches, all or none.

        Raises:
            StaleEpochError: A writer of the same fence with a larger epoch has appended before.
            UnknownTopicError: A topic was never created.
        """
        with self._lock:
            kept = [checked(self._topic(batch.topic).spec, batch) for batch in batches]
            if fence is not None:
                check_epoch(fence, self._epochs.get(fence.name))
                self._epochs[fence.name] = fence.epoch
            return [self._store(batch) for batch in kept]

    def read(self, topic: str, partition: int, offset: int, *, max_rows: int = 262_144) -> Slice | None:
        """Return records from an offset on, or None when there are none; below the first, from the first on."""
        with self._lock:
            found = self._topic(topic)
            check_partition(found.spec, partition)
            stored = found.parts[partition]
            parts: list[Slice] = []
            rows = 0
            for part in stored:
                skip = max(offset - part.base_offset, 0)
                if skip >= len(part.keys) or rows >= max_rows:
                    continue
                parts.append(cut(part, skip, len(part.keys)))
                rows += len(part.keys) - skip
            return concat_slices(parts, max_rows) if parts else None

    def end_offsets(self, topic: str, *, committed: bool = True) -> dict[int, int]:  # noqa: ARG002  # here nothing is hidden
        """Return the offset of the next record, by partition.

        Raises:
            UnknownTopicError: It was never created.
        """
        with self._lock:
            found = self._topic(topic)
            return {partition: found.end(partition) for partition in range(found.spec.partitions)}

    def view(
        self, topic: str, *, start: bytes | None = None, stop: bytes | None = None, limit: int | None = None,
        reverse: bool = False, settled: bool = True,  # noqa: ARG002  # here nothing is hidden
    ) -> ViewPage:  # fmt: skip
        """Return the newest record of each key in `[start, stop)` of a compact topic, in key order.

        Raises:
            UnknownTopicError: It was never created.
            LogError: The topic is not compact.
        """
        with self._lock:
            found = self._topic(topic)
            check_compact(found.spec)
            if found.order is None:
                found.order = sorted(found.newest)
            first = 0 if start is None else bisect_left(found.order, start)
            last = len(found.order) if stop is None else bisect_left(found.order, stop)
            keys = found.order[first:last]
            keys = (keys[::-1] if reverse else keys)[:limit]
            return _page(found.spec, keys, [found.newest[key] for key in keys])

    def _topic(self, name: str) -> _Topic:
        if name not in self._topics:
            raise unknown_topic(name)
        return self._topics[name]

    def _store(self, batch: Batch) -> Appended:
        found = self._topics[batch.topic]
        base = found.end(batch.partition)
        end = base + len(batch.keys)
        part = Slice(
            topic=batch.topic, partition=batch.partition, base_offset=base, next_offset=end, keys=batch.keys,
            timestamps=batch.timestamps.copy(), data=batch.data, tombstones=batch.tombstones,
        )  # fmt: skip
        if len(part.keys):
            found.parts[batch.partition].append(part)
        if found.spec.cleanup == "compact":
            self._update(found, part)
        return Appended(
            topic=batch.topic, partition=batch.partition, base_offset=base, count=len(part.keys), next_offset=end
        )  # fmt: skip

    @staticmethod
    def _update(found: _Topic, part: Slice) -> None:
        for key, row in zip(*newest(part.keys), strict=True):
            if part.tombstones is not None and part.tombstones[row]:
                found.order = None if found.newest.pop(key, None) else found.order
                continue
            if key not in found.newest:
                found.order = None
            found.newest[key] = (part, int(row))


def _rows(part: Slice, rows: list[int]) -> pa.RecordBatch:
    return part.data.slice(rows[0], 1) if len(rows) == 1 else part.data.take(pa.array(rows))


def _page(spec: TopicSpec, keys: list[bytes], found: list[tuple[Slice, int]]) -> ViewPage:
    by_part: dict[int, tuple[Slice, list[int]]] = {}
    for at, (part, _) in enumerate(found):
        by_part.setdefault(id(part), (part, []))[1].append(at)
    taken = [_rows(part, [found[at][1] for at in places]) for part, places in by_part.values()]
    data = pa.Table.from_batches(taken, schema=spec.schema.remove_metadata())
    back = np.argsort(np.array([at for _, places in by_part.values() for at in places], dtype=np.int64))
    ordered = data if len(found) < 2 else data.take(pa.array(back))
    rows = ordered.combine_chunks().to_batches()
    return ViewPage(
        keys=keys,
        offsets=np.array([part.base_offset + row for part, row in found], dtype=np.int64),
        timestamps=np.array([part.timestamps[row] for part, row in found], dtype=np.int64),
        data=rows[0] if rows else pa.RecordBatch.from_pylist([], schema=data.schema),
    )
