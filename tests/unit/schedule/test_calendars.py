from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import exchange_calendars
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support_sessions import EPOCH, number

from ashioto.errors import ScheduleError
from ashioto.period import DAY_MS
from ashioto.schedule.calendars import calendar_sessions, known_calendars, widest

if TYPE_CHECKING:
    from ashioto.schedule.sessions import Sessions

NEW_YORK = ZoneInfo("America/New_York")
HOUR = 3_600_000


def local(ms: int, zone: str) -> str:
    """Say when it is somewhere: `Mon 17:00`."""
    return datetime.fromtimestamp(ms / 1000, UTC).astimezone(ZoneInfo(zone)).strftime("%a %H:%M")


def hours(sessions: Sessions, zone: str) -> list[tuple[str, str, str]]:
    """Say the sessions in local time: market date, open, close."""
    return [(str(s.market_date), local(s.open_ms, zone), local(s.close_ms, zone)) for s in sessions]


def test_24x7_has_one_session_a_utc_day() -> None:
    found = calendar_sessions("24x7", date(1969, 12, 30), date(1970, 1, 2))
    assert found.opens.tolist() == [-2 * DAY_MS, -DAY_MS, 0, DAY_MS]
    assert found.closes.tolist() == [-DAY_MS, 0, DAY_MS, 2 * DAY_MS]
    assert found.days.tolist() == [-2, -1, 0, 1]


@pytest.mark.parametrize(
    ("monday", "before", "after"),
    [(date(2024, 3, 4), 22, 21), (date(2024, 10, 28), 21, 22), (date(1974, 1, 1), 22, 21)],
)
def test_fx_goes_from_sunday_17_to_friday_17_new_york_when_clocks_change(monday: date, before: int, after: int) -> None:
    monday -= timedelta(days=monday.weekday())
    found = calendar_sessions("fx", monday, monday + timedelta(days=13))
    week = [("Sun 17:00", "Mon 17:00"), ("Mon 17:00", "Tue 17:00"), ("Tue 17:00", "Wed 17:00"),
            ("Wed 17:00", "Thu 17:00"), ("Thu 17:00", "Fri 17:00")]  # fmt: skip
    assert [(o, c) for _, o, c in hours(found, "America/New_York")] == week * 2
    assert (found.closes % DAY_MS // HOUR).tolist() == [before] * 5 + [after] * 5
    assert (found.opens % DAY_MS // HOUR).tolist() == [before] * 5 + [after] * 5
    assert [s.market_date.weekday() for s in found] == [*range(5)] * 2


def test_fx_keeps_its_hours_for_130_years() -> None:
    found = widest("fx")
    assert (found.closes - found.opens == DAY_MS).all()
    gaps = found.opens[1:] - found.closes[:-1]
    friday = (found.days[:-1] + 3) % 7 == 4
    assert (gaps[~friday] == 0).all()
    assert {*(gaps[friday] // HOUR).tolist()} == {47, 48, 49}
    for i in range(0, len(found), 7):
        close = datetime(1970, 1, 1, 17, tzinfo=NEW_YORK) + timedelta(days=int(found.days[i]))
        assert found.closes[i] == round(close.timestamp() * 1000)
    assert (found.days[0], found.days[-1]) == (0, number(date(2099, 12, 31)))


@pytest.mark.parametrize("day", [date(2024, 3, 9), date(2024, 3, 10)])
def test_fx_has_no_market_date_on_a_weekend(day: date) -> None:
    assert len(calendar_sessions("fx", day, day)) == 0


def test_new_york_keeps_its_holidays_and_early_closes() -> None:
    found = calendar_sessions("XNYS", date(2024, 7, 2), date(2024, 7, 8))
    assert hours(found, "America/New_York") == [
        ("2024-07-02", "Tue 09:30", "Tue 16:00"),
        ("2024-07-03", "Wed 09:30", "Wed 13:00"),
        ("2024-07-05", "Fri 09:30", "Fri 16:00"),
        ("2024-07-08", "Mon 09:30", "Mon 16:00"),
    ]


def test_new_york_opens_an_hour_earlier_in_utc_when_clocks_change() -> None:
    found = calendar_sessions("XNYS", date(2024, 3, 8), date(2024, 3, 11))
    assert (found.opens % DAY_MS).tolist() == [14 * HOUR + HOUR // 2, 13 * HOUR + HOUR // 2]


def test_tokyo_rests_at_noon_and_closes_later_since_november_2024() -> None:
    found = calendar_sessions("XTKS", date(2024, 11, 1), date(2024, 11, 5))
    assert hours(found, "Asia/Tokyo") == [
        ("2024-11-01", "Fri 09:00", "Fri 11:30"),
        ("2024-11-01", "Fri 12:30", "Fri 15:00"),
        ("2024-11-05", "Tue 09:00", "Tue 11:30"),
        ("2024-11-05", "Tue 12:30", "Tue 15:30"),
    ]


def test_futures_open_on_the_evening_before_their_market_date() -> None:
    found = calendar_sessions("CMES", date(2024, 3, 11), date(2024, 3, 12))
    assert hours(found, "America/Chicago") == [
        ("2024-03-11", "Sun 17:00", "Mon 17:00"),
        ("2024-03-12", "Mon 17:00", "Tue 17:00"),
    ]


def test_a_holiday_has_no_sessions() -> None:
    assert len(calendar_sessions("XNYS", date(2024, 7, 4), date(2024, 7, 4))) == 0


def test_names_are_read_in_any_case_and_by_alias() -> None:
    day = date(2024, 3, 11)
    nyse = calendar_sessions("XNYS", day, day)
    assert calendar_sessions("xnys", day, day) == calendar_sessions("NYSE", day, day) == nyse
    assert calendar_sessions("FX", day, day) == calendar_sessions("fx", day, day)
    assert calendar_sessions("24/7", day, day) == calendar_sessions("24X7", day, day)
    assert widest("nyse") is widest("XNYS")


def test_every_calendar_is_known_by_name() -> None:
    names = known_calendars()
    assert names[:2] == ["24x7", "fx"]
    assert names[2:] == sorted({*exchange_calendars.get_calendar_names()})
    assert {"XNYS", "NYSE", "XTKS", "XLON"} <= {*names}


@pytest.mark.parametrize("name", sorted(exchange_calendars.get_calendar_names(include_aliases=False)))
def test_every_exchange_has_sessions_or_says_why_not(name: str) -> None:
    found, refusal = None, ""
    try:
        found = calendar_sessions(name, date(2024, 1, 1), date(2024, 12, 31))
    except ScheduleError as error:
        refusal = str(error)
    if found is None:
        assert f"cannot make the calendar {name}" in refusal
        assert "import the sessions from a file" in refusal
        return
    assert len({*found.days.tolist()}) > 200
    assert {s.market_date.year for s in found} == {2024}
    assert (found.closes - found.opens <= DAY_MS).all()


def test_what_the_package_cannot_make_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise NotImplementedError("word " * 100)

    monkeypatch.setattr(exchange_calendars, "get_calendar", broken)
    with pytest.raises(ScheduleError) as caught:
        calendar_sessions("XWBO", date(2024, 1, 1), date(2024, 12, 31))
    assert "cannot make the calendar XWBO: word word" in caught.value.message
    assert len(caught.value.message) < 250
    assert caught.value.ids == {"calendar": "XWBO"}


@pytest.mark.parametrize(
    ("name", "hint"),
    [("XNYZ", "XNYS"), ("xtk", "XTKS"), ("24x5", "24x7"), ("fxx", "fx"), ("", "such as XNYS"), ("%&§", "such as XNYS")],
)
def test_an_unknown_calendar_names_close_ones(name: str, hint: str) -> None:
    for find in (widest, lambda n: calendar_sessions(n, date(2024, 1, 1), date(2024, 1, 2))):
        with pytest.raises(ScheduleError, match="no calendar") as caught:
            find(name)
        assert hint in caught.value.hint


@pytest.mark.parametrize(
    ("name", "first", "last", "known"),
    [
        ("XTKS", date(1996, 12, 31), date(1997, 12, 31), "1997-01-01 to 2099-12-31"),
        ("XKRX", date(2050, 1, 1), date(2051, 1, 1), "1956-01-01 to 2050-12-31"),
        ("XNYS", date(1899, 12, 31), date(2024, 1, 1), "1900-01-01 to 2099-12-31"),
        ("fx", date(1, 1, 1), date(2024, 1, 1), "1900-01-01 to 2099-12-31"),
        ("24x7", date(2024, 1, 1), date(9999, 12, 31), "1900-01-01 to 2099-12-31"),
    ],
)
def test_dates_a_calendar_does_not_know_are_refused(name: str, first: date, last: date, known: str) -> None:
    with pytest.raises(ScheduleError, match=f"the calendar {name} does not know every market date") as caught:
        calendar_sessions(name, first, last)
    assert f"it knows {known}" in caught.value.hint


@pytest.mark.parametrize("name", ["24x7", "fx", "XNYS"])
def test_dates_the_wrong_way_round_are_refused(name: str) -> None:
    with pytest.raises(ScheduleError, match="2024-01-01 lies before the first 2024-01-02") as caught:
        calendar_sessions(name, date(2024, 1, 2), date(2024, 1, 1))
    assert caught.value.hint == "turn them round"


def test_the_bounds_of_a_calendar_themselves_are_known() -> None:
    assert len(calendar_sessions("XTKS", date(1997, 1, 1), date(1997, 1, 6))) == 2
    assert len(calendar_sessions("24x7", date(1900, 1, 1), date(1900, 1, 1))) == 1
    assert len(calendar_sessions("fx", date(1900, 1, 1), date(1900, 1, 1))) == 1
    assert len(calendar_sessions("24x7", date(2099, 12, 31), date(2099, 12, 31))) == 1


@pytest.mark.parametrize(
    ("name", "first", "last"),
    [
        ("24x7", date(1970, 1, 1), date(2099, 12, 31)),
        ("fx", date(1970, 1, 1), date(2099, 12, 31)),
        ("XNYS", date(1990, 1, 2), date(2049, 12, 31)),
        ("XTKS", date(1997, 1, 6), date(2049, 12, 30)),
        ("XHKG", date(1990, 1, 2), date(2049, 12, 31)),
    ],
)
def test_the_widest_schedule_goes_as_far_as_needed(name: str, first: date, last: date) -> None:
    found = widest(name)
    assert (EPOCH + timedelta(days=int(found.days[0])), EPOCH + timedelta(days=int(found.days[-1]))) == (first, last)
    assert all(a <= b for a, b in pairwise(found.days.tolist()))


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(["24x7", "fx", "XNYS", "XTKS"]),
    st.dates(date(1998, 1, 1), date(2047, 6, 1)),
    st.integers(0, 900),
)
def test_a_range_has_the_sessions_of_its_market_dates(name: str, first: date, length: int) -> None:
    whole, last = widest(name), first + timedelta(days=length)
    inside = (whole.days >= number(first)) & (whole.days <= number(last))
    found = calendar_sessions(name, first, last)
    assert np.array_equal(found.opens, whole.opens[inside])
    assert np.array_equal(found.closes, whole.closes[inside])
    assert np.array_equal(found.days, whole.days[inside])
