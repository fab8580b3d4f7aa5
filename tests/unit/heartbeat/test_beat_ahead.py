"""The heartbeat of `rc dev` knows when the next marker is due, and rests until then."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support_heartbeat import Beats
from tests.support_planning import START, START_DAY, query, sessions_of
from tests.unit.heartbeat.test_beat import KEYS, ONE, TWO, log_of, schedule

from ashioto.heartbeat import portions as portions_module
from ashioto.heartbeat.planner import plan_markers

if TYPE_CHECKING:
    import pytest

MINUTE, DAY = 60_000, 86_400_000
PLAN = query("1m", "5m", "1d", grace_ms=2_000)


@settings(max_examples=60, deadline=None)
@given(st.integers(-MINUTE, 2 * DAY))
def test_what_is_due_next_is_the_first_marker_of_the_plan(after: int) -> None:
    beat = Beats(log_of(PLAN, {KEYS[0]: ONE, KEYS[1]: TWO}), PLAN, start_ms=START + after)
    markers = [
        marker.due
        for rows in (ONE, TWO)
        for marker in plan_markers(PLAN, sessions_of(rows), after=START + after, until=START + 40 * DAY)
    ]
    assert beat.due_ms() == min(markers, default=None)


def test_until_then_nothing_is_planned(monkeypatch: pytest.MonkeyPatch) -> None:
    planned: list[int] = []

    def counted(*args: Any, **options: Any) -> Any:
        planned.append(options["until"])
        return plan_markers(*args, **options)

    monkeypatch.setattr(portions_module, "plan_markers", counted)
    beat = Beats(log_of(PLAN, {KEYS[0]: ONE}), PLAN, start_ms=START - DAY)
    for now in range(START - 10 * MINUTE, START + 3 * MINUTE, 500):
        beat.send(now)
        assert beat.sent_ms == now
    assert planned == [START, *(START + n * MINUTE + ms for n in (1, 2) for ms in (0, 2_000))]


def test_a_schedule_that_has_run_out_is_looked_at_again_when_it_changes() -> None:
    log = log_of(PLAN, {KEYS[0]: ONE})
    beat = Beats(log, PLAN, start_ms=START + 30 * DAY)
    assert beat.due_ms() is None
    assert beat.send(START + 31 * DAY) == 0
    later = START + 40 * DAY
    log.append([schedule({KEYS[1]: [(later, later + MINUTE, START_DAY + 40)]})])
    assert beat.send(START + 32 * DAY) == 0
    assert beat.due_ms() == later
    assert beat.send(later) > 0


def test_a_clock_that_was_set_changes_what_is_due() -> None:
    beat = Beats(log_of(PLAN, {KEYS[0]: ONE}), PLAN, start_ms=START + 30 * DAY)
    assert beat.due_ms() is None
    beat.restart_at(START - 1)
    assert beat.due_ms() == START
