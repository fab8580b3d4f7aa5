"""The schedule index: a moment finds its session by its own UTC day, with the labels of the schedule."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from tests.support_planning import HOURS, query

from ashioto import keys
from ashioto.engines.sql.sessions import (
    RECORD_MS,
    SESSION_TYPE,
    DayRow,
    by_day,
    changed_rows,
    day_key,
    day_rows,
    index_join,
    index_parts,
    labelled,
)
from ashioto.period import DAY_MS, Period
from ashioto.schedule.buckets import bucket_start
from ashioto.schedule.sessions import Sessions

MONDAY = 19_793
"""2024-03-11, in days."""


@st.composite
def schedules(draw: st.DrawFn) -> Sessions:
    """Sessions of a few days, some over midnight, some several days long."""
    edges = sorted(draw(st.sets(st.integers(0, 40), min_size=2, max_size=8)))
    pairs = list(zip(edges[::2], edges[1::2], strict=False))
    opens = np.array([MONDAY * DAY_MS + a * DAY_MS // 4 for a, _ in pairs], dtype=np.int64)
    closes = np.array([MONDAY * DAY_MS + b * DAY_MS // 4 for _, b in pairs], dtype=np.int64)
    days = np.array([draw(st.integers(MONDAY - 3, MONDAY + 40)) for _ in pairs], dtype=np.int64)
    return Sessions.build(opens, closes, days)


@given(schedules(), st.integers(0, 40 * DAY_MS // 4))
def test_a_moment_finds_its_session_by_its_day(sessions: Sessions, inside: int) -> None:
    at = MONDAY * DAY_MS + inside
    held = [s for s in by_day(sessions).get(at // DAY_MS * DAY_MS, ()) if s.open_ms <= at < s.close_ms]
    index = int(sessions.index_of(np.array([at]))[0])
    assert [s.open_ms for s in held] == ([] if index < 0 else [int(sessions.opens[index])])


@given(schedules())
def test_labels_are_the_buckets_of_the_market_date(sessions: Sessions) -> None:
    for period, name in ((Period.days(1), "day"), (Period.weeks(1), "week"), (Period.months(1), "month")):
        starts = bucket_start(period, "clock", sessions.opens, sessions.opens, sessions.days).tolist()
        assert [getattr(s, name) for s in labelled(sessions)] == starts


def test_a_session_that_ends_at_midnight_does_not_touch_the_next_day() -> None:
    assert list(by_day(Sessions.build(np.array([0]), np.array([DAY_MS]), np.array([0])))) == [0]


def test_keys_are_the_keys_of_the_log_with_the_day_in_13_digits() -> None:
    assert day_key(["F\\X", "A\x1fB"], DAY_MS) == keys.encode(["F\\X", "A\x1fB"]) + b"\x1f0000086400000"


def test_keys_with_one_schedule_have_the_same_sessions() -> None:
    shared = Sessions.build(np.array([0, DAY_MS]), np.array([10, DAY_MS + 10]), np.array([0, 1]))
    rows = day_rows({("A",): shared, ("B",): shared})
    assert [row.key for row in rows] == [day_key([k], d) for k in "AB" for d in (0, DAY_MS)]
    assert rows[0].sessions is rows[2].sessions


def test_only_what_differs_is_written_and_what_is_gone_is_taken_back() -> None:
    one = Sessions.build(np.array([0, DAY_MS]), np.array([10, DAY_MS + 10]), np.array([0, 1]))
    other = Sessions.build(np.array([0, 2 * DAY_MS]), np.array([10, 2 * DAY_MS + 10]), np.array([0, 2]))
    before, after = day_rows({("A",): one}), day_rows({("A",): other})
    changed = changed_rows(before, after)
    assert changed == [after[1], DayRow(key=day_key(["A"], DAY_MS), sessions=())]
    assert changed_rows(after, after) == []


def test_rows_are_older_than_every_tick() -> None:
    assert RECORD_MS == 1


def test_the_fields_are_those_of_the_declared_type() -> None:
    row = labelled(Sessions.build(np.array([0]), np.array([10]), np.array([0])))[0]
    assert [name for name, _ in SESSION_TYPE.fields] == list(row.__slots__)


def test_the_index_goes_by_the_keys_of_the_schedule_in_their_order() -> None:
    frame = query("1m").time_frame
    assert frame is not None
    assert index_join(frame) == ("symbol", "broker")
    assert index_parts(replace(frame, join=(("broker", "broker"), ("symbol", "symbol"))), ("FX", "EURUSD")) == (
        "EURUSD",
        "FX",
    )


def test_a_join_beyond_the_keys_has_no_index() -> None:
    frame = query("1m").time_frame
    assert frame is not None
    assert "market" not in HOURS.keys
    assert index_join(replace(frame, join=(*frame.join, ("broker", "market")))) is None
