"""Puts right what stands behind bars that others wrote or deleted: synthetic bars, and bars that look back.

It works from the log, window by window, and writes only what differs from what is there. So it holds little in memory
however many bars were imported, and doing it twice changes nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ashioto import keys
from ashioto.engines.embedded.core import BarCore, coalesce
from ashioto.engines.embedded.frames import FOREVER
from ashioto.engines.embedded.rebuild import is_old, pages
from ashioto.engines.embedded.residency import load_bars
from ashioto.engines.embedded.topics import bars_batch
from ashioto.log.base import Batch
from ashioto.period import DAY_MS
from ashioto.schema.arrow import int64_view

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ashioto.bars.algebra import Ints
    from ashioto.engines.embedded.residency import Residency
    from ashioto.log.base import Log, ViewPage
    from ashioto.period import Period
    from ashioto.schedule.sessions import Flags

WINDOW: Final = 16_384
"""How many buckets of a key are looked at together."""
ENOUGH: Final = 65_536
"""About how many records of all keys are looked at together."""
Job = tuple["Period", bool]
"""A frame, and whether it is about bars that look back, or about bars without ticks."""
_NEAR: Final = 64
_NO_RANGES: Final = np.zeros((0, 3), dtype=np.int64)


class Repairs:
    """Knows behind which bars something may have to be written.

    Args:
        log: Where the bars are.
        core: Tells the query, the keys and the time.
        residency: Tells which bars count.
        partition: Number of the partition.
    """

    def __init__(self, log: Log, core: BarCore, residency: Residency, partition: int) -> None:
        self._log, self._core, self._residency, self._partition = log, core, residency, partition
        self._ranges: dict[Job, Ints] = {}

    def add(self, period: Period, codes: Ints, starts: Ints) -> None:
        """Note bars that others wrote or deleted.

        Args:
            period: The frame.
            codes: Numbers of their keys; shape (n,).
            starts: Their bucket starts, ms; shape (n,).
        """
        if not starts.size:
            return
        order = np.lexsort((starts, codes))
        codes, starts = codes[order], starts[order]
        near = (np.diff(codes, prepend=-1) == 0) & (np.diff(starts, prepend=0) <= _NEAR * _length(period))
        heads = np.flatnonzero(~near)
        tails = np.append(heads[1:], starts.size) - 1
        ranges = np.stack([codes[heads], starts[heads], starts[tails]], axis=1)
        if self._core.plan.query.continuous:
            self._keep((period, False), ranges)
        if self._core.plan.ripples:
            self._keep((period, True), ranges)

    def has(self, period: Period) -> bool:
        """Return whether anything of a frame is left to do."""
        return any(bool(ranges.size) for (frame, _), ranges in self._ranges.items() if frame == period)

    @property
    def due(self) -> bool:
        """Whether anything can be done by now."""
        return self._next() is not None

    def step(self) -> Batch | None:
        """Look at one window of one frame; returns what must be written."""
        job = self._next()
        return None if job is None else self._step(job, self._ranges[job])

    def _next(self) -> Job | None:
        found = (j for j, r in self._ranges.items() if r.shape[0] and int(r[:, 1].min()) <= self._horizon(j))
        return next(found, None)

    def _horizon(self, job: Job) -> int:
        """Return the last bucket start to look at: what is filled must exist; a date may begin before its midnight."""
        period, looks_back = job
        if looks_back:
            return FOREVER - 1
        return self._core.now + (0 if period.is_intraday else 3 * DAY_MS)

    def _step(self, job: Job, ranges: Ints) -> Batch | None:
        period, looks_back = job
        low, horizon = int(ranges[:, 1].min()), self._horizon(job)
        last = min(low + WINDOW * period.millis - 1, horizon) if period.is_intraday else horizon
        inside = ranges[ranges[:, 1] <= last]
        seen = 0
        window = _Window(self._log, self._core, self._residency, period)
        left = [ranges[ranges[:, 1] > last]]
        for code in np.unique(inside[:, 0]).tolist():
            mine = inside[inside[:, 0] == code]
            if seen >= ENOUGH:
                left.append(mine)
                continue
            seen += window.read(code, mine, last, None if looks_back else horizon)
        self._ranges[job] = _NO_RANGES
        for rest in [*left, *window.left()]:
            self._keep(job, rest)
        return window.differences(self._partition)

    def _keep(self, job: Job, ranges: Ints) -> None:
        joined = np.concatenate([self._ranges.get(job, _NO_RANGES), ranges])
        if joined.shape[0] > 1:
            joined = coalesce(joined[np.lexsort((joined[:, 1], joined[:, 0]))])
        self._ranges[job] = joined


class _Window:
    """Lays the bars of some keys between two bucket starts out again, and compares them with what is there."""

    def __init__(self, log: Log, core: BarCore, residency: Residency, period: Period) -> None:
        self._log, self._residency, self._period = log, residency, period
        self._plan, self._names = core.plan, core.book.names
        self._core = BarCore(core.plan, core.book)
        self._core.now = core.now
        self._topic = residency.topic(period)
        self._pages: list[ViewPage] = []
        self._ranges: list[tuple[int, int, int]] = []
        self._left: list[tuple[int, int, int]] = []
        self._orphans: list[tuple[ViewPage, Ints]] = []
        self._last = 0

    def read(self, code: int, ranges: Ints, last: int, horizon: int | None) -> int:
        """Read the bars of a key up to `last`; returns how many records that were.

        Args:
            code: Number of the key.
            ranges: (key, first, last) bucket start of what others changed, ms.
            last: The last bucket start to look at, ms.
            horizon: The last one of all windows, ms; None is the newest bar of the key.
        """
        self._last, low = last, int(ranges[:, 1].min())
        prefix = keys.encode(self._names[code]) + keys.SEPARATOR.encode()
        stop = prefix + (b"\xff" if last >= FOREVER - 1 else keys.time_part(last + 1).encode())
        start = prefix + keys.time_part(max(low, 0)).encode()
        found = list(pages(self._log, self._topic, start, stop))
        before = self._before(prefix, start)
        bars = [page.data.filter(pa.array(self._residency.readable(self._period, page))) for page in found]
        real = pa.Table.from_batches([*before, *bars]) if before or bars else None
        starts = np.zeros(0, dtype=np.int64)
        if real is not None and real.num_rows:
            load_bars(self._core, self._period, np.full(real.num_rows, code), real)
            starts = np.sort(int64_view(real["bucket_start"]))
        if horizon is None:
            newest = self._log.view(self._topic, start=prefix, stop=prefix + b"\xff", limit=1, reverse=True).keys
            horizon = int(keys.decode(newest[0])[-1]) if newest else low
        self._span(code, ranges, starts, horizon)
        self._orphan(found, ranges, starts)
        self._pages += found
        return sum(len(page.keys) for page in found)

    def left(self) -> list[Ints]:
        """Return what goes on behind this window."""
        return [np.array(self._left, dtype=np.int64)] if self._left else []

    def differences(self, partition: int) -> Batch | None:
        """Return the bars that are not as they should be, as records."""
        parts = [_records(self._topic, partition, page, rows) for page, rows in self._orphans]
        if self._ranges and (made := self._made(partition)) is not None:
            parts.append(made)
        return _joined(parts) if parts else None

    def _before(self, prefix: bytes, stop: bytes) -> list[pa.RecordBatch]:
        """Return the newest bar with ticks before a key, if there is one."""
        limit = 2
        while True:
            page = self._log.view(self._topic, start=prefix, stop=stop, limit=limit, reverse=True)
            rows = np.flatnonzero(self._residency.readable(self._period, page))
            if rows.size:
                return [page.data.slice(int(rows[0]), 1)]
            if len(page.keys) < limit:
                return []
            stop, limit = page.keys[-1], min(4 * limit, 8192)

    def _span(self, code: int, ranges: Ints, starts: Ints, horizon: int) -> None:
        """Note what may differ: from each change to the next bar with ticks, and that too where it looks back."""
        ripples = self._plan.ripples
        for _, first, final in ranges.tolist():
            after = int(np.searchsorted(starts, final, "right"))
            until = int(starts[after]) - (0 if ripples else 1) if after < starts.size else FOREVER
            if starts.size:
                self._ranges.append((code, first, min(until, self._last)))
            if until > self._last and (final > self._last or self._last < horizon):
                self._left.append((code, self._last + 1, max(final, self._last + 1)))

    def _orphan(self, found: Sequence[ViewPage], ranges: Ints, starts: Ints) -> None:
        """Note bars without ticks that no bar stands before any more: they carry nothing."""
        if not self._plan.query.continuous:
            return
        first_bar = int(starts[0]) if starts.size else FOREVER
        for page in found:
            begins = int64_view(page.data.column("bucket_start"))
            gone = np.asarray(page.data.column("synthetic")) & (begins < first_bar) & (begins >= ranges[:, 1].min())
            gone &= ~self._old(page)
            if gone.any():
                self._orphans.append((page, np.flatnonzero(gone)))

    def _old(self, page: ViewPage) -> Flags:
        rebuild = self._residency.rebuild
        if rebuild is None:
            return np.zeros(len(page.keys), dtype=np.bool_)
        return is_old(page, rebuild.floor(self._period))

    def _made(self, partition: int) -> Batch | None:
        ranges = np.array(self._ranges, dtype=np.int64)
        self._core.only(self._period, coalesce(ranges[np.lexsort((ranges[:, 1], ranges[:, 0]))]))
        table = self._core.changed(overflows=[])[self._period]
        if not table.num_rows:
            return None
        made = bars_batch(self._plan, self._period, partition, table)
        there = {key: (n, row) for n, page in enumerate(self._pages) for row, key in enumerate(self._kept(page))}
        at = [there.get(key, (-1, -1)) for key in made.keys.to_pylist()]
        known = np.flatnonzero([n >= 0 for n, _ in at])
        differs = np.ones(len(made.keys), dtype=np.bool_)
        if known.size:
            sizes = np.cumsum([0, *(len(page.keys) for page in self._pages)])
            rows = np.array([sizes[at[k][0]] + at[k][1] for k in known.tolist()])
            stored = pa.Table.from_batches([page.data for page in self._pages]).take(pa.array(rows))
            differs[known] = _differs(made.data.take(pa.array(known)), stored)
        return _taken(made, np.flatnonzero(differs)) if differs.any() else None

    def _kept(self, page: ViewPage) -> list[bytes | None]:
        """Return the keys of a page, without those of older versions."""
        return [None if gone else key for key, gone in zip(page.keys, self._old(page).tolist(), strict=True)]


def _differs(made: pa.RecordBatch, there: pa.Table) -> Flags:
    """Return which bars must be written: those that are unlike, but nothing empty in place of a bar with ticks."""
    unlike = np.zeros(made.num_rows, dtype=np.bool_)
    for field in made.schema:
        one, other = made.column(field.name), there[field.name].combine_chunks().cast(field.type)
        same = pc.or_(pc.equal(one, other).fill_null(False), pc.and_(pc.is_null(one), pc.is_null(other)))
        unlike |= ~np.asarray(same)
    empty, real = np.asarray(made.column("synthetic")), ~np.asarray(there["synthetic"].combine_chunks())
    found: Flags = unlike & ~(empty & real)
    return found


def _taken(batch: Batch, rows: Ints) -> Batch:
    at = pa.array(rows)
    return Batch(
        topic=batch.topic, partition=batch.partition, keys=batch.keys.take(at), timestamps=batch.timestamps[rows],
        data=batch.data.take(at),
    )  # fmt: skip


def _records(topic: str, partition: int, page: ViewPage, rows: Ints) -> Batch:
    return Batch(
        topic=topic,
        partition=partition,
        keys=pa.array([page.keys[row] for row in rows.tolist()], pa.binary()),
        timestamps=page.timestamps[rows],
        data=page.data.take(pa.array(rows)),
        tombstones=np.ones(rows.size, dtype=np.bool_),
    )


def _joined(parts: Sequence[Batch]) -> Batch:
    if len(parts) == 1:
        return parts[0]
    schema = parts[-1].data.schema.remove_metadata()
    tables = [pa.Table.from_batches([part.data]).select(schema.names).cast(schema) for part in parts]
    gone = [np.zeros(len(p.keys), dtype=np.bool_) if p.tombstones is None else p.tombstones for p in parts]
    return Batch(
        topic=parts[0].topic,
        partition=parts[0].partition,
        keys=pa.concat_arrays([part.keys for part in parts]),
        timestamps=np.concatenate([part.timestamps for part in parts]),
        data=pa.concat_tables(tables).combine_chunks().to_batches()[0],
        tombstones=np.concatenate(gone),
    )


def _length(period: Period) -> int:
    return period.millis if period.is_intraday else DAY_MS
