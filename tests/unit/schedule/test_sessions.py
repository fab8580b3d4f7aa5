from __future__ import annotations

from datetime import date, datetime
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support_sessions import EPOCH, SESSIONS

from ashioto.errors import ScheduleError
from ashioto.schedule.sessions import Schedule, Session, Sessions, day_text, time_text

COUNTS = settings(max_examples=100, deadline=None)
DAY = date(2024, 3, 11)
ROWS = st.lists(st.tuples(*[st.integers(-50, 50)] * 3), max_size=5)


def build(*rows: tuple[int, int, int], label: str = "") -> Sessions:
    return Sessions.build(*np.array(rows, dtype=np.int64).reshape(-1, 3).T, label=label)


@COUNTS
@given(ROWS)
def test_what_is_built_is_sorted_and_neither_empty_nor_overlapping(rows: list[tuple[int, int, int]]) -> None:
    unique = sorted(set(rows))
    sound = all(o < c for o, c, _ in unique) and all(a[1] <= b[0] for a, b in pairwise(unique))
    if sound:
        built = build(*rows)
        assert list(zip(built.opens.tolist(), built.closes.tolist(), built.days.tolist(), strict=True)) == unique
    else:
        with pytest.raises(ScheduleError):
            build(*rows)


@pytest.mark.parametrize("row", [(1000, 1000, 19793), (1000, 999, 19793)])
def test_an_empty_session_is_refused_by_name(row: tuple[int, int, int]) -> None:
    with pytest.raises(ScheduleError) as caught:
        build((0, 5, 0), row, label="FX/USDJPY")
    assert caught.value.message == (
        "FX/USDJPY: the session of 2024-03-11 opens at or after its close (1970-01-01T00:00:01Z)"
    )
    assert "close must lie after open" in caught.value.hint


def test_overlapping_sessions_are_refused_by_name() -> None:
    with pytest.raises(
        ScheduleError, match=r"^the sessions of 1970-01-01 and 1970-01-02 overlap at 1970-01-01T00:00:00\.009Z"
    ):
        build((9, 20, 1), (0, 10, 0))


def test_sessions_may_touch_and_equal_rows_count_once() -> None:
    assert len(build((0, 10, 0), (10, 20, 0), (0, 10, 0))) == 2


@COUNTS
@given(SESSIONS)
def test_single_sessions_read_back(sessions: Sessions) -> None:
    single = list(sessions)
    assert Sessions.from_sessions(reversed(single)) == sessions
    assert [s.open_ms for s in single] == sessions.opens.tolist()
    assert [(s.market_date - EPOCH).days for s in single] == sessions.days.tolist()


def test_an_overlap_of_single_sessions_names_its_key() -> None:
    one = Session(open_ms=0, close_ms=10, market_date=DAY)
    two = Session(open_ms=5, close_ms=10, market_date=DAY)
    with pytest.raises(ScheduleError, match=r"^A: "):
        Sessions.from_sessions([one, two], label="A")


@COUNTS
@given(SESSIONS, st.data())
def test_an_instant_belongs_to_the_session_that_holds_it(sessions: Sessions, data: st.DataObject) -> None:
    edges = st.sampled_from([*sessions.opens.tolist(), *sessions.closes.tolist()])
    at = data.draw(st.lists(st.builds(lambda e, d: e + d, edges, st.integers(-1, 1))))
    held = [[i for i, s in enumerate(sessions) if s.open_ms <= t < s.close_ms] for t in at]
    assert sessions.index_of(np.array(at, dtype=np.int64)).tolist() == [i[0] if i else -1 for i in held]


@COUNTS
@given(SESSIONS, st.data())
def test_sessions_touch_a_stretch_they_share_time_with(sessions: Sessions, data: st.DataObject) -> None:
    edges = st.sampled_from([*sessions.opens.tolist(), *sessions.closes.tolist()])
    lo, hi = (data.draw(st.builds(lambda e, d: e + d, edges, st.integers(-1, 1))) for _ in range(2))
    wanted = [s for s in sessions if s.open_ms < hi and s.close_ms > lo] if lo < hi else []
    if lo < hi:
        assert list(sessions.between(lo, hi)) == wanted
    else:
        assert len(sessions.between(lo, hi)) <= 1


@COUNTS
@given(SESSIONS)
def test_sessions_come_in_the_order_of_their_market_dates(sessions: Sessions) -> None:
    order = sessions.by_day.tolist()
    assert order == sorted(range(len(sessions)), key=lambda i: (sessions.days[i], i))
    assert sessions.by_day is sessions.by_day


@COUNTS
@given(SESSIONS, SESSIONS)
def test_equal_sessions_are_equal_and_hash_alike(one: Sessions, other: Sessions) -> None:
    copy = Sessions(one.opens.copy(), one.closes.copy(), one.days.copy())
    assert one == one  # noqa: PLR0124 -- the short way out
    assert copy == one
    assert hash(copy) == hash(one)
    assert (one == other) is (list(one) == list(other))
    assert one != list(one)


def test_no_sessions_hold_nothing() -> None:
    nothing = build()
    assert repr(nothing) == "Sessions(none)"
    assert nothing.index_of(np.array([0, 1])).tolist() == [-1, -1]
    assert list(nothing) == list(nothing.between(0, 10)) == []
    assert nothing.to_table().num_rows == 0


def test_sessions_say_how_many_and_until_when() -> None:
    assert repr(build((0, 1, 0), (5, 6, 19793))) == "Sessions(2: 1970-01-01 to 2024-03-11)"


@COUNTS
@given(SESSIONS)
def test_a_table_has_the_same_sessions(sessions: Sessions) -> None:
    def ms(at: datetime) -> int:
        return round(at.timestamp() * 1000)

    found = sessions.to_table().to_pylist()
    assert found == [{**row, "market_date": s.market_date} for row, s in zip(found, sessions, strict=True)]
    assert [(ms(r["open"]), ms(r["close"])) for r in found] == [(s.open_ms, s.close_ms) for s in sessions]


def test_keys_with_equal_sessions_share_them() -> None:
    one, same, other = build((0, 1, 0)), build((0, 1, 0)), build((0, 2, 0))
    schedule = Schedule.of({("A",): one, ("B",): same, ("C",): other})
    assert schedule.sessions(("B",)) is one
    assert schedule.keys() == [("A",), ("B",), ("C",)]
    assert schedule.groups() == [(one, [("A",), ("B",)]), (other, [("C",)])]


def test_other_keys_have_the_default_sessions_or_none() -> None:
    one, rest = build((0, 1, 0)), build((0, 2, 0))
    assert Schedule.of({("A",): one}).sessions(("B",)) is None
    assert Schedule.of({("A",): one}, default=rest).sessions(("B",)) is rest
    assert Schedule.of({("A",): one}, default=rest).sessions(("A",)) is one


@COUNTS
@given(st.dates())
def test_dates_are_iso(day: date) -> None:
    assert day_text((day - EPOCH).days) == day.isoformat()


@pytest.mark.parametrize(
    ("ms", "text"),
    [
        (0, "1970-01-01T00:00:00Z"),
        (-1, "1969-12-31T23:59:59.999Z"),
        (1_710_163_800_000, "2024-03-11T13:30:00Z"),
        (1_710_163_800_000_000, "56162-12-07T12:00:00Z"),
    ],
)
def test_times_are_utc_even_where_milliseconds_were_mistaken(ms: int, text: str) -> None:
    assert time_text(ms) == text
