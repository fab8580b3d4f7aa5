"""Watches the wall clock: a jump ahead would end buckets before their time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ashioto.errors import ClockJumpError

if TYPE_CHECKING:
    from collections.abc import Callable

    from ashioto.clock import Clock

MAX_STEP_MS: Final = 5_000


class ClockGuard:
    """Compares how far the wall clock went with how much time passed.

    A clock that goes back is no danger: no marker is dated anew, and the next ones wait.

    Args:
        clock: The clock to watch.
        max_step_ms: How far it may go ahead at once, ms.
        agreed: Another clock, UTC ms, e.g. that of a broker; a jump it agrees with is a correction.

    >>> from ashioto.clock import ManualClock
    >>> guard = ClockGuard(ManualClock(0))
    >>> guard.check()
    0
    """

    def __init__(
        self, clock: Clock, *, max_step_ms: int = MAX_STEP_MS, agreed: Callable[[], int] | None = None
    ) -> None:
        self._clock, self._max, self._agreed = clock, max_step_ms, agreed
        self._wall, self._since = clock.now_ms(), clock.monotonic()
        self._begun = self._wall, self._since

    def check(self) -> int:
        """Look at the clock.

        Returns:
            How far it went ahead of time since the last look, ms; negative when it went back.

        Raises:
            ClockJumpError: That is more than allowed, and no other clock agrees.
        """
        wall, since = self._clock.now_ms(), self._clock.monotonic()
        step = wall - self._wall - round((since - self._since) * 1000)
        if step > self._max and not self._is_agreed(wall):
            raise ClockJumpError(
                f"the clock went {step / 1000:.1f} s ahead of time at once, more than {self._max / 1000:g} s",
                hint="check the time service of this machine; if the new time is right, start again",
                step_ms=step,
            )
        self._wall, self._since = wall, since
        return step

    @property
    def offset_s(self) -> float:
        """How far the clock went ahead of time since the start, seconds."""
        wall, since = self._begun
        return (self._wall - wall) / 1000 - (self._since - since)

    def _is_agreed(self, wall: int) -> bool:
        return self._agreed is not None and abs(self._agreed() - wall) <= self._max
