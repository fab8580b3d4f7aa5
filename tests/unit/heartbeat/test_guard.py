from __future__ import annotations

import pytest

from ashioto.errors import ClockJumpError
from ashioto.heartbeat.guard import ClockGuard


class TwoClocks:
    """A machine whose wall clock can be set without time going on."""

    def __init__(self) -> None:
        self.wall, self.since = 1_000_000, 50.0

    def now_ms(self) -> int:
        """What the wall clock says."""
        return self.wall

    def monotonic(self) -> float:
        """How much time has passed."""
        return self.since

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        self.wall, self.since = self.wall + round(seconds * 1000), self.since + seconds


def test_a_jump_ahead_stops_it_however_often_it_looks() -> None:
    clock = TwoClocks()
    guard = ClockGuard(clock)
    clock.sleep(1)
    clock.wall += 5_001
    for _ in range(2):
        with pytest.raises(ClockJumpError, match=r"went 5\.0 s ahead of time at once, more than 5 s") as jumped:
            guard.check()
        assert "time service" in jumped.value.hint
        assert jumped.value.ids["step_ms"] == 5_001
    clock.wall -= 5_001
    assert guard.check() == 0


def test_small_steps_are_followed() -> None:
    clock = TwoClocks()
    guard = ClockGuard(clock)
    for _ in range(3):
        clock.sleep(2)
        clock.wall += 5_000
        assert guard.check() == 5_000
    assert guard.offset_s == pytest.approx(15.0)


def test_a_clock_that_goes_back_is_no_danger_and_may_return_in_steps() -> None:
    clock = TwoClocks()
    guard = ClockGuard(clock)
    clock.wall -= 3_600_000
    assert guard.check() == -3_600_000
    clock.sleep(1)
    assert guard.check() == 0
    assert guard.offset_s == pytest.approx(-3600.0)


def test_a_machine_that_slept_has_not_jumped() -> None:
    clock = TwoClocks()
    guard = ClockGuard(clock)
    clock.sleep(8 * 3600)
    assert guard.check() == 0


@pytest.mark.parametrize(("other", "agrees"), [(0, True), (4_999, True), (-5_001, False), (-60_000, False)])
def test_a_jump_that_another_clock_agrees_with_is_a_correction(other: int, *, agrees: bool) -> None:
    clock = TwoClocks()
    guard = ClockGuard(clock, agreed=lambda: 1_060_000 + other)
    clock.wall += 60_000
    if agrees:
        assert guard.check() == 60_000
        assert guard.check() == 0
    else:
        with pytest.raises(ClockJumpError):
            guard.check()
