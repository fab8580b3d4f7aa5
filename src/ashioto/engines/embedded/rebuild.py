"""Bars made anew from the start of the ticks, in place: what an older version wrote is not read, and goes in the end.

While it lasts, bars below an offset of their topic are those of older versions. They stay for readers until their
successors are written. Once the source has been read to where it ended when the rebuild began, whatever lies below that
offset still has no successor, and is deleted. Imported bars are nobody's version: they are read and stay.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa

from ashioto import keys, naming
from ashioto.control.known_keys import known_keys
from ashioto.engines.embedded.imported import is_history
from ashioto.log.base import Batch
from ashioto.log.partition import partition_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ashioto.log.base import Log, ViewPage
    from ashioto.logical.nodes import Query
    from ashioto.period import Period
    from ashioto.schedule.sessions import Flags

PAGE: Final = 8192


@dataclass(frozen=True, slots=True, kw_only=True)
class Rebuild:
    """Says what is left to do in one partition.

    Args:
        target: Offset of the source up to which ticks had been there when it began.
        beats: The same of the heartbeats.
        floors: Kind of each frame, and the offset of its topic below which bars are of older versions.
        before: Offset of the source up to which older versions had read: imported bars below the floors took the place
            of the ticks before it, or include them already.

    >>> Rebuild.parse(Rebuild(target=5, beats=0, floors={"1m": 3}).text()).floors
    {'1m': 3}
    """

    target: int
    beats: int
    floors: Mapping[str, int]
    before: int = 0

    @classmethod
    def parse(cls, text: str) -> Rebuild:
        """Return what `text` made a text of."""
        return cls(**json.loads(text))

    def text(self) -> str:
        """Return it as it is kept beside the progress."""
        return json.dumps(asdict(self), sort_keys=True)

    def floor(self, period: Period) -> int:
        """Return the offset below which bars of a frame are of older versions."""
        return self.floors.get(period.kind, 0)


def begin_rebuild(log: Log, query: Query, partition: int, *, before: int = 0) -> Rebuild | None:
    """Return what a version that begins at the start has to do, or None when there are no older bars.

    Args:
        log: Where source and bars are.
        query: What is built.
        partition: Number of the partition.
        before: Offset of the source up to which older versions have read.
    """
    floors = {p.kind: log.end_offsets(_bars(query, p), committed=False)[partition] for p in query.frames}
    if not any(floors.values()):
        return None
    context, entity = query.context, query.entity.name
    beats = log.end_offsets(naming.heartbeat_topic(context, entity), committed=False) if query.continuous else {}
    source = log.end_offsets(naming.topic(context, entity), committed=False)
    return Rebuild(target=source[partition], beats=beats.get(partition, 0), floors=floors, before=before)


def is_old(page: ViewPage, floor: int) -> Flags:
    """Return which bars of a page are of older versions; shape (n,).

    Args:
        page: Bars of one frame.
        floor: Bars below this offset are older, unless they were imported.
    """
    below: Flags = page.offsets < floor
    if below.any():
        below &= ~is_history(page.data)
    return below


def old_bars(log: Log, query: Query, partition: int, rebuild: Rebuild) -> Iterator[Batch]:
    """Yield tombstones of the bars of older versions that nothing took the place of, some thousands at a time.

    Args:
        log: Where the bars are.
        query: What was built.
        partition: Number of the partition.
        rebuild: Says what is older.
    """
    for period in query.frames:
        topic, floor = _bars(query, period), rebuild.floor(period)
        for page in partition_pages(log, topic, partition) if floor else ():
            rows = np.flatnonzero(is_old(page, floor))
            if rows.size:
                yield _deletion(topic, partition, page, rows.tolist())


def partition_pages(log: Log, topic: str, partition: int) -> Iterator[ViewPage]:
    """Yield the newest record of each key of a bars topic in one partition, key by key.

    Args:
        log: Where the topic is.
        topic: A bars topic.
        partition: Number of the partition.
    """
    partitions = log.describe(topic).spec.partitions
    for name in known_keys(log, topic):
        key = keys.encode(name)
        if partition_of(key, partitions) == partition:
            yield from pages(log, topic, key + keys.SEPARATOR.encode())


def pages(log: Log, topic: str, start: bytes, stop: bytes | None = None) -> Iterator[ViewPage]:
    """Yield the newest record of each key of a range, some thousands at a time.

    Args:
        log: Where the topic is.
        topic: A compact topic.
        start: First key, or with no `stop` what all of them begin with.
        stop: The key after the last one.
    """
    beyond = start + b"\xff" if stop is None else stop
    while True:
        page = log.view(topic, start=start, stop=beyond, limit=PAGE)
        if page.keys:
            yield page
        if len(page.keys) < PAGE:
            return
        start = page.keys[-1] + b"\x00"


def _deletion(topic: str, partition: int, page: ViewPage, rows: list[int]) -> Batch:
    return Batch(
        topic=topic,
        partition=partition,
        keys=pa.array([page.keys[row] for row in rows], pa.binary()),
        timestamps=page.timestamps[rows],
        data=page.data.take(pa.array(rows)),
        tombstones=np.ones(len(rows), dtype=np.bool_),
    )


def _bars(query: Query, period: Period) -> str:
    return naming.bars_topic(query.context, query.entity.name, period)
