"""Sessions are added while ticks and time go on: the bars are those of the reference for the schedule as it is then."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.property.test_stream_oracle import LOOSE, prepare_log, send, sessions_batch, view
from tests.support_oracle import START, expected, query
from tests.support_shared import oracle

from ashioto.clock import ManualClock
from ashioto.control.schedules import LogSchedules
from ashioto.engines.embedded import residency, stream
from ashioto.engines.embedded.runner import QueryRunner
from ashioto.schedule.sessions import Sessions

if TYPE_CHECKING:
    import pytest

    from ashioto.testing.memory_log import MemoryLog

FRAMES = [("1m", "5m", "1h", "1d"), ("1s", "1m"), ("5m", "15m", "2d"), ("1h", "1w", "1mo")]
Row = tuple[int, int, int]
DAY = 86_400_000


@st.composite
def schedules(draw: st.DrawFn) -> list[Row]:
    """Sessions of one key, in order: breaks and overnight; market dates never go back."""
    at = START + draw(st.integers(-7_200_000, 7_200_000))
    rows: list[Row] = []
    for _ in range(draw(st.integers(2, 7))):
        length = draw(st.integers(1, 30)) * draw(st.sampled_from([1_000, 30_000, 60_000, 300_000]))
        rows.append((at, at + length, max(at // DAY, rows[-1][2] if rows else 0)))
        at += length + draw(st.sampled_from([0, 0, 1, 59_999, 600_000, 3_600_000, DAY]))
    return rows


@st.composite
def cases(draw: st.DrawFn) -> dict[str, Any]:
    """A schedule of which some sessions come later, ticks inside what is there at first, and times."""
    whole = {key: draw(schedules()) for key in "AB"}
    if draw(st.booleans()):
        whole["B"] = whole["A"]
    first = {k: [row for row in rows if draw(st.booleans())] or rows[:1] for k, rows in whole.items()}
    ticks = []
    for number in range(draw(st.integers(1, 12))):
        symbol = draw(st.sampled_from("AB"))
        opened, closed, _ = draw(st.sampled_from(first[symbol]))
        ticks.append((symbol, draw(st.integers(opened, closed - 1)), number, draw(st.integers(-500, 500)), 100))
    last = max(closed for rows in whole.values() for _, closed, _ in rows)
    return {
        "first": first,
        "whole": whole,
        "ticks": ticks,
        "frames": draw(st.sampled_from(FRAMES)),
        "align": draw(st.sampled_from(["clock", "session"])),
        "continuous": True,
        "grace": draw(st.sampled_from([0, 5_000])),
        "times": sorted(draw(st.lists(st.integers(START - 7_200_000, last + 2 * DAY), min_size=2, max_size=5))),
    }


def beat(log: MemoryLog, runner: QueryRunner, now: int) -> None:
    """Let it be so late, as a heartbeat says it."""
    for part in runner._parts.values():
        part._core.advance(now)
        part.progress.now_ms = part._core.now
        part._dirty = True
    assert log is runner._log


@settings(max_examples=100, deadline=None, suppress_health_check=LOOSE)
@given(case=cases(), data=st.data())
def test_added_sessions_give_the_bars_of_the_reference(
    case: dict[str, Any], data: st.DataObject, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(residency, "_SLACK", data.draw(st.sampled_from([-1000, 4096])))
    monkeypatch.setattr(stream, "MAX_BARS", data.draw(st.sampled_from([3, 200_000])))
    plan = query(case["frames"], align=case["align"], continuous=True, grace=case["grace"])
    log, clock = prepare_log(plan, case["first"]), ManualClock(START)
    runner = QueryRunner(log, plan, clock=clock)
    change_at = data.draw(st.integers(0, len(case["times"])))
    send(log, case["ticks"])
    runner.drain()
    for number, now in enumerate([*case["times"], case["times"][-1]]):
        if number == change_at:
            log.append([sessions_batch(case["whole"])])
            if data.draw(st.booleans()):
                runner = QueryRunner(log, plan, clock=clock)
        beat(log, runner, now)
        runner.drain()
        if data.draw(st.booleans()):
            runner = QueryRunner(log, plan, clock=clock)
    ref = oracle()
    for period in plan.frames:
        rows = expected(ref, case | {"hours": case["whole"], "now": case["times"][-1]}, period.kind)
        wanted = [{k: v for k, v in row.items() if k != "period"} for row in rows]
        assert view(log, period.kind) == wanted, period


def test_the_schedule_as_it_stood_is_known() -> None:
    plan = query(("1m",), align="clock", continuous=True)
    rows = {"A": [(START, START + 60_000, START // DAY)], "B": [(START, START + 60_000, START // DAY)]}
    log = prepare_log(plan, rows)
    log.append([sessions_batch({"A": [(START + 120_000, START + 180_000, START // DAY)]})])
    known = LogSchedules(log, plan).as_of(2)
    assert known is not None
    assert known["A",] == Sessions.build(np.array([START]), np.array([START + 60_000]), np.array([START // DAY]))
