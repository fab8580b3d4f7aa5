"""Makes the bars of every frame from folded ticks and the bars that stand beside them, some keys at a time.

Base bars are the truth: a longer bar that reaches beyond the ticks is rolled up again from the base bars in its bucket,
those in the log included. So it does not matter in which order, how often, or in which pieces history is brought in.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa

from ashioto.bars.algebra import FIRST_AT, KEY, LAST_AT, START
from ashioto.engines.embedded.batch import overflow_error
from ashioto.engines.embedded.core import BarCore
from ashioto.engines.embedded.fold import SumOverflow
from ashioto.engines.embedded.imported import GIVEN, Labels, labels_of
from ashioto.engines.embedded.output import partial_rows
from ashioto.engines.embedded.residency import load_bars
from ashioto.migration.edges import (
    base_reach,
    beside_replay,
    beside_swap,
    coverage_of,
    covers,
    edge,
    frame_starts,
    whole_buckets,
    with_sessions,
)
from ashioto.migration.stored import has_stream
from ashioto.schema.arrow import int64_view

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ashioto.bars.algebra import Floats, Ints
    from ashioto.engines.embedded.sessions import Key
    from ashioto.migration.edges import Coverage, Edge
    from ashioto.migration.stored import StoredBars
    from ashioto.migration.taken import Gathered
    from ashioto.period import Period
    from ashioto.schedule.sessions import Flags, Sessions

GROUP: Final = 500_000
"""About how many partial bars are rolled up at once."""
PIECE: Final = 200_000
"""About how many bars are laid out at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """Names the bars of a key whose buckets start in `[first, last]`, ms."""

    name: Key
    first: int
    last: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """Holds bars as they should be.

    Args:
        period: Their frame.
        bars: The bars, sorted by key and time.
        scopes: Which stretches they are all bars of that can be said.
        merged: Which of them hold ticks of the stream besides those brought in; shape (n,).
        live: How many bars with ticks are left out since they can still grow.
    """

    period: Period
    bars: pa.Table
    scopes: tuple[Scope, ...]
    merged: Flags
    live: int


@dataclass(slots=True)
class _Series:
    """What is known of one key while its bars are made."""

    code: int
    name: Key
    sessions: Sessions
    ticks: Ints
    covered: Coverage
    edges: dict[Period, tuple[Edge, Edge]]
    opaque: Ints
    streamed: Ints
    stored: bool
    touched: dict[Period, Ints] = field(default_factory=dict)
    ranges: dict[Period, tuple[int, int]] = field(default_factory=dict)
    fixed: dict[Period, set[int]] = field(default_factory=dict)
    kept: int = 0


class Rebuild:
    """Makes bars of folded ticks.

    Args:
        gathered: The ticks.
        stored: The bars that stand in the log.
        now_ms: The time, ms; it says which bars are live.
        span: `--from` and `--to`, ms.
        replaces: Whether the ticks take the place of what is there in their stretch; else they are added to it.
    """

    def __init__(
        self,
        gathered: Gathered,
        stored: StoredBars,
        *,
        now_ms: int,
        span: tuple[int | None, int | None] = (None, None),
        replaces: bool = False,
    ) -> None:
        self.plan, self.book = gathered.plan, gathered.book
        self._parts, self._stored = gathered.parts, stored
        self._now, self._span, self._replaces = now_ms, span, replaces

    def groups(self) -> list[Ints]:
        """Return numbers of keys, in the order of their names, about as many partial bars together as are made at once.

        Each array holds some keys; keys without a schedule are left out.
        """
        size = self.book.keys
        weights = sum((np.bincount(ints[:, KEY], minlength=size) for ints, _ in self._parts), np.zeros(size))
        names = [c for c in sorted(range(size), key=self.book.names.__getitem__) if self.book.groups[c] >= 0]
        if not self._replaces or None in self._span:
            names = [code for code in names if weights[code]]
        found: list[list[int]] = []
        room = 0.0
        for code in names:
            if not found or room < weights[code]:
                found.append([])
                room = float(GROUP)
            found[-1].append(code)
            room -= weights[code]
        return [np.array(codes, dtype=np.int64) for codes in found]

    def build(self, codes: Ints) -> BuiltBars:
        """Return the bars of some keys.

        Raises:
            InputError: A bar holds a part of the ticks of its bucket, and others besides.
            UsageError: An end of the span lies inside a bucket.
            DecimalOverflowError: A sum leaves 64 bits.
        """
        ints, floats = self._ticks_of(codes)
        series, others, dropped = [], [], np.zeros(ints.shape[0], dtype=np.bool_)
        for code in codes.tolist():
            rows = slice(*np.searchsorted(ints[:, KEY], [code, code + 1]))
            one = self._series(code, ints[rows])
            if one is None:
                continue
            series.append(one)
            beside, left_out = self._beside(one)
            dropped[rows] |= np.isin(ints[rows, START], left_out)
            others.append(beside)
        core = BarCore(self.plan, self.book)
        core.now = self._now
        parts = [(ints[~dropped], floats[~dropped]), *others]
        try:
            core.take(np.concatenate([p[0] for p in parts]), np.concatenate([p[1] for p in parts]))
        except SumOverflow as error:
            raise overflow_error(self.plan, error) from None
        for period in self.plan.query.frames:
            self._settle(core, period, series)
        return BuiltBars(core, series, self._now)

    def _ticks_of(self, codes: Ints) -> tuple[Ints, Floats]:
        """Return the partial bars of some keys, sorted by KEY and START."""
        among = np.zeros(self.book.keys, dtype=np.bool_)
        among[codes] = True
        found = [(ints[kept], floats[kept]) for ints, floats in self._parts for kept in [among[ints[:, KEY]]]]
        ints, floats = np.concatenate([f[0] for f in found]), np.concatenate([f[1] for f in found])
        order = np.lexsort((ints[:, START], ints[:, KEY]))
        return ints[order], floats[order]

    def _series(self, code: int, ticks: Ints) -> _Series | None:
        query, sessions = self.plan.query, self.book.group_sessions()[int(self.book.groups[code])]
        if self._replaces:
            covered = whole_buckets(query, sessions, ticks, self._span)
        else:
            covered = coverage_of(sessions, ticks, self._span) if ticks.shape[0] else None
        if covered is None:
            return None
        edges = {
            period: (edge(query, period, sessions, covered.first), edge(query, period, sessions, covered.last))
            for period in query.frames
        }
        name, none = self.book.names[code], np.zeros((0, ticks.shape[1]), dtype=np.int64)
        return _Series(code, name, sessions, ticks, covered, edges, none, none, self._stored.has(name))

    def _beside(self, one: _Series) -> tuple[tuple[Ints, Floats], Ints]:
        """Return the base bars that are parts of what is made, and the starts whose ticks are left out."""
        query = self.plan.query
        base = query.base
        low, high = base_reach(query, one.edges, self._now)
        bars = self._stored.real(base, one.name, low, high) if one.stored else None
        if bars is None or not bars.num_rows:
            return partial_rows(self.plan, self._stored.schema(base).empty_table()), np.zeros(0, dtype=np.int64)
        whole = self._stored.whole(bars)
        if self._replaces:
            found = beside_swap(one.edges[base], bars, whole)
        else:
            found = beside_replay(one.name, one.ticks, one.covered, one.edges[base], bars, whole)
        one.kept += int(np.count_nonzero(whole & np.isin(int64_view(bars["bucket_start"]), found.dropped)))
        ints, floats = partial_rows(self.plan, bars)
        ints[:, KEY] = one.code
        with_sessions(ints, one.sessions)
        stays = ~whole & (~np.isin(ints[:, START], one.ticks[:, START]) | np.isin(ints[:, START], found.dropped))
        if self._replaces:
            stays &= (ints[:, START] < one.edges[base][0].start) | (ints[:, START] > one.edges[base][1].start)
        one.opaque, one.streamed = ints[stays], ints[found.kept & has_stream(bars)]
        return (ints[found.kept], floats[found.kept]), np.array(found.dropped, dtype=np.int64)

    def _settle(self, core: BarCore, period: Period, series: Sequence[_Series]) -> None:
        """Leave in a frame the bars that ticks touch, and put those of the log beside them."""
        table, query = core.tables[period], self.plan.query
        table.reserve_keys(self.book.keys)
        rows = table.live_rows()
        rows = rows[np.lexsort((table.ints[rows, START], table.ints[rows, KEY]))]
        whose, starts = table.ints[rows, KEY], table.ints[rows, START]
        spare = np.ones(rows.shape[0], dtype=np.bool_)
        loads: list[pa.Table] = []
        codes: list[int] = []
        for one in series:
            at = slice(*np.searchsorted(whose, [one.code, one.code + 1]))
            one.touched[period] = touched = np.unique(frame_starts(query, period, one.ticks))
            first, last = (bucket.start for bucket in one.edges[period])
            mine = starts[at]
            spare[at] = (mine < first) | (mine > last) if self._replaces else ~np.isin(mine, touched)
            one.ranges[period] = (first, last)
            one.fixed[period] = set()
            if one.stored:
                spans = table.ints[rows[at]][:, [START, FIRST_AT, LAST_AT]]
                loaded = self._around(one, period, spans[~spare[at]])
                spare[at] |= np.isin(mine, list(one.fixed[period]))
                loads.append(loaded)
                codes += [one.code] * loaded.num_rows
        table.drop(rows[spare])
        if codes:
            self._load(core, period, np.array(codes, dtype=np.int64), pa.concat_tables(loads).combine_chunks())

    def _load(self, core: BarCore, period: Period, codes: Ints, bars: pa.Table) -> None:
        """Put bars of the log into a frame; where columns look back at the bar before, whole ones are made anew."""
        anew = self._stored.whole(bars) if self.plan.ripples else np.zeros(bars.num_rows, dtype=np.bool_)
        if not anew.all():
            load_bars(core, period, codes[~anew], bars.filter(pa.array(~anew)))
        if anew.any():
            ints, floats = partial_rows(self.plan, bars.filter(pa.array(anew)))
            ints[:, KEY] = codes[anew]
            labels = labels_of(self.plan, bars.filter(pa.array(anew)))
            if labels is not None:
                labels = Labels(kinds=labels.kinds & ~GIVEN, given=labels.given)
            core.load(period, ints, floats, labels)

    def _around(self, one: _Series, period: Period, made: Ints) -> pa.Table:
        """Return the bars of the log that stand between, before and behind the touched ones, and note what is shown.

        Args:
            one: The key.
            period: The frame.
            made: Start, first and last tick of each bar that was made, ms; shape (n, 3).
        """
        first, last = one.ranges[period]
        there = self._stored.real(period, one.name, first, last)
        starts = int64_view(there["bucket_start"])
        one.fixed[period] |= self._fixed(one, period, there, made)
        stays = np.isin(starts, list(one.fixed[period]))
        if not self._replaces:
            stays |= ~np.isin(starts, one.touched[period])
        one.fixed[period] |= set(starts[stays & ~self._stored.whole(there)].tolist())
        before = self._stored.before(period, one.name, first)
        after, seen = self._stored.after(period, one.name, last)
        query = self.plan.query
        if query.continuous or self.plan.ripples:
            low = first if not before.num_rows else int(int64_view(before["bucket_start"])[0]) + 1
            ends = seen is not None and after.num_rows and not self.plan.ripples
            high = last if seen is None else max(last, seen - 1 if ends else seen)
            one.ranges[period] = (low, high)
        for bar in (before, after):
            if bar.num_rows and not self._stored.whole(bar)[0]:
                one.fixed[period].add(int(int64_view(bar["bucket_start"])[0]))
        return pa.concat_tables([before, there.filter(pa.array(stays)), after])

    def _fixed(self, one: _Series, period: Period, there: pa.Table, made: Ints) -> set[int]:
        """Return the touched buckets whose bar stays as it is, since it holds what nobody can take apart."""
        found: set[int] = set()
        if one.opaque.shape[0]:
            found = set(frame_starts(self.plan.query, period, one.opaque).tolist())
            found &= set(int64_view(there["bucket_start"]).tolist())
        whole = self._stored.whole(there)
        starts, firsts, lasts = (int64_view(there[name]) for name in ("bucket_start", "first_at", "last_at"))
        ends = made[np.isin(made[:, 0], [bucket.start for bucket in one.edges[period]])]
        spans = {start: (low, high) for start, low, high in ends.tolist()}
        for bucket in one.edges[period]:
            inside = covers(one.covered, bucket)
            for row in np.flatnonzero(starts == bucket.start).tolist() if not inside else ():
                span = int(firsts[row]), int(lasts[row])
                if not whole[row] or _reaches(one.covered, span, spans.get(bucket.start)):
                    found.add(bucket.start)
        one.kept += int(np.count_nonzero(np.isin(list(found), one.touched[period])))
        return found


def _reaches(covered: Coverage, bar: tuple[int, int], made: tuple[int, int] | None) -> bool:
    """Return whether a bar has ticks from outside the coverage that the one that was made has not."""
    before = bar[0] < covered.low and (made is None or bar[0] < made[0])
    return before or (bar[1] > covered.high and (made is None or bar[1] > made[1]))


class BuiltBars:
    """Holds the bars of some keys, and lays them out piece by piece."""

    def __init__(self, core: BarCore, series: Sequence[_Series], now_ms: int) -> None:
        self._core, self._series, self._now = core, series, now_ms
        self.kept = sum(one.kept for one in series)
        """How many bars stay as they are, since they hold these ticks already, or what nobody can take apart."""

    def pieces(self, period: Period) -> Iterator[Piece]:
        """Yield the bars of a frame as they should be, in the order of key and time.

        Raises:
            DecimalOverflowError: A selected expression leaves 64 bits.
        """
        names: list[Scope] = []
        ranges: list[tuple[int, int, int]] = []
        room = PIECE
        for one in self._series:
            for first, last, size in self._stretches(one, period):
                if ranges and size > room:
                    yield self._piece(period, ranges, names)
                    names, ranges, room = [], [], PIECE
                ranges.append((one.code, first, last))
                names.append(Scope(name=one.name, first=first, last=last))
                room -= size
        if ranges:
            yield self._piece(period, ranges, names)

    def _stretches(self, one: _Series, period: Period) -> Iterator[tuple[int, int, int]]:
        """Cut the range of a key so that about `PIECE` bars at most stand in each part."""
        first, last = one.ranges[period]
        step = PIECE * period.millis if period.is_intraday else last - first + 1
        if not self._core.plan.query.continuous:
            step = last - first + 1
        while first <= last:
            end = min(first + step - 1, last)
            size = (end - first) // period.millis + 1 if period.is_intraday else 1
            yield first, end, size
            first = end + 1

    def _piece(self, period: Period, ranges: list[tuple[int, int, int]], scopes: list[Scope]) -> Piece:
        self._core.only(period, np.array(sorted(ranges), dtype=np.int64))
        bars = self._core.changed(by_name=True)[period]
        real = ~np.asarray(bars["synthetic"])
        live = self._live(bars)
        fixed = {(one.name, start) for one in self._series for start in one.fixed[period]}
        shown = pa.array(~live & ~(real & self._among(fixed, bars)))
        bars = bars.filter(shown)
        streamed = {(one.name, start) for one in self._series for start in self._streamed(one, period)}
        return Piece(
            period=period, bars=bars, scopes=tuple(scopes), merged=self._among(streamed, bars),
            live=int(np.count_nonzero(live & real)),
        )  # fmt: skip

    def _streamed(self, one: _Series, period: Period) -> list[int]:
        found: list[int] = np.unique(frame_starts(self._core.plan.query, period, one.streamed)).tolist()
        return found

    def _live(self, bars: pa.Table) -> Flags:
        query = self._core.plan.query
        if query.continuous:
            return ~np.asarray(bars["final"])
        found: Flags = int64_view(bars["bucket_end"]) + query.grace_ms > self._now
        return found

    def _among(self, named: set[tuple[Key, int]], bars: pa.Table) -> Flags:
        """Return which bars are those of these keys and bucket starts; shape (n,)."""
        if not named or not bars.num_rows:
            return np.zeros(bars.num_rows, dtype=np.bool_)
        parts = [bars[name].to_pylist() for name in self._core.plan.query.group_by]
        keys = zip(*parts, strict=True) if parts else iter([()] * bars.num_rows)
        starts = int64_view(bars["bucket_start"]).tolist()
        return np.array([one in named for one in zip(keys, starts, strict=True)], dtype=np.bool_)
