"""Plans markers: a pure function of the schedule, the frames and a stretch of time.

A segment (base bucket ∩ session) yields a `live` marker when it starts and a `final` marker when it has ended and grace
has passed. The last bars of a schedule may end later than its last segment, as the calendar says: then another `final`
marker of that segment closes them. Keys with equal schedules share one plan.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

import numpy as np

from ashioto.schedule.buckets import bucket_end, bucket_start, closings_between, frame_buckets
from ashioto.schedule.segments import segments

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ashioto.period import Period
    from ashioto.schedule.buckets import Align
    from ashioto.schedule.segments import Segments
    from ashioto.schedule.sessions import Ints, Sessions

MarkerKind = Literal["live", "final"]


class Frames(Protocol):
    """What is asked of a query, or of a heartbeat spec, to plan its markers."""

    @property
    def frames(self) -> tuple[Period, ...]:
        """Lengths of the bars, ascending."""
        ...

    @property
    def base(self) -> Period:
        """The smallest frame."""
        ...

    @property
    def align(self) -> Align:
        """What intraday buckets count from."""
        ...

    @property
    def grace_ms(self) -> int:
        """How long after its end a bucket waits until it is final."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Marker:
    """Says that a segment has begun or ended; what it says depends on the query and the segment only.

    Args:
        kind: `live` or `final`.
        due: When it may be sent, ms: the segment's start, or its end and grace.
        at: Event time of the record, ms: the start of the segment, or for `live` of the one before it, if there is one.
        bucket_start: Base bucket of `at`, ms.
        bucket_end: Its end, ms.
        day: Market date of `at`, days.
        opened: Open of the session that holds `at`, ms.
        closes: Kinds of bars whose bucket ends with this segment; empty in `live`.
        next_at: `live` only: the start of the segment that begins, ms.
        next_bucket_start: Its base bucket, ms.
        next_day: Its market date, days.
        next_opened: Open of its session, ms.
    """

    kind: MarkerKind
    due: int
    at: int
    bucket_start: int
    bucket_end: int
    day: int
    opened: int
    closes: tuple[str, ...] = ()
    next_at: int | None = None
    next_bucket_start: int | None = None
    next_day: int | None = None
    next_opened: int | None = None


def plan_markers(query: Frames, sessions: Sessions, *, after: int, until: int) -> list[Marker]:
    """Return every marker due in `(after, until]`, in the order in which they are due.

    Args:
        query: Frames, alignment and grace.
        sessions: The schedule of the keys the markers are for.
        after: Last moment whose markers have been sent, ms.
        until: The time, ms; no marker is dated after it.
    """
    if until <= after or not len(sessions):
        return []
    found = [*_live(query, sessions, after, until), *_final(query, sessions, after, until)]
    return sorted(found, key=lambda m: (m.due, m.kind == "live", m.at))


def next_due(query: Frames, sessions: Sessions, *, after: int) -> int | None:
    """Return when the first marker after a moment is due, ms, or None when the schedule has run out.

    Args:
        query: Frames, alignment and grace.
        sessions: The schedule of the keys the markers are for.
        after: Last moment whose markers have been sent, ms.
    """
    low = after - query.grace_ms
    ends = [*_next_end(query, sessions, low), *_next_closings(query, sessions, low)]
    return min([*_next_start(query, sessions, after), *(end + query.grace_ms for end in ends)], default=None)


def _next_start(query: Frames, sessions: Sessions, after: int) -> list[int]:
    """Return the starts among which is that of the first segment that begins later."""
    reach = query.base.millis if query.base.is_intraday else 0
    near: list[int] = _starting(query, sessions, after + 1, after + 1 + reach).start[:1].tolist()
    opening = int(np.searchsorted(sessions.opens, after, "right"))
    return [*near, *sessions.opens[opening : opening + 1].tolist()]


def _next_end(query: Frames, sessions: Sessions, low: int) -> list[int]:
    """Return the end of the first segment that ends later, if there is one."""
    index = int(np.searchsorted(sessions.closes, low, "right"))
    if index == len(sessions):
        return []
    closed = int(sessions.closes[index])
    _, end, _ = _labels(query, sessions, max(low, int(sessions.opens[index])), index)
    return [min(end, closed) if query.base.is_intraday else closed]


def _next_closings(query: Frames, sessions: Sessions, low: int) -> list[int]:
    """Return when the last bucket of each frame ends, if later; all others end with a segment."""
    found: list[int] = []
    for frame in query.frames if len(sessions) else ():
        latest = -1 if frame.is_intraday else int(sessions.days.argmax())
        inside = int(sessions.closes[latest]) - 1
        found += frame_buckets(sessions, frame, query.align, inside, inside + 1).closes_at.tolist()
    return [end for end in found if end > low]


def _live(query: Frames, sessions: Sessions, after: int, until: int) -> Iterator[Marker]:
    found = _starting(query, sessions, after + 1, until + 1)
    for i, start in enumerate(found.start.tolist()):
        session = int(found.session_index[i])
        first = start <= int(sessions.opens[0])
        at, at_session = (start, session) if first else _last_before(query, sessions, start)
        begin, end, day = _labels(query, sessions, at, at_session)
        yield Marker(
            kind="live",
            due=start,
            at=at,
            bucket_start=begin,
            bucket_end=end,
            day=day,
            opened=int(sessions.opens[at_session]),
            next_at=start,
            next_bucket_start=int(found.bucket_start[i]),
            next_day=int(sessions.days[session]),
            next_opened=int(sessions.opens[session]),
        )


def _final(query: Frames, sessions: Sessions, after: int, until: int) -> Iterator[Marker]:
    low, high = after - query.grace_ms, until - query.grace_ms
    closing: dict[int, list[str]] = {}
    for frame in query.frames:
        ends = closings_between(sessions, frame, query.align, low, high).closes_at
        for end in ends.tolist():
            closing.setdefault(end, []).append(frame.kind)
    reach = query.base.millis if query.base.is_intraday else _longest(sessions, low, high)
    found = _starting(query, sessions, low - reach, high + 1)
    ended = {
        end: (start, session)
        for start, end, session in zip(
            found.start.tolist(), found.end.tolist(), found.session_index.tolist(), strict=True
        )
        if low < end <= high
    }
    for end in sorted(ended.keys() | closing.keys()):
        at, session = ended[end] if end in ended else _last_before(query, sessions, end)
        begin, bucket_until, day = _labels(query, sessions, at, session)
        yield Marker(
            kind="final",
            due=end + query.grace_ms,
            at=at,
            bucket_start=begin,
            bucket_end=bucket_until,
            day=day,
            opened=int(sessions.opens[session]),
            closes=tuple(closing.get(end, ())),
        )


def _longest(sessions: Sessions, low: int, high: int) -> int:
    """Return the length of the longest session that may end in a stretch; a segment is never longer."""
    near = (sessions.closes > low) & (sessions.opens <= high)
    return int((sessions.closes - sessions.opens)[near].max()) if near.any() else 0


def _starting(query: Frames, sessions: Sessions, low: int, high: int) -> Segments:
    return segments(sessions, query.base, query.align, low, high)


def _last_before(query: Frames, sessions: Sessions, moment: int) -> tuple[int, int]:
    """Return (start, session) of the last segment that starts before a moment; some session does."""
    index = int(np.searchsorted(sessions.opens, moment, "left")) - 1
    opened, closed = int(sessions.opens[index]), int(sessions.closes[index])
    inside = min(moment, closed) - 1
    begin = int(bucket_start(query.base, query.align, *_one(inside, opened, int(sessions.days[index])))[0])
    return (max(begin, opened) if query.base.is_intraday else opened), index


def _labels(query: Frames, sessions: Sessions, at: int, session: int) -> tuple[int, int, int]:
    day = int(sessions.days[session])
    begin = bucket_start(query.base, query.align, *_one(at, int(sessions.opens[session]), day))
    return int(begin[0]), int(bucket_end(query.base, query.align, begin)[0]), day


def _one(at: int, opened: int, day: int) -> tuple[Ints, Ints, Ints]:
    return np.array([at]), np.array([opened]), np.array([day])
