"""Clocks of simulated processes: wrong by an offset, drifting, set forwards and back, but never their monotonic one."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tests.simulation.world import World


class ProcessClock:
    """Tells a process the time, and remembers what it told since the process's last turn began.

    Args:
        world: Knows the true time.
        offset_ms: How far it is ahead.
        ppm: How much too fast it goes, in millionths.
        wait: Lets others run for some true milliseconds.
    """

    def __init__(self, world: World, *, offset_ms: int, ppm: int, wait: Callable[[int], None]) -> None:
        self._world, self._ppm, self._wait = world, ppm, wait
        self._begun = world.scenario.span.begin
        self.offset_ms = offset_ms
        self.told: list[tuple[int, Mapping[tuple[str, int], int]]] = []
        """Each reading of this turn, and where the ticks ended then."""

    def now_ms(self) -> int:
        """Return what this process takes for UTC, ms."""
        at = self.error_ms() + self._world.now
        self.told.append((at, self._world.ends))
        return at

    def error_ms(self) -> int:
        """Return how far it is ahead of true time, ms."""
        return self.offset_ms + (self._world.now - self._begun) * self._ppm // 1_000_000

    def monotonic(self) -> float:
        """Return the machine's seconds, the same for every process."""
        return self._world.now / 1000 - 1_600_000_000

    def sleep(self, seconds: float) -> None:
        """Let others run."""
        self._wait(max(round(seconds * 1000), 1))

    def turned(self) -> None:
        """Forget what it told: a new turn begins."""
        self.told.clear()
