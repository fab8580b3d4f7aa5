"""Which stretch of a key's buckets some ticks touch, and what of the bars that stand there stays beside them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ashioto.bars.algebra import CUT, DAY, FIRST_AT, LAST_AT, START
from ashioto.errors import InputError, UsageError
from ashioto.migration.stored import has_stream, is_stream
from ashioto.schedule.buckets import bucket_end, bucket_start, frame_buckets
from ashioto.schedule.sessions import time_text
from ashioto.schema.arrow import int64_view

if TYPE_CHECKING:
    import pyarrow as pa

    from ashioto.bars.algebra import Ints
    from ashioto.engines.embedded.sessions import Key
    from ashioto.logical.nodes import Query
    from ashioto.period import Period
    from ashioto.schedule.sessions import Flags, Sessions


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """Says for which stretch of time the ticks of a key are all that there are.

    Args:
        first: From, ms; inside a session.
        last: Until and with this, ms; inside a session.
        low: What is before this is not covered, ms; at most `first`.
        high: What is after this is not covered, ms; at least `last`.
    """

    first: int
    last: int
    low: int
    high: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """Names a bucket.

    Args:
        start: Its start, ms.
        begins: When its first session time is, ms.
        ends: When its last session time ends, ms.
    """

    start: int
    begins: int
    ends: int


def coverage_of(sessions: Sessions, ticks: Ints, span: tuple[int | None, int | None]) -> Coverage:
    """Return the coverage of the ticks of a key.

    Args:
        sessions: Its sessions.
        ticks: Its partial bars, at least one.
        span: `--from` and `--to`, ms.
    """
    del sessions
    first, last = int(ticks[:, FIRST_AT].min()), int(ticks[:, LAST_AT].max())
    low, high = span
    return Coverage(
        first=first, last=last, low=first if low is None else min(low, first), high=last if high is None else high - 1
    )


def whole_buckets(
    query: Query, sessions: Sessions, ticks: Ints, span: tuple[int | None, int | None]
) -> Coverage | None:
    """Return a coverage that cuts no base bucket: the given span, or all buckets from the first tick to the last.

    Returns:
        None where no session lies in it.

    Raises:
        UsageError: An end of the span lies inside a bucket.
    """
    low, high = span
    for at in (low, high):
        if at is not None:
            _check_cut(query, sessions, at)
    if low is None or high is None:
        if not ticks.shape[0]:
            return None
        given = coverage_of(sessions, ticks, span)
        low = edge(query, query.base, sessions, given.first).begins if low is None else low
        high = edge(query, query.base, sessions, given.last).ends if high is None else high
    near = sessions.between(low, high)
    if low >= high or not len(near):
        return None
    first, last = max(low, int(near.opens[0])), min(high, int(near.closes[-1])) - 1
    return Coverage(first=first, last=last, low=low, high=high - 1)


def edge(query: Query, period: Period, sessions: Sessions, at: int) -> Edge:
    """Return the bucket that holds an instant of a session."""
    found = frame_buckets(sessions, period, query.align, at, at + 1)
    session = sessions.index_of(np.array([at], dtype=np.int64))
    named = bucket_start(period, query.align, np.array([at]), sessions.opens[session], sessions.days[session])
    row = int(np.searchsorted(found.start, named[0]))
    return Edge(start=int(named[0]), begins=int(found.exists_at[row]), ends=int(found.closes_at[row]))


def is_live(query: Query, period: Period, bucket: Edge, now_ms: int) -> bool:
    """Return whether a bucket can still grow."""
    ends = bucket.ends
    if not query.continuous:
        ends = int(bucket_end(period, query.align, np.array([bucket.start], dtype=np.int64))[0])
    return ends + query.grace_ms > now_ms


def base_reach(query: Query, edges: dict[Period, tuple[Edge, Edge]], now_ms: int) -> tuple[int, int]:
    """Return between which starts the base buckets lie that any touched bucket is made of, ms; both included.

    Args:
        query: What is made.
        edges: First and last touched bucket of each frame.
        now_ms: The time; what longer bars are still live is not made.
    """
    low, high = edges[query.base][0].start, edges[query.base][1].start
    for period, (first, last) in edges.items():
        end = int(bucket_end(period, query.align, np.array([last.start], dtype=np.int64))[0])
        ends = last.ends if query.base.is_intraday and not period.is_intraday else end
        if not is_live(query, period, first, now_ms):
            begins = first.begins if query.base.is_intraday and not period.is_intraday else first.start
            low = min(low, begins - (query.base.millis - 1 if query.base.is_intraday else 0))
        if not is_live(query, period, last, now_ms):
            high = max(high, ends - 1)
    return low, high


@dataclass(frozen=True, slots=True, kw_only=True)
class Beside:
    """Says what becomes of base bars that stand where ticks were brought in.

    Args:
        kept: Which bars stay as parts of what is made; shape (n,).
        dropped: Bucket starts whose ticks are left out, since the bar there has them already and others besides.
    """

    kept: Flags
    dropped: tuple[int, ...] = ()


def covers(covered: Coverage, bucket: Edge) -> bool:
    """Return whether ticks are all that there are in a bucket."""
    return covered.low <= bucket.begins and bucket.ends - 1 <= covered.high


def beside_replay(
    name: Key, ticks: Ints, covered: Coverage, base: tuple[Edge, Edge], bars: pa.Table, whole: Flags
) -> Beside:
    """Say what stays of base bars where ticks are added to them.

    The ticks end where those of the stream begin, so a bar of the stream and they are both parts. An imported bar is
    replaced, unless ticks of the stream were merged into it, or it is that of the first or the last bucket and holds
    ticks from outside the coverage: then both are parts where they lie apart, and the bar stays as it is where it
    holds the ticks already. Where such a bar cannot be merged, it stays too.

    Args:
        name: The key, for messages.
        ticks: Its partial bars, sorted by START.
        covered: What the ticks cover.
        base: The first and the last bucket.
        bars: Its base bars with ticks.
        whole: Which of them can be merged.

    Raises:
        InputError: A bar holds a part of the ticks of its bucket, and others besides.
    """
    starts = int64_view(bars["bucket_start"])
    inside = np.isin(starts, ticks[:, START])
    kept = whole & (~inside | is_stream(bars))
    firsts, lasts = int64_view(bars["first_at"]), int64_view(bars["last_at"])
    alone = ~has_stream(bars)
    inner = (starts > ticks[0, START]) & (starts < ticks[-1, START])
    replaced = alone & (inner | ((firsts >= covered.low) & (lasts <= covered.high)))
    cut = {bucket.start for bucket in base if not covers(covered, bucket)}
    dropped = [start for start in starts[inside & ~whole].tolist() if start in cut]
    for row in np.flatnonzero(inside & whole & ~kept & ~replaced).tolist():
        start, first, last = int(starts[row]), int(firsts[row]), int(lasts[row])
        mine = ticks[slice(*np.searchsorted(ticks[:, START], [start, start + 1]))]
        low, high = int(mine[:, FIRST_AT].min()), int(mine[:, LAST_AT].max())
        apart = last < low or high < first
        if not apart and alone[row] and not (first <= low and high <= last):
            raise _overlap(name, start, (first, last), (low, high))
        if not apart:
            dropped.append(start)
        kept[row] = True
    return Beside(kept=kept, dropped=tuple(dropped))


def beside_swap(base: tuple[Edge, Edge], bars: pa.Table, whole: Flags) -> Beside:
    """Say what stays of base bars where ticks take their place: those outside the covered buckets."""
    starts = int64_view(bars["bucket_start"])
    return Beside(kept=whole & ((starts < base[0].start) | (starts > base[1].start)))


def with_sessions(rows: Ints, sessions: Sessions) -> Ints:
    """Put the open of their session into the CUT of base bars, as partial bars have it; returns what was there."""
    cuts = rows[:, CUT].copy()
    held = sessions.index_of(rows[:, FIRST_AT])
    rows[:, CUT] = np.where(held >= 0, sessions.opens[np.maximum(held, 0)], rows[:, START])
    return cuts


def frame_starts(query: Query, period: Period, rows: Ints) -> Ints:
    """Return the bucket start of each partial bar of base buckets in a longer frame, ms; shape (n,)."""
    if period == query.base:
        return rows[:, START]
    return bucket_start(period, query.align, rows[:, START], rows[:, CUT], rows[:, DAY])


def _check_cut(query: Query, sessions: Sessions, at: int) -> None:
    found = frame_buckets(sessions, query.base, query.align, at - 1, at + 1)
    cut = np.flatnonzero((found.exists_at < at) & (found.closes_at > at))
    if cut.size:
        begins, ends = int(found.exists_at[cut[0]]), int(found.closes_at[cut[0]])
        raise UsageError(
            f"{time_text(at)} lies inside a bucket of {query.base.kind}, from {time_text(begins)} to {time_text(ends)}",
            hint=f"give {time_text(begins)} or {time_text(ends)}",
        )


def _overlap(name: Key, start: int, bar: tuple[int, int], ticks: tuple[int, int]) -> InputError:
    return InputError(
        f"the bar of {'/'.join(name)} at {time_text(start)} holds ticks from {time_text(bar[0])} to "
        f"{time_text(bar[1])}; those given are from {time_text(ticks[0])} to {time_text(ticks[1])}, so some may be in "
        "it already",
        hint="give --from or --to, so that these ticks begin or end with a bucket; rc migrate swap makes bars anew",
        key=name,
    )
