"""The world: one true time, one log, and everything that runs, one thing after another, in the order of time."""

from __future__ import annotations

import heapq
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Protocol

from ashioto.testing import MemoryLog

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

    from tests.simulation.scenario import Scenario

    from ashioto.log.leases import Holder

MOST_TURNS: Final = 20_000
"""A world that turns more often than this hangs; usual are a thousand or two."""
MOST_CALLS: Final = 400_000
REMEMBERED: Final = 150


class SimCrashError(Exception):
    """Stands for the end of a simulated process."""


class BrokenPromiseError(Exception):
    """Says that something happened that must never happen.

    Args:
        promise: Which one, e.g. `P4`.
        text: What happened.
    """

    def __init__(self, promise: str, text: str) -> None:
        super().__init__(f"{promise}: {text}")
        self.promise = promise


class Actor(Protocol):
    """Something that runs now and then."""

    @property
    def name(self) -> str:
        """What it is called in a trace."""
        ...

    def turn(self) -> int | None:
        """Do what is to be done now; returns when it is to be called again, true time in ms, or None for never."""
        ...


@dataclass(slots=True, kw_only=True)
class World:
    """Holds what everything shares.

    Args:
        random: Decides.
        scenario: What happens.
    """

    random: Random
    scenario: Scenario
    log: MemoryLog = field(default_factory=MemoryLog)
    now: int = 0
    faulty: bool = True
    gone: set[str] = field(default_factory=set)
    ends: dict[tuple[str, int], int] = field(default_factory=dict)
    blocker: Blocker | None = None
    counts: Counter[str] = field(default_factory=Counter)
    kill: Callable[[Holder], bool] = lambda _: False
    calls: int = 0
    _heap: list[tuple[int, int, Actor]] = field(default_factory=list)
    _number: int = 0
    _turns: int = 0
    _trace: deque[tuple[int, str, str, object]] = field(default_factory=lambda: deque(maxlen=REMEMBERED))

    def tell(self, who: str, what: str, detail: object = "") -> None:
        """Remember an event for the trace."""
        self._trace.append((self.now, who, what, detail))

    def trace(self) -> list[str]:
        """Return what happened last, a line each; times in seconds since the first day opened."""
        opened = self.scenario.span.open
        return [f"{(at - opened) / 1000:10.3f} {who:14} {what} {detail}" for at, who, what, detail in self._trace]

    def start(self, actor: Actor, at: int) -> None:
        """Have an actor run at a time."""
        self._number += 1
        heapq.heappush(self._heap, (at, self._number, actor))

    def run(self, until: int) -> None:
        """Let everything run up to a time; called anew from inside an actor, the others run while that one waits."""
        while self._heap and self._heap[0][0] <= until:
            at, _, actor = heapq.heappop(self._heap)
            self.now = max(self.now, at)
            self._turns += 1
            if self._turns > MOST_TURNS:
                raise BrokenPromiseError("quiet", f"more than {MOST_TURNS} turns, the last one of {actor.name}")
            again = actor.turn()
            if again is not None:
                self.start(actor, max(again, self.now + 1))
        self.now = max(self.now, until)

    def leap(self, ms: int) -> None:
        """Let time pass in which nothing runs, as if the machine slept."""
        before, self.now = self.now, self.now + ms
        self._heap = [(max(at, self.now + min(at - before, 500)), number, actor) for at, number, actor in self._heap]
        heapq.heapify(self._heap)

    def called(self) -> None:
        """Count a call of the log."""
        self.calls += 1
        if self.calls > MOST_CALLS:
            raise BrokenPromiseError("quiet", f"more than {MOST_CALLS} calls of the log")


class Blocker(Protocol):
    """A process that is paused inside a write, so that nobody else can write."""

    @property
    def pid(self) -> int:
        """Its number."""
        ...
