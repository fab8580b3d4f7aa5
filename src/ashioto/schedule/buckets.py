"""Buckets: which slot of a frame an instant falls into, from when on the slot exists, and when it ends.

This is the only place that knows. Intraday buckets are cut by time, on the clock or from the session's open; days,
weeks and months by market date, and named by midnight UTC of their first date.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

import numpy as np

from ashioto.period import DAY_MS, Period

if TYPE_CHECKING:
    from ashioto.schedule.sessions import Flags, Ints, Sessions

Align = Literal["clock", "session"]
_MONDAY: Final = 4
"""1970-01-05, the first Monday."""
_NOTHING: Final = np.zeros(0, dtype=np.int64)


@dataclass(frozen=True, slots=True, kw_only=True)
class Buckets:
    """Holds buckets of one frame, in order; int64 arrays of one length.

    Args:
        start: Bucket start, ms: the bucket's name.
        end: Bucket end, ms.
        exists_at: Start of the first segment in it, ms.
        closes_at: End of the last segment in it, ms; the very last bucket of a schedule ends no earlier than `end`.
        day: Market date, days: of the first session in it, or of the date that names it.
    """

    start: Ints
    end: Ints
    exists_at: Ints
    closes_at: Ints
    day: Ints

    def where(self, mask: Flags) -> Buckets:
        """Return the buckets where a mask is set."""
        return Buckets(
            start=self.start[mask],
            end=self.end[mask],
            exists_at=self.exists_at[mask],
            closes_at=self.closes_at[mask],
            day=self.day[mask],
        )


NO_BUCKETS: Final = Buckets(start=_NOTHING, end=_NOTHING, exists_at=_NOTHING, closes_at=_NOTHING, day=_NOTHING)


def bucket_start(period: Period, align: Align, at: Ints, session_open: Ints, session_day: Ints) -> Ints:
    """Return the start of the bucket that holds each instant, ms.

    Args:
        period: The frame.
        align: What intraday buckets count from.
        at: Instants, ms; shape (n,).
        session_open: Open of the session that holds each, ms; shape (n,).
        session_day: Market date of that session, days; shape (n,).

    >>> half_past = np.array([34_200_000])
    >>> bucket_start(Period.hours(1), "session", half_past + 5, half_past, np.array([0])).tolist()
    [34200000]
    """
    if period.is_intraday:
        size = period.millis
        if align == "session":
            return session_open + (at - session_open) // size * size
        return at // size * size
    count = period.count
    if period.unit == "d":
        return session_day // count * count * DAY_MS
    if period.unit == "w":
        size = 7 * count
        return ((session_day - _MONDAY) // size * size + _MONDAY) * DAY_MS
    return _month_start(_months(session_day) // count * count)


def bucket_end(period: Period, align: Align, start: Ints) -> Ints:
    """Return the end of the buckets with these starts, ms; shape of `start`.

    >>> bucket_end(Period.months(1), "clock", np.array([0])).tolist() == [31 * 86_400_000]
    True
    """
    del align
    if period.is_intraday:
        return start + period.millis
    if period.unit == "mo":
        return _month_start(_months(start // DAY_MS) + period.count)
    return start + period.count * (7 if period.unit == "w" else 1) * DAY_MS


def frame_buckets(sessions: Sessions, period: Period, align: Align, lo: int, hi: int) -> Buckets:
    """Return every bucket some session time of which lies in `[lo, hi)`, each complete.

    Args:
        sessions: The schedule.
        period: The frame.
        align: What intraday buckets count from.
        lo: From, ms.
        hi: Until, ms, exclusive.
    """
    first, last = sessions.touching(lo, hi)
    if lo >= hi or first >= last:
        return NO_BUCKETS
    if period.is_intraday:
        return _intraday(sessions, period, align, (first, last), (lo, hi))
    return _calendar(sessions, period, align, (first, last))


def buckets_named(sessions: Sessions, period: Period, align: Align, start: Ints) -> tuple[Buckets, Flags]:
    """Return the bucket of each name, and whether there is such a bucket; what is said of others has no meaning.

    Args:
        sessions: The schedule.
        period: The frame.
        align: What intraday buckets count from.
        start: Bucket starts, ms, in any order; shape (n,).

    >>> from ashioto.schedule.sessions import Sessions
    >>> noon = Sessions.build(np.array([60_000]), np.array([90_000]), np.array([0]))
    >>> found, there = buckets_named(noon, Period.minutes(1), "clock", np.array([60_000, 60_001, 120_000]))
    >>> there.tolist(), found.closes_at[there].tolist()
    ([True, False, False], [120000])
    """
    if not len(sessions) or not start.shape[0]:
        nothing = np.zeros_like(start)
        return Buckets(start=start, end=start, exists_at=start, closes_at=start, day=nothing), nothing != 0
    if not period.is_intraday:
        return _named_by_date(sessions, period, align, start)
    opens, closes, size = sessions.opens, sessions.closes, period.millis
    end = start + size
    first = np.minimum(np.searchsorted(closes, start, "right"), len(sessions) - 1)
    last = first if align == "session" else np.maximum(np.searchsorted(opens, end, "left") - 1, 0)
    there = (opens[first] <= start) if align == "session" else (opens[first] < end)
    there &= (start < closes[first]) & (bucket_start(period, align, start, opens[first], start) == start)
    closes_at = np.minimum(end, closes[last])
    closes_at = np.where(start == _latest_start(sessions, period, align), np.maximum(closes_at, end), closes_at)
    exists_at = np.maximum(start, opens[first])
    return Buckets(start=start, end=end, exists_at=exists_at, closes_at=closes_at, day=sessions.days[first]), there


def openings_between(sessions: Sessions, period: Period, align: Align, lo: int, hi: int) -> Buckets:
    """Return the buckets that begin to exist in `(lo, hi]`."""
    found = frame_buckets(sessions, period, align, lo, hi + 1)
    return found.where((found.exists_at > lo) & (found.exists_at <= hi))


def closings_between(sessions: Sessions, period: Period, align: Align, lo: int, hi: int) -> Buckets:
    """Return the buckets that end in `(lo, hi]`."""
    if not len(sessions) or hi <= lo:
        return NO_BUCKETS
    close = int(sessions.closes[_latest(sessions, period)])
    found = frame_buckets(sessions, period, align, min(lo, close - 1), hi + 1)
    return found.where((found.closes_at > lo) & (found.closes_at <= hi))


def _named_by_date(sessions: Sessions, period: Period, align: Align, start: Ints) -> tuple[Buckets, Flags]:
    end = bucket_end(period, align, start)
    span = np.array([start.min(), end.max()]) // DAY_MS
    near = sessions.by_day[slice(*np.searchsorted(sessions.days, span, sorter=sessions.by_day))]
    if not near.shape[0]:
        return Buckets(start=start, end=end, exists_at=start, closes_at=end, day=start // DAY_MS), np.zeros(
            start.shape, dtype=np.bool_
        )
    lo, hi = int(sessions.opens[near].min()), int(sessions.closes[near].max())
    found = frame_buckets(sessions, period, align, lo, hi)
    at = np.minimum(np.searchsorted(found.start, start), found.start.shape[0] - 1)
    there = found.start[at] == start
    return Buckets(
        start=start, end=end, exists_at=found.exists_at[at], closes_at=found.closes_at[at], day=start // DAY_MS
    ), there


def _intraday(
    sessions: Sessions, period: Period, align: Align, near: tuple[int, int], span: tuple[int, int]
) -> Buckets:
    size = period.millis
    first, last = near
    lo, hi = span
    if align == "clock":  # a bucket may hold time of sessions outside the span
        lo, hi = lo // size * size, -(-hi // size) * size
        first, last = sessions.touching(lo, hi)
    opens, closes, days = sessions.opens[first:last], sessions.closes[first:last], sessions.days[first:last]
    origin = opens if align == "session" else np.zeros_like(opens)
    begin = origin + (np.maximum(opens, np.minimum(lo, closes - 1)) - origin) // size * size
    stop = np.maximum(np.minimum(closes, hi), opens + 1)
    counts = np.maximum(-(-(stop - begin) // size), 1)
    owner = np.repeat(np.arange(opens.shape[0]), counts)
    step = np.arange(owner.shape[0]) - np.repeat(np.cumsum(counts) - counts, counts)
    start = begin[owner] + step * size
    exists = np.maximum(start, opens[owner])
    ends = np.minimum(start + size, closes[owner])
    found = _joined(sessions, period, align, start, exists, ends, days[owner])
    inside = start[(exists < span[1]) & (ends > span[0])]
    return found.where((found.start >= inside[0]) & (found.start <= inside[-1]))


def _calendar(sessions: Sessions, period: Period, align: Align, near: tuple[int, int]) -> Buckets:
    opens, closes, days = sessions.opens, sessions.closes, sessions.days
    wanted = bucket_start(period, align, opens[slice(*near)], opens[slice(*near)], days[slice(*near)])
    ends = bucket_end(period, align, wanted)
    span = np.array([wanted.min(), ends.max()]) // DAY_MS
    first, last = np.searchsorted(days, span, sorter=sessions.by_day)
    picked = np.sort(sessions.by_day[first:last])
    start = bucket_start(period, align, opens[picked], opens[picked], days[picked])
    kept = np.isin(start, wanted)
    picked, start = picked[kept], start[kept]
    return _joined(sessions, period, align, start, opens[picked], closes[picked], start // DAY_MS)


def _joined(
    sessions: Sessions, period: Period, align: Align, start: Ints, exists: Ints, ends: Ints, days: Ints
) -> Buckets:
    """Make one bucket of pieces that share a start; pieces come in time order."""
    order = np.argsort(start, kind="stable")
    start, exists, ends, days = start[order], exists[order], ends[order], days[order]
    heads = np.flatnonzero(np.diff(start, prepend=start[0] - 1))
    unique = start[heads]
    closes_at = np.maximum.reduceat(ends, heads)
    end = bucket_end(period, align, unique)
    latest = unique == _latest_start(sessions, period, align)
    return Buckets(
        start=unique,
        end=end,
        exists_at=np.minimum.reduceat(exists, heads),
        closes_at=np.where(latest, np.maximum(closes_at, end), closes_at),
        day=days[heads],
    )


def _latest(sessions: Sessions, period: Period) -> int:
    """Return the index of a session of the last bucket of a schedule: more sessions may still be added to that."""
    return len(sessions) - 1 if period.is_intraday else int(sessions.by_day[-1])


def _latest_start(sessions: Sessions, period: Period, align: Align) -> int:
    at = _latest(sessions, period)
    one = slice(at, at + 1)
    return int(bucket_start(period, align, sessions.closes[one] - 1, sessions.opens[one], sessions.days[one])[0])


def _months(days: Ints) -> Ints:
    return days.astype("datetime64[D]").astype("datetime64[M]").astype(np.int64) + 1970 * 12


def _month_start(months: Ints) -> Ints:
    return (months - 1970 * 12).astype("datetime64[M]").astype("datetime64[D]").astype(np.int64) * DAY_MS
