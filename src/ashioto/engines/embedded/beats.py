"""Reads the heartbeats of a query, and keeps those that still wait for the ticks before them."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow.compute as pc

from ashioto import naming
from ashioto.schema.arrow import int64_view

if TYPE_CHECKING:
    from ashioto.log.base import Log
    from ashioto.logical.nodes import Query

MAX_BEATS: Final = 1 << 18
_NO_DUE: Final = np.iinfo(np.int64).min


@dataclass(frozen=True, slots=True, kw_only=True)
class Beat:
    """Holds what the engine needs of a heartbeat: up to where the source must be read, and what time it says.

    Args:
        cut: Source offset that must have been read.
        due: What time it says it is, ms.
        epoch: Who sent it.
        end: Offset of the heartbeat after it.
        sets: Whether it says that the clock was set, also back, as a replay does.
    """

    cut: int
    due: int
    epoch: int
    end: int
    sets: bool = False


class Beats:
    """Queues the heartbeats of one query in one partition.

    Args:
        log: Where they are.
        query: Whose they are; of one that is not continuous there are none.
        partition: Number of the partition.
        offset: Of the first one to read.
    """

    def __init__(self, log: Log, query: Query, partition: int, offset: int) -> None:
        self._log, self._query, self._partition = log, query, partition
        self._topic = naming.heartbeat_topic(query.context, query.entity.name)
        self._waiting: deque[Beat] = deque()
        self._read = offset

    @property
    def done(self) -> int:
        """Offset below which none waits."""
        return self._read if not self._waiting else self._waiting[0].end - 1

    def read(self) -> bool:
        """Read what is new, once; returns whether there was anything."""
        if not self._query.continuous:
            return False
        found = self._log.read(self._topic, self._partition, self._read, max_rows=MAX_BEATS)
        if found is None:
            return False
        base = pc.equal(found.data.column("base"), self._query.base.kind)
        mine = np.flatnonzero(np.asarray(base.fill_null(False)))
        due = int64_view(found.data.column("due"))[mine]
        cuts = int64_view(found.data.column("source_cut"))[mine]
        epochs = int64_view(found.data.column("epoch"))[mine]
        sets = np.asarray(pc.equal(found.data.column("kind"), "clock").fill_null(False))[mine]
        self._read = found.next_offset
        for i in np.flatnonzero(np.diff(due, append=_NO_DUE)).tolist():
            end = found.base_offset + int(mine[i]) + 1
            self._waiting.append(
                Beat(cut=int(cuts[i]), due=int(due[i]), epoch=int(epochs[i]), end=end, sets=bool(sets[i]))
            )
        return True

    def ready(self, source_offset: int) -> list[Beat]:
        """Return the first ones that wait for nothing and come from one sender.

        Args:
            source_offset: How far the source has been read.
        """
        found: list[Beat] = []
        for beat in self._waiting:
            if beat.cut > source_offset or (found and beat.epoch != found[0].epoch):
                break
            found.append(beat)
        return found

    def drop(self, count: int) -> int:
        """Forget the first `count`; returns the offset to begin at after a restart."""
        end = 0
        for _ in range(count):
            end = self._waiting.popleft().end
        return end if self._waiting else self._read
