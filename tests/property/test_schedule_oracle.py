"""Buckets and segments equal the reference's, for every frame and both alignments."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from hypothesis import given, settings
from tests.support_sessions import INTRADAY, Case, cases, number
from tests.support_shared import oracle

from ashioto.period import DAY_MS
from ashioto.schedule.buckets import bucket_end, bucket_start, closings_between, frame_buckets, openings_between
from ashioto.schedule.segments import segments

if TYPE_CHECKING:
    from types import ModuleType

    from ashioto.schedule.buckets import Buckets
    from ashioto.schedule.sessions import Sessions

COUNTS = settings(max_examples=200, deadline=None)
Row = tuple[int, int, int, int, int]


def rows(buckets: Buckets) -> list[Row]:
    columns = (buckets.start, buckets.end, buckets.exists_at, buckets.closes_at, buckets.day)
    return list(zip(*(column.tolist() for column in columns), strict=True))


def theirs(ref: ModuleType, sessions: Sessions) -> list[Any]:
    """The same sessions as the reference's."""
    return [ref.Session(key=(), open=s.open_ms, close=s.close_ms, market_date=s.market_date) for s in sessions]


def expected(ref: ModuleType, case: Case) -> dict[int, tuple[Row, list[tuple[int, int]]]]:
    """Every bucket of the reference by start, with the session time in it."""
    known, period, align = theirs(ref, case.sessions), case.period, case.align
    base = period.kind if period.is_intraday else "1h"
    ends = ref.closings(base, period.kind, known, align)
    found: dict[int, tuple[Row, list[tuple[int, int]]]] = {}
    for begin, end, session in ref.segments(base, known, align):
        start, until = ref.bucket(period.kind, begin, session, align)
        day = number(session.market_date) if period.is_intraday else start // DAY_MS
        row = (start, until, begin, ends[start], day)
        found.setdefault(start, (row, []))[1].append((begin, end))
    return found


@COUNTS
@given(cases())
def test_instants_fall_into_the_same_bucket(case: Case) -> None:
    ref = oracle()
    sessions, period, align, cuts = case
    for i, session in enumerate(theirs(ref, sessions)):
        bounds = (session.open, session.open + 1, session.close - 1)
        at = np.array([*bounds, *(c for c in cuts if session.open <= c < session.close)], dtype=np.int64)
        opened, day = np.full_like(at, session.open), np.full_like(at, sessions.days[i])
        start = bucket_start(period, align, at, opened, day)
        got = list(zip(start.tolist(), bucket_end(period, align, start).tolist(), strict=True))
        assert got == [ref.bucket(period.kind, t, session, align) for t in at.tolist()]


@COUNTS
@given(cases())
def test_a_stretch_has_the_same_buckets(case: Case) -> None:
    sessions, period, align, (lo, hi) = case
    known = expected(oracle(), case)
    wanted = [row for row, time in known.values() if any(begin < hi and end > lo for begin, end in time) and lo < hi]
    assert rows(frame_buckets(sessions, period, align, lo, hi)) == sorted(wanted)


@COUNTS
@given(cases())
def test_buckets_open_and_close_at_the_same_time(case: Case) -> None:
    sessions, period, align, (lo, hi) = case
    known = [row for row, _ in expected(oracle(), case).values()]
    opened = sorted(row for row in known if lo < row[2] <= hi)
    closed = sorted(row for row in known if lo < row[3] <= hi)
    assert rows(openings_between(sessions, period, align, lo, hi)) == opened
    assert rows(closings_between(sessions, period, align, lo, hi)) == closed


@COUNTS
@given(cases(periods=INTRADAY))
def test_a_stretch_has_the_same_segments(case: Case) -> None:
    ref = oracle()
    sessions, base, align, (lo, hi) = case
    known = theirs(ref, sessions)
    found = segments(sessions, base, align, lo, hi)
    columns = (found.start, found.end, found.session_index, found.bucket_start)
    assert list(zip(*(c.tolist() for c in columns), strict=True)) == [
        (start, end, known.index(session), ref.bucket(base.kind, start, session, align)[0])
        for start, end, session in ref.segments(base.kind, known, align)
        if lo <= start < hi
    ]
