"""Draws schedules, frames and stretches of time for property tests."""

from __future__ import annotations

from datetime import date, timedelta
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from hypothesis import strategies as st

from ashioto.period import DAY_MS, Period
from ashioto.schedule.calendars import calendar_sessions
from ashioto.schedule.sessions import Sessions

if TYPE_CHECKING:
    from ashioto.schedule.buckets import Align

EPOCH = date(1970, 1, 1)
ANCHORS = [
    date(1969, 12, 31),
    date(1970, 1, 1),
    date(2000, 2, 28),
    date(2023, 12, 31),
    date(2024, 2, 29),
    date(2024, 3, 8),
    date(2024, 11, 1),
]
"""Before the epoch and on it, leap days, a year's end, the Fridays before New York changes its clocks."""
ALIGNS: st.SearchStrategy[Align] = st.sampled_from(["clock", "session"])
INTRADAY = st.builds(Period, st.sampled_from([1, 2, 5, 7, 15, 24, 45]), st.sampled_from(["m", "h"]))
DATED = st.builds(Period, st.sampled_from([1, 2, 3, 5]), st.sampled_from(["d", "w", "mo"]))
PERIODS = st.one_of(INTRADAY, DATED)


class Case(NamedTuple):
    """A schedule, a frame, and a stretch of time that begins and ends near the edges of the schedule's buckets."""

    sessions: Sessions
    period: Period
    align: Align
    cuts: list[int]


def number(day: date) -> int:
    return (day - EPOCH).days


@st.composite
def invented(draw: st.DrawFn, *, ordered: bool = True) -> Sessions:
    """Draw sessions with breaks, overnight, of a few milliseconds or many days, on odd bounds."""
    day = number(draw(st.sampled_from(ANCHORS)))
    at = day * DAY_MS + draw(st.sampled_from([0, 1, 34_200_000, 61_200_000, -25_200_000]))
    rows = []
    for _ in range(draw(st.integers(1, 6))):
        unit = draw(st.sampled_from([60_000, 900_000, 3_600_000]))
        length = max(draw(st.integers(0, 30)) * unit + draw(st.integers(-1, 1)), 1)
        rows.append((at, at + length, day))
        at += length + draw(st.sampled_from([0, 0, 1, 1_000, 3_599_999, 3_600_000, DAY_MS, 3 * DAY_MS, 31 * DAY_MS]))
        day += draw(st.sampled_from([0, 0, 1, 2, 3, 31] if ordered else [-8, -1, 0, 1, 31]))
    return Sessions.build(*np.array(rows, dtype=np.int64).T)


@st.composite
def crowded(draw: st.DrawFn) -> Sessions:
    """Draw many short sessions with short breaks, so that one bucket holds several of them."""
    day = number(draw(st.sampled_from(ANCHORS)))
    at = day * DAY_MS + draw(st.integers(0, 240)) * 60_000
    rows = []
    for _ in range(draw(st.integers(2, 12))):
        until = at + draw(st.integers(1, 20)) * 60_000
        rows.append((at, until, day))
        at = until + draw(st.integers(1, 40)) * 60_000
    return Sessions.build(*np.array(rows, dtype=np.int64).T)


@st.composite
def real(draw: st.DrawFn) -> Sessions:
    """Draw some days of a real calendar where it is hard: clock changes, early closes, lunch breaks."""
    name, first = draw(
        st.sampled_from(
            [
                ("24x7", date(2024, 2, 27)),
                ("fx", date(2024, 3, 6)),
                ("fx", date(2024, 10, 30)),
                ("XNYS", date(2024, 3, 7)),
                ("XNYS", date(2024, 7, 1)),
                ("XTKS", date(2024, 4, 26)),
                ("CMES", date(2024, 11, 1)),
            ]
        )
    )
    first += timedelta(days=draw(st.integers(0, 5)))
    return _days(name, first, first + timedelta(days=draw(st.integers(3, 12))))


_days = cache(calendar_sessions)


SESSIONS = st.one_of(invented(), invented(ordered=False), crowded(), real())


def edges(sessions: Sessions, period: Period) -> list[int]:
    """Return instants at which something may change: bounds of sessions, clock edges near them, midnights."""
    found = {*sessions.opens.tolist(), *sessions.closes.tolist()}
    size = period.millis if period.is_intraday else DAY_MS
    for bound in [*found]:
        found |= {bound // size * size, -(-bound // size) * size, bound // DAY_MS * DAY_MS}
    found |= set((sessions.opens + size).tolist())
    found |= {int(sessions.days[-1] + 32) * DAY_MS}
    return sorted(found)


@st.composite
def cases(draw: st.DrawFn, *, periods: st.SearchStrategy[Period] = PERIODS, cuts: int = 2) -> Case:
    """Draw a schedule, a frame, and cuts through time in order."""
    sessions, period = draw(SESSIONS), draw(periods)
    near = st.sampled_from(edges(sessions, period))
    found = st.builds(lambda edge, step: edge + step, near, st.sampled_from([0, -1, 1, 30_000]))
    at = sorted(draw(st.lists(found, min_size=cuts, max_size=cuts)))
    return Case(sessions, period, draw(ALIGNS), at)
