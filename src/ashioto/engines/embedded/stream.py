"""Runs one query on one partition of a log: ticks and heartbeats in, bars out, exactly once.

Bars, late ticks, dead letters and how far has been read go into the log in one append. After a crash the reading starts
where the last append ended, and bars that say (by `source_cut`) that they include a tick skip it.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa

from ashioto import keys, naming
from ashioto.engines.embedded.batch import overflow_error
from ashioto.engines.embedded.core import BEGINNING, BarCore, Overflow
from ashioto.engines.embedded.fold import FoldCounts, SumOverflow
from ashioto.engines.embedded.residency import Residency
from ashioto.engines.embedded.ticks import prepare
from ashioto.engines.embedded.topics import (
    DEAD_LETTERS,
    DEAD_SCHEMA,
    OFFSETS,
    OFFSETS_SCHEMA,
    bars_batch,
    late_schema,
    record_bytes,
)
from ashioto.log.base import Batch
from ashioto.schema.arrow import int64_view, key_column

if TYPE_CHECKING:
    from ashioto.bars.algebra import Ints
    from ashioto.engines.embedded.plan import CompiledQuery
    from ashioto.engines.embedded.sessions import SessionBook
    from ashioto.log.base import Log, Slice
    from ashioto.period import Period

MAX_ROWS: Final = 1 << 18


@dataclass(slots=True)
class Progress:
    """Counts how far a partition has been read and what became of its ticks; written beside the bars."""

    source_offset: int = 0
    hb_offset: int = 0
    now_ms: int = BEGINNING
    epoch: int = 0
    ticks: int = 0
    out_of_session: int = 0
    unknown_key: int = 0
    late: int = 0
    rejected: int = 0


@dataclass(frozen=True, slots=True)
class Beat:
    """Holds what the engine needs of a heartbeat: up to where the source must be read, and what time it says.

    Args:
        cut: Source offset that must have been read.
        due: What time it says it is, ms.
        epoch: Who sent it.
        end: Offset of the heartbeat after it.
    """

    cut: int
    due: int
    epoch: int
    end: int


class BarsReadBack(Exception):  # noqa: N818  # control flow inside the engine, never shown
    """Says that a bar that was read back ends inside the piece that is folded, so that it must be cut there."""


@dataclass(slots=True)
class Outbox:
    """Collects the records of the next append; what the log has refused is in the one after it."""

    batches: list[Batch] = field(default_factory=list)


class PartitionRunner:
    """Runs a query on one partition.

    Args:
        log: Where everything is.
        plan: The query.
        book: Its keys and their schedules.
        partition: Number of the partition.
        env: Prefix parts of the offsets key.
    """

    def __init__(
        self,
        log: Log,
        plan: CompiledQuery,
        book: SessionBook,
        partition: int,
        *,
        env: tuple[str, ...] = ("dev", "local"),
    ) -> None:
        query = plan.query
        self._log, self._plan, self._book, self._partition = log, plan, book, partition
        self._source = naming.topic(query.context, query.entity.name)
        self._beats_topic = naming.heartbeat_topic(query.context, query.entity.name)
        self._key = keys.encode([*env, query.context, query.name, partition])
        self.progress = self._restored()
        self._core = BarCore(plan, book)
        self._core.now = self.progress.now_ms
        self._residency = Residency(log, self._core, partition=partition)
        self._residency.restore()
        self._core.before_touch = self._require
        self._piece = 0, -1
        self._beats: deque[Beat] = deque()
        self._read_beats = self.progress.hb_offset
        self._outbox = Outbox()
        self._dirty = False

    def poll(self) -> bool:
        """Read what is new, once.

        Returns:
            Whether anything was read.
        """
        beats = self._take_beats()
        ticks = self._take_ticks()
        return self._apply_beats() or beats or ticks

    @property
    def urgent(self) -> bool:
        """Whether the next flush holds final bars, which are not kept waiting."""
        return self._urgent

    _urgent = False

    def flush(self, now_ms: int) -> int:
        """Append every changed bar and how far has been read.

        Args:
            now_ms: The time, for the record of the progress.

        Returns:
            How many bars were written.
        """
        if not self._dirty:
            return 0
        written = 0
        overflows: list[Overflow] = []
        for period, table in self._core.changed(overflows=overflows).items():
            if table.num_rows:
                bars = bars_batch(self._plan, period, self._partition, table)
                self._outbox.batches.append(bars)
                written += table.num_rows
                self._reject_bars(bars, [o for o in overflows if o.period == period])
        self._log.append([*self._outbox.batches, self._progress_batch(now_ms)])
        self._outbox.batches.clear()
        self._dirty = self._urgent = False
        self._residency.evict()
        return written

    def _restored(self) -> Progress:
        page = self._log.view(OFFSETS, start=self._key, stop=self._key + b"\x00")
        rows = page.data.to_pylist()
        return Progress(**rows[0]) if rows else Progress()

    def _progress_batch(self, now_ms: int) -> Batch:
        row = {name: getattr(self.progress, name) for name in OFFSETS_SCHEMA.names}
        return Batch(
            topic=OFFSETS,
            partition=0,
            keys=pa.array([self._key], pa.binary()),
            timestamps=np.array([now_ms], dtype=np.int64),
            data=pa.RecordBatch.from_pylist([row], schema=OFFSETS_SCHEMA),
        )

    def _take_beats(self) -> bool:
        if not self._plan.query.continuous:
            return False
        found = self._log.read(self._beats_topic, self._partition, self._read_beats, max_rows=MAX_ROWS)
        if found is None or found.data is None or not found.data.num_rows:
            return False
        mine = np.flatnonzero(np.array(found.data.column("base").to_pylist()) == self._plan.query.base.kind)
        due = int64_view(found.data.column("due"))[mine]
        cuts = found.data.column("source_cut").to_numpy()[mine]
        epochs = found.data.column("epoch").to_numpy()[mine]
        self._read_beats = found.base_offset + found.data.num_rows
        for i in np.flatnonzero(np.diff(due, append=np.iinfo(np.int64).min)).tolist():
            end = found.base_offset + int(mine[i]) + 1
            self._beats.append(Beat(cut=int(cuts[i]), due=int(due[i]), epoch=int(epochs[i]), end=end))
        return True

    def _apply_beats(self) -> bool:
        """Apply the heartbeats whose cut has been read; the others wait."""
        applied, due = False, BEGINNING
        while self._beats and self._beats[0].cut <= self.progress.source_offset:
            beat = self._beats.popleft()
            self.progress.hb_offset = beat.end
            applied = True
            if beat.epoch < self.progress.epoch:
                continue  # its sender has been replaced, perhaps by one whose clock is behind
            if beat.epoch > self.progress.epoch:
                self._core.advance(due)
                self._new_epoch(beat)
                due = beat.due
            due = max(due, beat.due)
        if applied:
            self._core.advance(due)
            self.progress.now_ms = self._core.now
            self._dirty = self._urgent = True
            if not self._beats:
                self.progress.hb_offset = self._read_beats
        return applied

    def _new_epoch(self, beat: Beat) -> None:
        """Follow a new sender of heartbeats; it may have set the clock back, as a replay does."""
        self.progress.epoch = beat.epoch
        if beat.due < self._core.now:
            self._core.now = beat.due - 1

    def _take_ticks(self) -> bool:
        found = self._log.read(self._source, self._partition, self.progress.source_offset, max_rows=MAX_ROWS)
        if found is None:
            return False
        stop = found.base_offset + len(found.keys)
        self._reading = found
        self._fold(*self._divert_late(*self._without_deletions(found)), stop - 1)
        self._residency.cuts = {c for c in self._residency.cuts if c >= stop}
        self.progress.source_offset = stop
        self._dirty = True
        return True

    def _fold(self, batch: pa.RecordBatch, offsets: Ints, cut: int) -> None:
        """Fold a batch, in pieces where that must be.

        It is cut where a bar that was read back ends, so that each bar includes a piece whole or not at all. Where a
        sum would overflow, it is halved until the one tick is found that cannot be taken.
        """
        if not batch.num_rows:
            return
        if inside := self._ends_inside(offsets, cut):
            self._split(batch, offsets, int(np.searchsorted(offsets, inside[0], "right")), (inside[0], cut))
            return
        prepared = prepare(self._plan, self._book, batch, offsets=offsets)
        try:
            counts = self._core.fold(prepared.ticks, cut=cut)
        except SumOverflow as error:
            if batch.num_rows == 1:
                self._reject(batch, offsets, [0], [overflow_error(self._plan, error).message])
                return
            half = batch.num_rows // 2
            self._split(batch, offsets, half, (int(offsets[half]) - 1, cut))
            return
        except BarsReadBack:
            self._fold(batch, offsets, cut)
            return
        self._reject(batch, offsets, prepared.rejected.rows, prepared.rejected.reasons)
        self._count(counts)

    def _split(self, batch: pa.RecordBatch, offsets: Ints, at: int, cuts: tuple[int, int]) -> None:
        self._fold(batch.slice(0, at), offsets[:at], cuts[0])
        self._fold(batch.slice(at), offsets[at:], cuts[1])

    def _ends_inside(self, offsets: Ints, cut: int) -> list[int]:
        """Return where bars that were read back end between these offsets, ascending."""
        self._piece = int(offsets[0]), cut
        return sorted(c for c in self._residency.cuts if offsets[0] <= c < cut)

    def _require(self, period: Period, codes: Ints, starts: Ints) -> None:
        """Have bars in memory before a piece is merged into them; stop where one of them ends inside the piece."""
        self._residency.require(period, codes, starts)
        low, cut = self._piece
        if any(low <= c < cut for c in self._residency.cuts):
            raise BarsReadBack

    def _count(self, counts: FoldCounts) -> None:
        self.progress.ticks += counts.ticks
        self.progress.out_of_session += counts.out_of_session
        self.progress.unknown_key += counts.unknown_key

    def _without_deletions(self, found: Slice) -> tuple[pa.RecordBatch, Ints]:
        """Return the ticks that were read and their offsets; records that delete a key go to the dead letters."""
        offsets = found.base_offset + np.arange(len(found.keys), dtype=np.int64)
        if found.tombstones is None:
            return found.data, offsets
        rows = np.flatnonzero(found.tombstones)
        self._reject(found.data, offsets, rows.tolist(), ["a deletion is no tick"] * rows.size)
        kept = np.flatnonzero(~found.tombstones)
        return found.data.take(pa.array(kept)), offsets[kept]

    def _divert_late(self, batch: pa.RecordBatch, offsets: Ints) -> tuple[pa.RecordBatch, Ints]:
        """Send ticks older than the retention to the late topic."""
        query = self._plan.query
        horizon = self._core.now - query.retention_ms - query.grace_ms
        if not query.continuous or self._core.now == BEGINNING:
            return batch, offsets
        at = int64_view(batch.column(query.entity.timestamp or ""))
        late = at < horizon
        for column in batch.columns if late.any() else ():
            if column.null_count:  # a bad record, however late
                late &= column.is_valid().to_numpy(zero_copy_only=False)
        if not late.any():
            return batch, offsets
        rows = batch.take(pa.array(np.flatnonzero(late)))
        reason = pa.array([f"older than the retention of {query.retention_ms // 1000} s"] * rows.num_rows, pa.string())
        data = pa.RecordBatch.from_arrays([*rows.columns, reason], schema=late_schema(query))
        self._outbox.batches.append(
            Batch(
                topic=naming.late_topic(query.context, query.entity.name),
                partition=self._partition,
                keys=key_column(query.entity.keys, rows),
                timestamps=np.ascontiguousarray(at[late]),
                data=data,
            )
        )
        self.progress.late += rows.num_rows
        kept = np.flatnonzero(~late)
        return batch.take(pa.array(kept)), offsets[kept]

    def _reject(self, batch: pa.RecordBatch, offsets: Ints, rows: list[int], reasons: list[str]) -> None:
        """Send bad records to the dead letters with the reason, the original and where it came from."""
        self._bury(
            [
                {
                    "source_topic": self._source,
                    "source_partition": self._partition,
                    "source_offset": int(offsets[row]),
                    "reason": reason,
                    "record_key": self._reading.keys[int(offsets[row]) - self._reading.base_offset].as_py(),
                    "value": record_bytes(batch.slice(row, 1)),
                }
                for row, reason in zip(rows, reasons, strict=True)
            ]
        )
        self.progress.rejected += len(rows)

    def _reject_bars(self, bars: Batch, overflows: list[Overflow]) -> None:
        """Send finished bars to the dead letters in which a selected column is null since it leaves 64 bits."""
        finished = np.asarray(bars.data.column("final")) if self._plan.query.continuous else np.True_
        for overflow in overflows:
            self._bury(
                [
                    {
                        "source_topic": bars.topic,
                        "source_partition": bars.partition,
                        "source_offset": None,
                        "reason": f"column {overflow.column!r} leaves 64 bits",
                        "record_key": bars.keys[row].as_py(),
                        "value": record_bytes(bars.data.slice(row, 1)),
                    }
                    for row in np.flatnonzero(overflow.rows & finished).tolist()
                ]
            )

    def _bury(self, data: list[dict[str, Any]]) -> None:
        if not data:
            return
        origins = [(r["source_topic"], r["source_partition"], r["source_offset"]) for r in data]
        record_keys = [keys.encode([t, p, -1 if offset is None else offset]) for t, p, offset in origins]
        self._outbox.batches.append(
            Batch(
                topic=DEAD_LETTERS,
                partition=0,
                keys=pa.array(record_keys, pa.binary()),
                timestamps=np.zeros(len(data), dtype=np.int64),
                data=pa.RecordBatch.from_pylist(data, schema=DEAD_SCHEMA),
            )
        )
