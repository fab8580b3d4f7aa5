from __future__ import annotations

from datetime import UTC, date, datetime

import pytest
from tests.support_planning import EPOCH, Row, query, sessions_of

from ashioto.heartbeat.planner import Marker, next_due, plan_markers

MINUTE, HOUR = 60_000, 3_600_000
ALL = 2**61


def ms(text: str) -> int:
    """UTC milliseconds of `2024-03-08 09:30`."""
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


def row(opens: str, closes: str, day: str) -> Row:
    return ms(opens), ms(closes), (date.fromisoformat(day) - EPOCH).days


def closes(found: list[Marker]) -> list[tuple[str, tuple[str, ...]]]:
    """When each bar is closed, and by the marker of which segment."""
    return [
        (f"{datetime.fromtimestamp(m.at / 1000, UTC):%m-%d %H:%M}", m.closes)
        for m in found
        if m.kind == "final" and m.closes
    ]


TWO_DAYS = [
    row("2024-03-07 23:57", "2024-03-08 00:02", "2024-03-08"),
    row("2024-03-08 09:00", "2024-03-08 09:03", "2024-03-08"),
    row("2024-03-11 09:00", "2024-03-11 09:02", "2024-03-11"),
    row("2024-04-01 09:00", "2024-04-01 09:01", "2024-04-01"),
]
"""A Friday with an evening before it, the Monday after it, and another month."""


def test_a_five_minute_bar_is_closed_by_its_last_segment() -> None:
    found = plan_markers(query("1m", "5m"), sessions_of(TWO_DAYS[:2]), after=0, until=ms("2024-03-08 09:02"))
    assert closes(found) == [
        ("03-07 23:57", ("1m",)),
        ("03-07 23:58", ("1m",)),
        ("03-07 23:59", ("1m", "5m")),
        ("03-08 00:00", ("1m",)),
        ("03-08 00:01", ("1m", "5m")),
        ("03-08 09:00", ("1m",)),
        ("03-08 09:01", ("1m",)),
    ]


def test_days_weeks_and_months_are_closed_by_the_last_segment_of_their_market_dates() -> None:
    found = plan_markers(query("1m", "1d", "1w", "1mo"), sessions_of(TWO_DAYS), after=0, until=ms("2024-04-01 09:00"))
    assert [c for c in closes(found) if len(c[1]) > 1] == [
        ("03-08 09:02", ("1m", "1d", "1w")),
        ("03-11 09:01", ("1m", "1d", "1w", "1mo")),
    ]


def test_the_last_bars_of_a_schedule_are_closed_when_the_calendar_says() -> None:
    plan = query("1m", "5m", "1d", "1w", "1mo", grace_ms=5_000)
    last = [m for m in plan_markers(plan, sessions_of(TWO_DAYS), after=ms("2024-04-01 00:00"), until=ALL) if m.closes]
    assert [(m.due - 5_000, m.closes) for m in last] == [
        (ms("2024-04-01 09:01"), ("1m",)),
        (ms("2024-04-01 09:05"), ("5m",)),
        (ms("2024-04-02 00:00"), ("1d",)),
        (ms("2024-04-08 00:00"), ("1w",)),
        (ms("2024-05-01 00:00"), ("1mo",)),
    ]
    assert {(m.at, m.bucket_start, m.day) for m in last} == {(ms("2024-04-01 09:00"),) * 2 + (TWO_DAYS[3][2],)}


def test_what_begins_is_dated_at_the_segment_before_it_over_any_break() -> None:
    live = [m for m in plan_markers(query("1m"), sessions_of(TWO_DAYS), after=0, until=ALL) if m.kind == "live"]
    monday = next(m for m in live if m.due == ms("2024-03-11 09:00"))
    assert monday == Marker(
        kind="live",
        due=ms("2024-03-11 09:00"),
        at=ms("2024-03-08 09:02"),
        bucket_start=ms("2024-03-08 09:02"),
        bucket_end=ms("2024-03-08 09:03"),
        day=TWO_DAYS[1][2],
        opened=ms("2024-03-08 09:00"),
        next_at=ms("2024-03-11 09:00"),
        next_bucket_start=ms("2024-03-11 09:00"),
        next_day=TWO_DAYS[2][2],
        next_opened=ms("2024-03-11 09:00"),
    )


def test_markers_say_when_their_sessions_opened() -> None:
    found = plan_markers(query("1m"), sessions_of(TWO_DAYS[:2]), after=0, until=ALL)
    evening, morning = TWO_DAYS[0][0], TWO_DAYS[1][0]
    assert [m.opened for m in found if m.kind == "final"] == [evening] * 5 + [morning] * 3
    live = [(m.opened, m.next_opened) for m in found if m.kind == "live"]
    assert live == [(evening, evening)] * 5 + [(evening, morning)] + [(morning, morning)] * 2


def test_the_first_segment_of_all_is_dated_at_itself() -> None:
    first = plan_markers(query("1m"), sessions_of(TWO_DAYS), after=0, until=TWO_DAYS[0][0])
    assert [(m.kind, m.at, m.next_at) for m in first] == [("live", TWO_DAYS[0][0], TWO_DAYS[0][0])]


def test_what_ends_comes_before_what_begins_at_the_same_moment() -> None:
    at = ms("2024-03-08 09:01")
    both = plan_markers(query("1m"), sessions_of(TWO_DAYS), after=at - 1, until=at)
    assert [(m.kind, m.at) for m in both] == [("final", at - MINUTE), ("live", at - MINUTE)]


def test_a_final_marker_waits_for_grace_and_a_live_one_does_not() -> None:
    at, plan = ms("2024-03-08 09:01"), query("1m", grace_ms=90_000)
    found = plan_markers(plan, sessions_of(TWO_DAYS), after=at - 1, until=at + MINUTE)
    assert [(m.kind, m.due) for m in found] == [("live", at), ("live", at + MINUTE)]
    assert next_due(plan, sessions_of(TWO_DAYS), after=at + MINUTE) == at + 90_000


def test_bars_of_a_session_count_from_its_open() -> None:
    half_past = [row("2024-03-08 09:30", "2024-03-08 11:00", "2024-03-08")]
    found = plan_markers(query("1h", align="session"), sessions_of(half_past), after=0, until=ALL)
    assert [(m.kind, m.bucket_start, m.bucket_end, m.due) for m in found if m.kind == "final"] == [
        ("final", ms("2024-03-08 09:30"), ms("2024-03-08 10:30"), ms("2024-03-08 10:30")),
        ("final", ms("2024-03-08 10:30"), ms("2024-03-08 11:30"), ms("2024-03-08 11:00")),
        ("final", ms("2024-03-08 10:30"), ms("2024-03-08 11:30"), ms("2024-03-08 11:30")),
    ]


def test_with_days_as_the_smallest_bar_a_segment_is_a_whole_session() -> None:
    plan = query("1d")
    found = plan_markers(plan, sessions_of(TWO_DAYS), after=0, until=ms("2024-03-08 12:00"))
    assert [(m.kind, m.due, m.closes) for m in found] == [
        ("live", ms("2024-03-07 23:57"), ()),
        ("final", ms("2024-03-08 00:02"), ()),
        ("live", ms("2024-03-08 09:00"), ()),
        ("final", ms("2024-03-08 09:03"), ("1d",)),
    ]
    assert {(m.bucket_start, m.bucket_end) for m in found} == {(ms("2024-03-08 00:00"), ms("2024-03-09 00:00"))}


@pytest.mark.parametrize("frames", [("1m", "5m"), ("1d", "1mo")])
def test_without_sessions_nothing_is_due(frames: tuple[str, ...]) -> None:
    plan, none = query(*frames), sessions_of([])
    assert plan_markers(plan, none, after=0, until=ALL) == []
    assert next_due(plan, none, after=0) is None


@pytest.mark.parametrize("until", [0, 1_000])
def test_no_time_has_no_markers(until: int) -> None:
    assert plan_markers(query("1m"), sessions_of(TWO_DAYS), after=1_000, until=until) == []


def test_what_is_due_next_may_lie_years_ahead_and_after_the_last_there_is_nothing() -> None:
    plan, sessions = query("1m", "5m", "24mo"), sessions_of(TWO_DAYS)
    assert next_due(plan, sessions, after=0) == TWO_DAYS[0][0]
    assert next_due(plan, sessions, after=ms("2024-04-01 09:05")) == ms("2026-01-01 00:00")
    assert next_due(plan, sessions, after=ms("2026-01-01 00:00")) is None
