"""The bars of one query: a function of the set of ticks folded in and of the time, and nothing else.

`fold` takes ticks in any order and any batches, `advance` says how late it is, `changed` gives every bar that is not as
it was when it was last asked. Streaming and batch are the same three calls; they differ in how often they are made.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

import numba as nb
import numpy as np

from ashioto.bars.algebra import (
    CUT,
    DAY,
    FIRST_AT,
    FIXED,
    KEY,
    LAST_AT,
    START,
    Floats,
    Ints,
    count_runs,
    program,
    roll_up,
)
from ashioto.engines.embedded.fold import Folder, SumOverflow
from ashioto.engines.embedded.frames import FOREVER, RESTORE, FrameTable, dirty_ranges, lay_out
from ashioto.engines.embedded.imported import GIVEN
from ashioto.engines.embedded.output import BarRows, PartialRows, bar_schema, bar_table, refuse_overflow
from ashioto.engines.embedded.reschedule import differing
from ashioto.period import DAY_MS
from ashioto.schedule.buckets import (
    NO_BUCKETS,
    bucket_end,
    bucket_start,
    closings_between,
    frame_buckets,
    openings_between,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    import pyarrow as pa

    from ashioto.engines.embedded.fold import FoldCounts, TickColumns
    from ashioto.engines.embedded.imported import Labels
    from ashioto.engines.embedded.plan import CompiledQuery
    from ashioto.engines.embedded.reschedule import Change
    from ashioto.engines.embedded.sessions import SessionBook
    from ashioto.logical.nodes import DataType
    from ashioto.period import Period
    from ashioto.schedule.buckets import Buckets
    from ashioto.schedule.sessions import Flags, Sessions

BEGINNING: Final = -(2**62)
"""A time before every session: nothing exists yet."""
_ROOM: Final = 2.0**62
"""What sums stay below for certain while nobody checks them one by one."""


@nb.njit(cache=True, nogil=True)
def coalesce(ranges: Ints) -> Ints:
    """Join overlapping (key, first, last) ranges that are sorted by key and first.

    >>> coalesce(np.array([[0, 1, 5], [0, 3, 9], [1, 0, 0]])).tolist()
    [[0, 1, 9], [1, 0, 0]]
    """
    out = np.empty_like(ranges)
    n = 0
    for i in range(ranges.shape[0]):
        if n and out[n - 1, 0] == ranges[i, 0] and ranges[i, 1] <= out[n - 1, 2]:
            out[n - 1, 2] = max(out[n - 1, 2], ranges[i, 2])
        else:
            out[n, :] = ranges[i, :]
            n += 1
    return out[:n]


@dataclass(frozen=True, slots=True, kw_only=True)
class Overflow:
    """Says in which bars of a frame a selected column leaves 64 bits.

    Args:
        period: The frame.
        column: The column.
        rows: A mask over the bars of the frame.
    """

    period: Period
    column: str
    rows: Flags


def _note(found: list[Overflow], period: Period, column: str, _: DataType, rows: Flags) -> None:
    found.append(Overflow(period=period, column=column, rows=rows))


class BarCore:
    """Holds the bars of one query in one partition.

    Args:
        plan: The query.
        book: Its keys and their schedules.
    """

    def __init__(self, plan: CompiledQuery, book: SessionBook) -> None:
        self.plan, self.book = plan, book
        self.now = BEGINNING
        self._folder = Folder(plan, book)
        self._ops = program(plan.slots)
        self._sums = [s.column for s in plan.slots if s.func == "sum" and not s.is_float]
        self._weight = dict.fromkeys(self._sums, 0.0)
        self._sources = roll_up_sources(plan.query.frames)
        self.tables = {f: FrameTable(FIXED + plan.int_width, plan.float_width) for f in plan.query.frames}
        self._reach: dict[int, int] = {}
        self.before_touch: Callable[[Period, Ints, Ints], None] = _all_in_memory
        self.before_change: Callable[[Period, Ints, Ints], None] = _all_in_memory
        self.touched = 0
        self._moved: dict[Period, list[Ints]] = {f: [] for f in plan.query.frames}
        self._labels: dict[tuple[Sessions, Period], Ints] = {}

    def fold(self, ticks: TickColumns, *, cut: int = -1) -> FoldCounts:
        """Take ticks in.

        Args:
            ticks: The ticks.
            cut: Source offset they reach to; bars that include it already are left alone.

        Raises:
            SumOverflow: A sum would leave 64 bits; nothing of these ticks was taken.
        """
        try:
            counts = self._folder.fold(ticks)
            self.take(*self._folder.partials(), cut=cut)
        finally:
            self._folder.clear()
        return counts

    def take(self, ints: Ints, floats: Floats, *, cut: int = -1, among: Flags | None = None) -> None:
        """Merge partial bars of base buckets into every frame; all or nothing.

        Args:
            ints: The partials; CUT holds the open of their session.
            floats: Their float aggregates.
            cut: Source offset they reach to, or -1.
            among: Which keys, by number; None means all.

        Raises:
            SumOverflow: A sum would leave 64 bits.
        """
        if among is not None:
            kept = among[ints[:, KEY]]
            ints, floats = (ints, floats) if kept.all() else (ints[kept], floats[kept])
        if not ints.shape[0]:
            return
        parts = self._rolled_up(*_in_order(ints, floats))
        self._weigh(ints)
        for period, table in self.tables.items():
            table.reserve_keys(self.book.keys)
            rows = parts[period][0]
            self.before_touch(period, rows[:, KEY], rows[:, START])
            if self._may_overflow and (op := table.overflow(self._ops, rows)) >= 0:
                raise SumOverflow(op)
        for period, table in self.tables.items():
            table.merge(self._ops, *parts[period], cut=cut)
            self.touched += parts[period][0].shape[0]

    def load(self, period: Period, ints: Ints, floats: Floats, labels: Labels | None = None) -> None:
        """Put bars that were read back into a frame, as they are; those already there stay.

        Args:
            period: The frame.
            ints: The bars.
            floats: Their float aggregates.
            labels: Where they come from; None means the stream.
        """
        table = self.tables[period]
        table.reserve_keys(self.book.keys)
        self._weigh(ints)
        place = ints[:, KEY], ints[:, START]
        fresh = table.locate(*place) < 0 if labels is not None else np.zeros(0, dtype=np.bool_)
        table.merge(self._ops, *_in_order(ints, floats), cut=RESTORE)
        if labels is not None:
            table.label(table.locate(*place)[fresh], labels.take(fresh))

    def advance(self, now: int) -> None:
        """Say that it is `now` (ms): buckets begin to exist, and end."""
        if now <= self.now or not self.plan.query.continuous:
            self.now = max(now, self.now)
            return
        grace = self.plan.query.grace_ms
        for sessions, keys in self._followers():
            for period, table in self.tables.items():
                held = keys[table.ends[keys, 1] >= 0]
                if not held.shape[0]:
                    continue
                align = self.plan.query.align
                since = max(self.now, self._earliest(period, held) - 1)
                opened = openings_between(sessions, period, align, since, now)
                closed = closings_between(sessions, period, align, since - grace, now - grace)
                for buckets in (opened, closed):
                    if buckets.start.shape[0]:
                        self._moved[period].append(_spread(held, int(buckets.start[0]), int(buckets.start[-1])))
        self.now = now

    def reachable(self, until: int, most: int) -> int:
        """Return up to when time may go on, ms, so that about `most` bars at most begin to exist or end.

        Args:
            until: The latest answer, ms.
            most: How many bars; it is always far enough for one bucket of each key.
        """
        if until <= self.now or not self.plan.query.continuous:
            return until
        each = sum((until - self.now) // _size(period) + 2 for period in self.tables)
        if each * self.book.keys <= most:
            return until
        spans = list(self._spans())
        low = max(self.now, min((since for _, _, since in spans), default=until)) + _size(self.plan.query.base)
        if low >= until or self._at_most(spans, until) <= most:
            return until
        high = until
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if self._at_most(spans, middle) <= most else (low, middle)
        return low

    def reschedule(self, change: Change) -> bool:
        """Lay the buckets out again that exist already and differ in new schedules; returns whether there are any."""
        found = False
        self._labels.clear()
        for period, table in self.tables.items():
            table.reserve_keys(self.book.keys)
            held = change.codes[table.ends[change.codes, 1] >= 0]
            if not held.shape[0] or not self.plan.query.continuous:
                continue
            runs = differing(change.before, change.after, period, self.plan.query.align, self.now)
            if runs.shape[0]:
                self.before_change(period, held, runs)
                self._moved[period] += [_spread(held, first, last) for first, last in runs.tolist()]
                found = True
        return found

    def _followers(self) -> Iterator[tuple[Sessions, Ints]]:
        """Yield every schedule with the numbers of the keys that follow it."""
        for table in self.tables.values():
            table.reserve_keys(self.book.keys)
        groups = self.book.groups[: self.book.keys]
        order = np.argsort(groups, kind="stable")
        edges = np.searchsorted(groups[order], np.arange(len(self.book.group_sessions()) + 1))
        for group, sessions in enumerate(self.book.group_sessions()):
            yield sessions, order[edges[group] : edges[group + 1]]

    def _earliest(self, period: Period, held: Ints) -> int:
        """Return when the first bars of some keys begin, ms."""
        table = self.tables[period]
        return int(table.ints[table.ends[held, 0], START if period.is_intraday else FIRST_AT].min())

    def _spans(self) -> Iterator[tuple[Sessions, int, int]]:
        """Yield every schedule, how many keys with bars follow it, and from when on time moves for them, ms."""
        base = self.plan.query.base
        for sessions, keys in self._followers():
            held = keys[self.tables[base].ends[keys, 1] >= 0]
            if held.shape[0]:
                yield sessions, held.shape[0], max(self.now, self._earliest(base, held) - 1)

    def _at_most(self, spans: Sequence[tuple[Sessions, int, int]], until: int) -> int:
        """Return how many bars may begin to exist or end, a little more rather than less."""
        total = 0
        for sessions, keys, since in spans:
            first, last = sessions.touching(since - self.plan.query.grace_ms, until + 1)
            if first < last:
                low, high = max(since, int(sessions.opens[first])), min(until, int(sessions.closes[last - 1]))
                parts = 2 if self.plan.query.align == "clock" else last - first + 1
                total += keys * sum(max(high - low, 0) // _size(period) + parts for period in self.tables)
        return total

    def reach(self) -> dict[int, int]:
        """Return when the last market date that ticks fell on ends, ms, by number of the schedule."""
        table = self.tables[self.plan.query.base]
        rows = table.live_rows()
        groups = self.book.groups[table.ints[rows, KEY]]
        found = {}
        for group, sessions in enumerate(self.book.group_sessions()):
            mine = rows[groups == group]
            if mine.shape[0]:
                last = sessions.days[sessions.index_of(table.ints[mine, LAST_AT].max(keepdims=True))]
                found[group] = int(sessions.closes[sessions.days == last].max())
        return found

    def trim(self, reach: Mapping[int, int]) -> None:
        """Let no bucket exist that begins after these times, as `reach` gives them: fill ends with the ticks."""
        self._reach = dict(reach)

    def everything(self) -> None:
        """Count every bar of every key as changed."""
        for period, table in self.tables.items():
            table.reserve_keys(self.book.keys)
            held = np.flatnonzero(table.ends[:, 1] >= 0)
            self._moved[period].append(_spread(held, BEGINNING, FOREVER))

    def only(self, period: Period, ranges: Ints) -> None:
        """Count these bars as changed, and no others.

        Args:
            period: The frame.
            ranges: (key, first start, last start), ms; shape (n, 3).
        """
        for frame, table in self.tables.items():
            table.marks[:] = 0
            self._moved[frame] = [ranges] if frame == period else []

    def changing(self, period: Period) -> Ints:
        """Return from which bucket on bars of each key are not as they were last written, ms; FOREVER where none is."""
        table = self.tables[period]
        found = np.full(self.book.keys, FOREVER, dtype=np.int64)
        rows = np.flatnonzero(table.marks)
        np.minimum.at(found, table.ints[rows, KEY], table.ints[rows, START])
        for ranges in self._moved[period]:
            np.minimum.at(found, ranges[:, 0], ranges[:, 1])
        return found

    def changed(self, *, by_name: bool = False, overflows: list[Overflow] | None = None) -> dict[Period, pa.Table]:
        """Return every bar that changed since the last call, sorted by key and bucket start.

        Args:
            by_name: Whether keys are sorted by name; else by number, those of one schedule together.
            overflows: Collects where a selected expression leaves 64 bits; there it is null. None makes it an error.

        Raises:
            DecimalOverflowError: A selected expression leaves 64 bits, and nobody collects it.
        """
        ranks = self._ranks() if by_name else None
        self.touched = 0
        return {period: self._changed(period, ranks, overflows) for period in self.tables}

    def _ranks(self) -> Ints:
        order = sorted(range(self.book.keys), key=self.book.names.__getitem__)
        ranks = np.empty(self.book.keys, dtype=np.int64)
        ranks[order] = np.arange(self.book.keys)
        return ranks

    def _changed(self, period: Period, ranks: Ints | None, overflows: list[Overflow] | None) -> pa.Table:
        table, query = self.tables[period], self.plan.query
        table.own()
        touched = dirty_ranges(
            table.ints, table.links, table.marks, int(self.plan.ripples), int(query.continuous),
            int(self.plan.passes_on_all),
        )  # fmt: skip
        ranges = np.concatenate([touched, *self._moved[period]])
        self._moved[period] = []
        if not ranges.shape[0]:
            return bar_schema(self.plan, period).empty_table()
        ranges = coalesce(ranges[np.lexsort((ranges[:, 1], ranges[:, 0]))])
        groups = self.book.groups[ranges[:, 0]]
        parts = [self._lay_out(period, int(g), ranges[groups == g]) for g in np.unique(groups)]
        partials = PartialRows(
            ints=table.ints, floats=table.floats, links=table.links, kinds=table.kinds, given=table.given
        )
        bars = BarRows.joined(parts)
        if table.given.shape[0]:
            bars = bars.take(np.flatnonzero(~bars.real | (table.kinds[bars.row] & GIVEN == 0)))
        if ranks is not None:
            bars = bars.take(np.argsort(ranks[bars.key], kind="stable"))
        tell = refuse_overflow if overflows is None else partial(_note, overflows, period)
        return bar_table(self.plan, period, self.book.columns(), bars, partials, tell)

    def _lay_out(self, period: Period, group: int, ranges: Ints) -> BarRows:
        table, query = self.tables[period], self.plan.query
        buckets = self._buckets(period, group, ranges)
        args = (ranges, table.ints, table.links, table.ends, buckets.start, buckets.exists_at, self.now)
        size = lay_out(*args, int(query.continuous), np.zeros((0, 4), dtype=np.int64))
        out = np.empty((size, 4), dtype=np.int64)
        if size:
            lay_out(*args, int(query.continuous), out)
        known = out[:, 1] >= 0
        at = np.maximum(out[:, 1], 0)
        row, real = out[:, 2], out[:, 3] == 1
        start = table.ints[row, START]
        end = bucket_end(period, query.align, start)
        day = table.ints[row, DAY] if period.is_intraday else start // DAY_MS
        final = np.zeros(size, dtype=np.bool_)
        if buckets.start.shape[0]:
            start = np.where(known, buckets.start[at], start)
            end = np.where(known, buckets.end[at], end)
            day = np.where(known, buckets.day[at], day)
            final = known & (buckets.closes_at[at] + query.grace_ms <= self.now)
        return BarRows(key=out[:, 0], start=start, end=end, day=day, final=final, real=real, row=row)

    def _buckets(self, period: Period, group: int, ranges: Ints) -> Buckets:
        """Return the buckets of a schedule that stand in these ranges by now; none where nothing is filled.

        A tick may be dated far ahead, so that a range is never enumerated beyond now.
        """
        if group < 0 or not self.plan.query.continuous:
            return NO_BUCKETS
        table = self.tables[period]
        sessions = self.book.group_sessions()[group]
        first = int(max(ranges[:, 1].min(), table.ints[table.ends[ranges[:, 0], 0], START].min()))
        last = int(ranges[:, 2].max())
        until = min(self.now + 1, self._reach.get(group, FOREVER))
        align = self.plan.query.align
        if period.is_intraday:
            hi = until if last == FOREVER else min(last + period.millis, self.now + 1)
            return frame_buckets(sessions, period, align, first, hi)
        labels = self._session_labels(period, sessions)
        inside = np.flatnonzero((labels >= first) & (labels <= last))
        if not inside.shape[0]:
            return NO_BUCKETS
        hi = until if last == FOREVER else min(int(sessions.closes[inside].max()), self.now + 1)
        return frame_buckets(sessions, period, align, int(sessions.opens[inside].min()), hi)

    def _session_labels(self, period: Period, sessions: Sessions) -> Ints:
        found = self._labels.get((sessions, period))
        if found is None:
            found = bucket_start(period, self.plan.query.align, sessions.opens, sessions.opens, sessions.days)
            self._labels[sessions, period] = found
        return found

    def _weigh(self, ints: Ints) -> None:
        """Add up how large any sum can be by now; while that fits easily, single sums need no check."""
        for column in self._sums:
            self._weight[column] += float(np.abs(ints[:, column].astype(np.float64)).sum())

    @property
    def _may_overflow(self) -> bool:
        return any(weight > _ROOM for weight in self._weight.values())

    def _rolled_up(self, ints: Ints, floats: Floats) -> dict[Period, tuple[Ints, Floats]]:
        """Return the partials of every frame, one a session each, made from those of the base frame."""
        parts = {self.plan.query.base: (ints, floats)}
        for period, source in self._sources.items():
            rows, reals = parts[source]
            starts = bucket_start(period, self.plan.query.align, rows[:, START], rows[:, CUT], rows[:, DAY])
            size = count_runs(rows, starts)
            out = np.empty((size, rows.shape[1]), dtype=np.int64)
            out_f = np.empty((size, reals.shape[1]), dtype=np.float64)
            op = roll_up(self._ops, rows, reals, starts, out, out_f)
            if op >= 0:
                raise SumOverflow(int(op))
            parts[period] = out, out_f
        return parts


def roll_up_sources(frames: Sequence[Period]) -> dict[Period, Period]:
    """Say which shorter frame each frame but the first is rolled up from: the longest that nests in it.

    Days, weeks and months do not nest in one another; they are made from the longest intraday frame.

    >>> from ashioto.period import Period
    >>> minute, five, hour = Period.minutes(1), Period.minutes(5), Period.hours(1)
    >>> roll_up_sources([minute, five, hour])[hour] == five
    True
    """
    base, *longer = frames
    found = {}
    for period in longer:
        inner = [f for f in frames if f.is_intraday and f < period]
        nests = [f for f in inner if not period.is_intraday or period.millis % f.millis == 0]
        found[period] = nests[-1] if nests else base
    return found


def _in_order(ints: Ints, floats: Floats) -> tuple[Ints, Floats]:
    """Return partials sorted by KEY and START; quickest when they came in the order of time."""
    key = ints[:, KEY]
    order = np.argsort(key.astype(np.uint16) if key.max() < 1 << 16 else key, kind="stable")
    key, start = key[order], ints[order, START]
    if ((start[1:] < start[:-1]) & (key[1:] == key[:-1])).any():
        order = order[np.lexsort((start, key))]
    return ints[order], floats[order]


def _all_in_memory(_period: Period, _codes: Ints, _starts: Ints) -> None:
    """Do nothing: every bar is in memory."""


def _size(period: Period) -> int:
    """Return the least length of a frame's buckets, ms."""
    return period.millis if period.is_intraday else DAY_MS


def _spread(keys: Ints, first: int, last: int) -> Ints:
    ranges = np.empty((keys.shape[0], 3), dtype=np.int64)
    ranges[:, 0], ranges[:, 1], ranges[:, 2] = keys, first, last
    return ranges
