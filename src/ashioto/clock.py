"""Time enters ashioto here and nowhere else.

`Clock` has a UTC wall reading for event time and deadlines, a monotonic one for time-outs, and a sleep. Everything
below the outermost loop is handed a reading; nothing asks for one.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import Final, Protocol

_SINCE_START: Final = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
"""Goes on while the machine sleeps, where the system has such a clock."""


class Clock(Protocol):
    """Tells the time and waits."""

    def now_ms(self) -> int:
        """Return UTC milliseconds since the epoch."""
        ...

    def monotonic(self) -> float:
        """Return seconds that never go back."""
        ...

    def sleep(self, seconds: float) -> None:
        """Wait this many seconds of wall time."""
        ...


class SystemClock:
    """Reads the machine's clocks.

    >>> SystemClock().now_ms() > 1_700_000_000_000
    True
    """

    def now_ms(self) -> int:
        """Return UTC milliseconds since the epoch."""
        return time.time_ns() // 1_000_000

    def monotonic(self) -> float:
        """Return seconds since the machine was started, which never go back and are the same for all its processes."""
        return time.clock_gettime(_SINCE_START)

    def sleep(self, seconds: float) -> None:
        """Wait this many seconds."""
        time.sleep(seconds)


class ManualClock:
    """Stands still until it is moved: for tests and simulation. Sleeping moves it.

    >>> clock = ManualClock(1_000)
    >>> clock.advance(500)
    >>> clock.now_ms()
    1500
    """

    def __init__(self, now_ms: int = 0) -> None:
        self._now_ms = float(now_ms)
        self._lock = threading.Lock()

    def now_ms(self) -> int:
        """Return the set time in UTC milliseconds."""
        return int(self._now_ms)

    def monotonic(self) -> float:
        """Return the set time in seconds."""
        return self._now_ms / 1000.0

    def sleep(self, seconds: float) -> None:
        """Move on by this many seconds at once."""
        self.advance(seconds * 1000.0)

    def advance(self, ms: float) -> None:
        """Move on by `ms` milliseconds."""
        with self._lock:
            self._now_ms += ms


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayClock:
    """Runs from `event_ms` at `speed` times the pace of `base`: accelerated time for demos and replays.

    Args:
        base: The clock that really runs.
        event_ms: What this clock read when `base` read `anchor_ms`.
        anchor_ms: The reading of `base`, UTC milliseconds, at the start.
        speed: Event milliseconds a real millisecond, > 0.

    >>> base = ManualClock(0)
    >>> clock = ReplayClock(base=base, event_ms=10_000, anchor_ms=0, speed=60.0)
    >>> base.advance(1_000)
    >>> clock.now_ms()
    70000
    """

    base: Clock
    event_ms: int
    anchor_ms: int
    speed: float

    def now_ms(self) -> int:
        """Return the replayed UTC milliseconds."""
        return self.event_ms + int((self.base.now_ms() - self.anchor_ms) * self.speed)

    def monotonic(self) -> float:
        """Return real seconds that never go back."""
        return self.base.monotonic()

    def sleep(self, seconds: float) -> None:
        """Wait this many real seconds."""
        self.base.sleep(seconds)
