"""Runs one query on one partition of a log: ticks and heartbeats in, bars out, exactly once.

Bars, late ticks, dead letters and how far has been read go into the log in one append. After a crash the reading starts
where the last append ended, and bars that say (by `source_cut`) that they include a tick skip it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa

from ashioto import naming
from ashioto.engines.embedded.batch import overflow_error
from ashioto.engines.embedded.beats import Beats
from ashioto.engines.embedded.core import BEGINNING, BarCore, Overflow
from ashioto.engines.embedded.fold import FoldCounts, SumOverflow
from ashioto.engines.embedded.following import Follower
from ashioto.engines.embedded.intake import Intake, Overtaken
from ashioto.engines.embedded.outbox import Outbox
from ashioto.engines.embedded.progress import Progress, Start, progress_batch, progress_key, read_progress
from ashioto.engines.embedded.rebuild import Rebuild, begin_rebuild, old_bars
from ashioto.engines.embedded.refusing import OpaqueBars, refuse_opaque, ticks_inside
from ashioto.engines.embedded.residency import Residency
from ashioto.engines.embedded.ticks import prepare
from ashioto.engines.embedded.topics import bars_batch
from ashioto.schema.arrow import int64_view

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from ashioto.bars.algebra import Ints
    from ashioto.engines.embedded.beats import Beat
    from ashioto.engines.embedded.plan import CompiledQuery
    from ashioto.engines.embedded.reschedule import Change
    from ashioto.engines.embedded.sessions import SessionBook
    from ashioto.log.base import Batch, Fence, Log, Slice
    from ashioto.logical.nodes import Query
    from ashioto.period import Period

MAX_ROWS: Final = 1 << 18
MAX_BARS: Final = 200_000
"""About how many bars one flush lays out at most, so that a long catch-up needs no more memory than a short one."""


class BarsReadBack(Exception):  # noqa: N818  # control flow inside the engine, never shown
    """Says that a bar that was read back ends inside the piece that is folded, so that it must be cut there."""


class PartitionRunner:
    """Runs a query on one partition.

    Args:
        log: Where everything is.
        plan: The query.
        book: Its keys and their schedules.
        partition: Number of the partition.
        env: Prefix parts of the offsets key.
        identity: Name of the version inside its context, under which its progress is kept; None is the query's name.
        start: Where it begins if it has no progress yet.
        fence: What its appends carry.
    """

    def __init__(
        self,
        log: Log,
        plan: CompiledQuery,
        book: SessionBook,
        partition: int,
        *,
        env: tuple[str, ...] = ("dev", "local"),
        identity: str | None = None,
        start: Start | None = None,
        fence: Fence | None = None,
    ) -> None:
        query = plan.query
        self._log, self._plan, self._book, self._partition, self._fence = log, plan, book, partition, fence
        self._source = naming.topic(query.context, query.entity.name)
        self.progress = self._restored([*env, identity or query.name], Start() if start is None else start)
        self._core = BarCore(plan, book)
        self._core.now = self.progress.now_ms
        self._rebuild = None if self.progress.rebuild is None else Rebuild.parse(self.progress.rebuild)
        self._sweep: Iterator[Batch] | None = None
        follower = Follower(log, query, partition, self.progress.followed, self._rebuild)
        self._residency = Residency(log, self._core, partition=partition, rebuild=self._rebuild, sparse=follower.sparse)
        self._residency.met_ticks = self.progress.ticks > 0
        self._residency.restore()
        follower.sparse = self._residency.sparse()
        self._intake = Intake(log, self._core, self._residency, follower, partition)
        self._written = self.progress.source_offset
        self.stale = False
        """Whether a bar that somebody else wrote has overtaken what is in memory: begin again from the log."""
        self._refused = False
        self.before_ticks: Callable[[], None] = _do_nothing
        """Called with ticks at hand, before they are folded: what was known of schedules before may be older."""
        self._core.before_touch = self._require
        self._core.before_change = self._residency.recall
        self._piece = 0, -1
        self._beats = Beats(log, query, partition, self.progress.hb_offset)
        self._outbox = Outbox(query, partition)
        self._dirty = self._urgent = self._behind = False

    @property
    def written(self) -> int:
        """Offset below which all ticks are in bars in the log."""
        return self._written

    def opening(self) -> tuple[bytes, Progress] | None:
        """Return key and progress to record before the first poll, or None where the log says it all already."""
        return None if self._recorded else (self._key, self.progress)

    def poll(self) -> bool:
        """Read what is new, once.

        Returns:
            Whether anything was read.
        """
        if self._behind:
            return self._apply_beats()
        beats = self._beats.read()
        ticks = self._take_ticks()
        return self._apply_beats() or beats or ticks

    @property
    def urgent(self) -> bool:
        """Whether the next flush holds final bars, which are not kept waiting, or very many."""
        return self._urgent or self._core.touched > MAX_BARS

    def flush(self, now_ms: int) -> int:
        """Append every changed bar and how far has been read.

        Args:
            now_ms: The time, for the record of the progress.

        Returns:
            How many bars were written.
        """
        if not self._dirty:
            return 0
        self.follow(now_ms)
        if self.stale:
            return 0
        written = 0
        overflows: list[Overflow] = []
        for period, table in self._core.changed(overflows=overflows).items():
            if table.num_rows:
                bars = bars_batch(self._plan, period, self._partition, table)
                self._outbox.batches.append(bars)
                written += table.num_rows
                self._outbox.reject_bars(bars, [o for o in overflows if o.period == period])
        self._refused = True
        self._append(self._outbox.batches, now_ms)
        self._refused = False
        self._outbox.batches.clear()
        self._dirty = self._urgent = False
        self._residency.evict()
        self._put_back(now_ms)
        return written

    def follow(self, now_ms: int, ends: Mapping[Period, int] | None = None) -> bool:
        """Take in the bars that others have written.

        Args:
            now_ms: The time, for the record of the progress.
            ends: Where the bars topics end; None looks.

        Returns:
            Whether there was anything.
        """
        try:
            self._put_back(now_ms)
            found = self._intake.follow(ends)
        except Overtaken:
            self.stale = found = True
        self.stale = self.stale or (found and self._refused)  # bars wait to be written that may be older
        self._dirty = self._dirty or found
        return found

    @property
    def repairing(self) -> bool:
        """Whether there is something to put right behind bars that others have written."""
        return self._intake.repairs.due and (self._rebuild is None or self.rebuilt)

    def repair(self, now_ms: int) -> int:
        """Put some of it right, after all that has been read is written.

        Args:
            now_ms: The time, for the record of the progress.

        Returns:
            How many bars were written.
        """
        written = self.flush(now_ms)
        if self.stale:
            return written
        if (batch := self._intake.repairs.step()) is not None:
            self._append([batch], now_ms)
            written += len(batch.keys)
            self._put_back(now_ms)
        self._dirty = self._dirty or not self.repairing
        return written

    def reschedule(self, changes: Iterable[Change], offset: int) -> None:
        """Follow changed schedules, also where they change what has been.

        Args:
            changes: What changed, and for which keys.
            offset: Up to which record the schedule has been read.
        """
        moved = [self._core.reschedule(change) for change in changes]
        self.progress.schedule_offset = offset
        self._dirty = True
        self._urgent = self._urgent or any(moved)

    @property
    def rebuilt(self) -> bool:
        """Whether all that was there when a rebuild began has been read, so that what is left of older bars can go."""
        return (
            self._rebuild is not None
            and not self._behind
            and self.progress.source_offset >= self._rebuild.target
            and self._beats.done >= self._rebuild.beats
        )

    def sweep(self, now_ms: int) -> None:
        """Delete some thousands of the bars of older versions that nothing took the place of.

        Args:
            now_ms: The time, for the record of the progress.
        """
        if self._rebuild is None:
            return
        self.flush(now_ms)
        if self.stale:
            return
        if self._sweep is None:
            self._sweep = old_bars(self._log, self._plan.query, self._partition, self._rebuild)
        if (batch := next(self._sweep, None)) is not None:
            self._append([batch], now_ms)
            return
        self.progress.rebuild = self._rebuild = self._sweep = self._residency.rebuild = None
        self._append([], now_ms)

    def _append(self, batches: list[Batch], now_ms: int) -> None:
        """Append records, and how far has been read and followed."""
        self.progress.followed = self._intake.text(batches, self._written)
        record = progress_batch([(self._key, self.progress)], now_ms)
        self._intake.appended(self._log.append([*batches, record], fence=self._fence))
        self._written = self.progress.source_offset

    def _put_back(self, now_ms: int) -> None:
        """Write bars again that were written by others at the very moment of an append, and overwritten by it."""
        while (batches := self._intake.overwritten(self._outbox)) is not None:
            if batches:
                self._append(batches, now_ms)

    def _restored(self, names: list[str], start: Start) -> Progress:
        """Return the progress to go on from, and note whether it stands in the log as it is."""
        *env, identity = names
        context = self._plan.query.context
        self._key = progress_key(tuple(env), context, identity, self._partition)
        known = read_progress(self._log, self._key)
        self._recorded = known is not None and known.problem is None
        if known is None and start.begins == "previous":
            known = self._taken_over(tuple(env), start)
        if known is not None:
            return replace(known, problem=None)
        if start.begins == "previous":
            return Progress()
        identities = [progress_key(tuple(env), context, name, self._partition) for name in start.older]
        older = [read_progress(self._log, key) for key in identities]
        before = max((p.source_offset for p in older if p is not None), default=0)
        return first_progress(self._log, self._plan.query, self._partition, before=before)

    def _taken_over(self, env: tuple[str, ...], start: Start) -> Progress | None:
        """Return the progress of the newest older version that has any; bars that are final sooner are yet to be so."""
        query = self._plan.query
        for identity, grace in zip(start.older, start.graces, strict=True):
            known = read_progress(self._log, progress_key(env, query.context, identity, self._partition))
            if known is not None:
                sooner = max(grace - query.grace_ms, 0) if known.now_ms > BEGINNING else 0
                return replace(known, now_ms=known.now_ms - sooner)
        return None

    def _apply_beats(self) -> bool:
        """Apply the heartbeats whose cut has been read, as far as one flush can hold; the others wait."""
        applied = self._behind = False
        while not self._behind and (run := self._beats.ready(self.progress.source_offset)):
            applied = True
            self._advance(run)
            if not self._behind:
                self.progress.hb_offset = self._beats.drop(len(run))
        if applied:
            self.progress.now_ms = self._core.now
            self._dirty = self._urgent = True
        return applied

    def _advance(self, run: list[Beat]) -> None:
        """Follow heartbeats of one sender; one that has been replaced does not count, its clock may be behind."""
        if run[0].epoch < self.progress.epoch:
            return
        if run[0].epoch > self.progress.epoch:
            self._new_epoch(run[0])
        due = max(beat.due for beat in run)
        reached = self._core.reachable(due, MAX_BARS)
        self._core.advance(reached)
        self._behind = reached < due

    def _new_epoch(self, beat: Beat) -> None:
        """Follow a new sender of heartbeats; what it sends again sets no clock back, only one that says so does."""
        self.progress.epoch = beat.epoch
        if beat.sets and beat.due < self._core.now:
            self._core.now = beat.due - 1

    def _take_ticks(self) -> bool:
        found = self._log.read(self._source, self._partition, self.progress.source_offset, max_rows=MAX_ROWS)
        if found is None:
            return False
        if len(found.keys):
            self._take(found)
        self.progress.source_offset = found.next_offset
        self._dirty = True
        return True

    def _take(self, found: Slice) -> None:
        self.before_ticks()
        self._residency.met_ticks = True
        self._reading = found
        self._fold(*self._divert_late(*self._without_deletions(found)), found.next_offset - 1)
        self._residency.cuts = {c for c in self._residency.cuts if c >= found.next_offset}

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
        except OpaqueBars as bars:
            refused = np.searchsorted(offsets, ticks_inside(self._plan.query, self._book, prepared.ticks, bars))
            self._fold(*self._late(batch, offsets, refused, bars.reason), cut)
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
        refuse_opaque(self._core.tables[period], period, codes, starts, cut)

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
        late = int64_view(batch.column(query.entity.timestamp or "")) < horizon
        for column in batch.columns if late.any() else ():
            if column.null_count:  # a bad record, however late
                late &= column.is_valid().to_numpy(zero_copy_only=False)
        if not late.any():
            return batch, offsets
        return self._late(batch, offsets, np.flatnonzero(late))

    def _late(
        self, batch: pa.RecordBatch, offsets: Ints, rows: Ints, why: str | None = None
    ) -> tuple[pa.RecordBatch, Ints]:
        """Send some ticks to the late topic; returns the others."""
        self._outbox.late(batch.take(pa.array(rows)), why)
        self.progress.late += rows.size
        kept = np.setdiff1d(np.arange(batch.num_rows), rows)
        return batch.take(pa.array(kept)), offsets[kept]

    def _reject(self, batch: pa.RecordBatch, offsets: Ints, rows: list[int], reasons: list[str]) -> None:
        self._outbox.reject(self._reading, batch, offsets, rows, reasons)
        self.progress.rejected += len(rows)


def _do_nothing() -> None:
    """Do nothing: schedules never change."""


def first_progress(log: Log, query: Query, partition: int, *, before: int = 0) -> Progress:
    """Return the progress of a version that makes every bar anew, from the first tick there is.

    Args:
        log: Where source and bars are.
        query: What is built.
        partition: Number of the partition.
        before: Offset of the source up to which older versions have read.
    """
    rebuild = begin_rebuild(log, query, partition, before=before)
    if rebuild is None:
        return Progress()
    beats = naming.heartbeat_topic(query.context, query.entity.name)
    return Progress(
        source_offset=log.describe(naming.topic(query.context, query.entity.name)).start_offsets[partition],
        hb_offset=log.describe(beats).start_offsets[partition] if query.continuous else 0,
        rebuild=rebuild.text(),
    )
