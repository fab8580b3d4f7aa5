from __future__ import annotations

import time

from hypothesis import given
from hypothesis import strategies as st

from ashioto.clock import Clock, ManualClock, ReplayClock, SystemClock


def test_the_system_clock_reads_utc_milliseconds() -> None:
    clock: Clock = SystemClock()
    before, now, after = time.time_ns() // 1_000_000, clock.now_ms(), time.time_ns() // 1_000_000
    assert before <= now <= after


def test_the_system_clock_waits_for_at_least_the_time_asked() -> None:
    clock = SystemClock()
    start = clock.monotonic()
    clock.sleep(0.002)
    assert clock.monotonic() - start >= 0.002


@given(st.integers(0, 2**42), st.lists(st.integers(0, 10**9), max_size=5))
def test_a_manual_clock_moves_only_when_told(start: int, steps: list[int]) -> None:
    clock = ManualClock(start)
    for step in steps:
        clock.advance(step)
    assert clock.now_ms() == start + sum(steps)


def test_sleeping_moves_a_manual_clock() -> None:
    clock = ManualClock(1_000)
    clock.sleep(1.5)
    assert (clock.now_ms(), clock.monotonic()) == (2_500, 2.5)


@given(st.integers(0, 2**41), st.integers(0, 10**8), st.sampled_from([0.5, 1.0, 60.0, 3600.0]))
def test_a_replay_runs_at_its_speed(event_ms: int, passed: int, speed: float) -> None:
    base = ManualClock(500)
    clock = ReplayClock(base=base, event_ms=event_ms, anchor_ms=500, speed=speed)
    base.advance(passed)
    assert clock.now_ms() == event_ms + int(passed * speed)


def test_a_replay_waits_in_real_time() -> None:
    base = ManualClock(0)
    clock = ReplayClock(base=base, event_ms=0, anchor_ms=0, speed=60.0)
    clock.sleep(2.0)
    assert (base.now_ms(), clock.now_ms(), clock.monotonic()) == (2_000, 120_000, 2.0)
