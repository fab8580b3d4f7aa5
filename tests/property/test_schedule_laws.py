"""Buckets and segments keep their laws on every schedule, frame and alignment."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support_sessions import ALIGNS, DATED, INTRADAY, SESSIONS, Case, cases

from ashioto.period import DAY_MS, Period
from ashioto.schedule.buckets import (
    Buckets,
    bucket_end,
    bucket_start,
    closings_between,
    frame_buckets,
    openings_between,
)
from ashioto.schedule.segments import Segments, segments

if TYPE_CHECKING:
    from ashioto.schedule.buckets import Align
    from ashioto.schedule.sessions import Ints, Sessions

COUNTS = settings(max_examples=100, deadline=None)
FOREVER = 2**60
Row = tuple[int, ...]


def rows(buckets: Buckets) -> list[Row]:
    columns = (buckets.start, buckets.end, buckets.exists_at, buckets.closes_at, buckets.day)
    return list(zip(*(column.tolist() for column in columns), strict=True))


def pieces(found: Segments) -> list[Row]:
    columns = (found.start, found.end, found.session_index, found.bucket_start)
    return list(zip(*(column.tolist() for column in columns), strict=True))


def every(sessions: Sessions, period: Period, align: Align) -> Buckets:
    return frame_buckets(sessions, period, align, -FOREVER, FOREVER)


def instants(sessions: Sessions, period: Period) -> tuple[Ints, Ints]:
    """Instants inside sessions, first and last millisecond and around every possible edge, and their sessions."""
    size = period.millis if period.is_intraday else DAY_MS
    found: list[int] = []
    for session in sessions:
        steps = np.arange(session.open_ms // size, session.close_ms // size + 1)[:200] * size
        near = [session.open_ms, session.close_ms - 1, *steps, *(session.open_ms + (steps - steps[0]))]
        found += [int(at + d) for at in near for d in (-1, 0, 1)]
    at = np.unique(np.array(found, dtype=np.int64))
    index = sessions.index_of(at)
    return at[index >= 0], index[index >= 0]


@COUNTS
@given(cases())
def test_every_instant_of_a_session_lies_in_exactly_one_bucket(case: Case) -> None:
    sessions, period, align, _ = case
    at, index = instants(sessions, period)
    label = bucket_start(period, align, at, sessions.opens[index], sessions.days[index])
    known = every(sessions, period, align)
    assert (np.diff(known.start) > 0).all()
    slot = np.searchsorted(known.start, label)
    assert known.start[slot].tolist() == label.tolist()
    assert (known.exists_at[slot] <= at).all()
    assert (at < known.closes_at[slot]).all()
    if period.is_intraday:
        assert (label <= at).all()
        assert (at < known.end[slot]).all()


@COUNTS
@given(SESSIONS, INTRADAY, ALIGNS)
def test_segments_of_a_bucket_begin_and_end_with_it(sessions: Sessions, period: Period, align: Align) -> None:
    known = every(sessions, period, align)
    found = segments(sessions, period, align, -FOREVER, FOREVER)
    starts: dict[int, int] = {}
    ends: dict[int, int] = {}
    for start, end, _, bucket in pieces(found):
        starts.setdefault(bucket, start)
        ends[bucket] = end
    assert known.start.tolist() == sorted(starts)
    assert known.exists_at.tolist() == [starts[b] for b in sorted(starts)]
    assert known.closes_at.tolist()[:-1] == [ends[b] for b in sorted(starts)][:-1]
    assert known.closes_at[-1] == known.end[-1]


@COUNTS
@given(cases(), ALIGNS)
def test_segments_cut_sessions_without_gap_or_overlap(case: Case, align: Align) -> None:
    sessions, base = case.sessions, case.period
    found = segments(sessions, base, align, -FOREVER, FOREVER)
    for i, session in enumerate(sessions):
        own = found.session_index == i
        start, end = found.start[own].tolist(), found.end[own].tolist()
        assert [*start, session.close_ms] == [session.open_ms, *end]
        if not base.is_intraday:
            assert len(start) == 1
    day, opened = sessions.days[found.session_index], sessions.opens[found.session_index]
    for at in (found.start, found.end - 1):
        assert bucket_start(base, align, at, opened, day).tolist() == found.bucket_start.tolist()


@COUNTS
@given(cases(cuts=3))
def test_a_stretch_has_the_buckets_of_its_parts(case: Case) -> None:
    sessions, period, align, (lo, middle, hi) = case
    left = rows(frame_buckets(sessions, period, align, lo, middle))
    right = rows(frame_buckets(sessions, period, align, middle, hi))
    assert sorted({*left, *right}) == rows(frame_buckets(sessions, period, align, lo, hi))
    if period.is_intraday:
        assert len({*left} & {*right}) <= 1


@COUNTS
@given(cases(cuts=3))
def test_a_stretch_has_the_segments_of_its_parts(case: Case) -> None:
    sessions, base, align, (lo, middle, hi) = case
    left, right = segments(sessions, base, align, lo, middle), segments(sessions, base, align, middle, hi)
    assert pieces(left) + pieces(right) == pieces(segments(sessions, base, align, lo, hi))


@COUNTS
@given(cases())
def test_a_stretch_has_the_buckets_whose_session_time_it_touches(case: Case) -> None:
    sessions, period, align, (lo, hi) = case
    base = period if period.is_intraday else Period.days(1)
    found = segments(sessions, base, align, -FOREVER, FOREVER)
    touched = (found.start < hi) & (found.end > lo) & (lo < hi)
    index = found.session_index[touched]
    label = bucket_start(period, align, found.start[touched], sessions.opens[index], sessions.days[index])
    near = frame_buckets(sessions, period, align, lo, hi)
    assert near.start.tolist() == np.unique(label).tolist()
    assert {*rows(near)} <= {*rows(every(sessions, period, align))}


@COUNTS
@given(cases(cuts=6))
def test_every_bucket_opens_once_and_closes_once(case: Case) -> None:
    sessions, period, align, cuts = case
    stops = [-FOREVER, *cuts, FOREVER - 1]
    opened = [row for lo, hi in pairwise(stops) for row in rows(openings_between(sessions, period, align, lo, hi))]
    closed = [row for lo, hi in pairwise(stops) for row in rows(closings_between(sessions, period, align, lo, hi))]
    assert sorted(opened) == sorted(closed) == rows(every(sessions, period, align))


@COUNTS
@given(cases())
def test_openings_and_closings_lie_in_their_stretch(case: Case) -> None:
    sessions, period, align, (lo, hi) = case
    known = every(sessions, period, align)
    opened, closed = (known.exists_at > lo) & (known.exists_at <= hi), (known.closes_at > lo) & (known.closes_at <= hi)
    assert rows(openings_between(sessions, period, align, lo, hi)) == rows(known.where(opened))
    assert rows(closings_between(sessions, period, align, lo, hi)) == rows(known.where(closed))


@COUNTS
@given(SESSIONS, ALIGNS, st.sampled_from([("1m", "5m"), ("5m", "1h"), ("15m", "45m"), ("1h", "4h"), ("7m", "35m")]))
def test_a_larger_frame_is_made_of_whole_buckets(sessions: Sessions, align: Align, frames: tuple[str, str]) -> None:
    small, large = map(Period.parse, frames)
    at, index = instants(sessions, small)
    opened, day = sessions.opens[index], sessions.days[index]
    inner = bucket_start(small, align, at, opened, day)
    outer = bucket_start(large, align, at, opened, day)
    assert bucket_start(large, align, inner, opened, day).tolist() == outer.tolist()
    assert (bucket_end(small, align, inner) <= bucket_end(large, align, outer)).all()


@COUNTS
@given(DATED, st.lists(st.integers(-40_000, 80_000), min_size=1))
def test_dates_are_cut_without_gap_and_named_by_their_first(period: Period, days: list[int]) -> None:
    day = np.array(days, dtype=np.int64)
    start = bucket_start(period, "clock", day * DAY_MS, day * DAY_MS, day)
    end = bucket_end(period, "clock", start)
    assert (start % DAY_MS == 0).all()
    assert ((start <= day * DAY_MS) & (day * DAY_MS < end)).all()
    for first, held in ((start, start), (end - DAY_MS, start), (end, end)):
        number = first // DAY_MS
        assert bucket_start(period, "session", first, first, number).tolist() == held.tolist()
    first = start.astype("datetime64[ms]").astype("datetime64[D]")
    if period.unit == "mo":
        assert (first == first.astype("datetime64[M]")).all()
    if period.unit == "w":
        assert np.is_busday(first, "1000000").all()


@COUNTS
@given(cases(periods=INTRADAY))
def test_intraday_buckets_count_from_the_epoch_or_from_the_open(case: Case) -> None:
    sessions, period, align, _ = case
    known = every(sessions, period, align)
    assert (known.end - known.start == period.millis).all()
    if align == "clock":
        assert (known.start % period.millis == 0).all()
    else:
        index = sessions.index_of(known.start)
        assert (index >= 0).all()
        assert ((known.start - sessions.opens[index]) % period.millis == 0).all()
        assert (known.exists_at == known.start).all()


@COUNTS
@given(cases(periods=DATED))
def test_a_dated_bucket_spans_the_sessions_of_its_market_dates(case: Case) -> None:
    sessions, period, align, _ = case
    known = every(sessions, period, align)
    for start, end, exists, closes, day in rows(known):
        own = (sessions.days * DAY_MS >= start) & (sessions.days * DAY_MS < end)
        assert (day * DAY_MS, exists) == (start, sessions.opens[own].min())
        last = int(sessions.closes[own].max())
        assert closes == (max(last, end) if start == known.start[-1] else last)


@pytest.mark.parametrize("period", ["1m", "1d"])
@given(SESSIONS, ALIGNS, st.integers(-FOREVER, FOREVER), st.integers(0, FOREVER))
@settings(max_examples=20, deadline=None)
def test_nothing_lies_in_an_empty_stretch(period: str, sessions: Sessions, align: Align, at: int, back: int) -> None:
    frame = Period.parse(period)
    for find in (frame_buckets, openings_between, closings_between):
        assert rows(find(sessions, frame, align, at, at - back)) == []
    assert pieces(segments(sessions, frame, align, at, at - back)) == []
