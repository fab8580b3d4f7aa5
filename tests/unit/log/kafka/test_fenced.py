"""Writers of fences: what is used no more costs no producer, and what is used has one."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pytest

from ashioto.clock import ManualClock
from ashioto.errors import StaleEpochError
from ashioto.log.base import Fence
from ashioto.log.kafka.fenced import IDLE_S, FencedWriters
from ashioto.log.leases import Holder, Lease

if TYPE_CHECKING:
    from collections.abc import Callable

    from ashioto.log.kafka.leases import Fenced
    from ashioto.log.kafka.write import Outgoing


class Writer:
    """Keeps a lease, and refuses epochs below one."""

    def __init__(self) -> None:
        self.epoch = 0
        self.lease: Lease | None = None
        self.closed = 0
        self.meanwhile: list[Callable[[], None]] = []

    def append(self, found: list[Outgoing], fence: Fence) -> None:
        """Append, or refuse."""
        del found
        if self.meanwhile:
            self.meanwhile.pop()()
        if fence.epoch < self.epoch:
            raise StaleEpochError("taken over", hint="")

    def change(self, change: Callable[[Lease | None], Lease | None]) -> Lease | None:
        """Change the lease."""
        self.lease = change(self.lease) or self.lease
        return self.lease

    def close(self) -> None:
        """Let go of the producer."""
        self.closed += 1


class Scene:
    """Writers by name, and a clock."""

    def __init__(self) -> None:
        self.made: dict[str, list[Writer]] = {}
        self.clock = ManualClock(0)
        self.writers = FencedWriters(self.make, self.clock)

    def make(self, name: str) -> Fenced:
        self.made.setdefault(name, []).append(Writer())
        return cast("Fenced", self.made[name][-1])

    def append(self, name: str, epoch: int = 1) -> None:
        self.writers.append([], Fence(name=name, epoch=epoch))

    def closed(self, name: str) -> list[int]:
        return [writer.closed for writer in self.made[name]]


def lease(holder: Holder | None) -> Lease:
    return Lease(name="a", epoch=1, holder=holder, expires_ms=0)


def test_one_that_is_used_stays_and_one_that_is_not_goes_and_is_made_again() -> None:
    scene = Scene()
    scene.append("a")
    for _ in range(3):
        scene.clock.advance(600 * IDLE_S)
        scene.append("b")
    assert (scene.closed("a"), scene.closed("b")) == ([1], [0])
    scene.append("a")
    assert scene.closed("a") == [1, 0]


def test_what_is_handed_back_or_refused_goes_at_once() -> None:
    scene = Scene()
    assert scene.writers.change("a", lambda _: lease(Holder(name="one"))) == lease(Holder(name="one"))
    assert scene.closed("a") == [0]
    assert scene.writers.change("a", lambda _: lease(None)) == lease(None)
    assert scene.closed("a") == [1]
    scene.append("b")
    scene.made["b"][0].epoch = 2
    with pytest.raises(StaleEpochError):
        scene.append("b")
    assert scene.closed("b") == [1]


def test_one_that_another_thread_uses_stays() -> None:
    scene = Scene()
    scene.append("a", 2)
    kept = scene.made["a"][0]
    kept.epoch = 2

    def meanwhile() -> None:
        with pytest.raises(StaleEpochError):
            scene.append("a", 1)
        scene.clock.advance(2000 * IDLE_S)
        scene.append("b")

    kept.meanwhile = [meanwhile]
    scene.append("a", 2)
    assert scene.closed("a") == [0]


def test_closing_lets_go_of_all() -> None:
    scene = Scene()
    scene.append("a")
    scene.append("b")
    scene.writers.close()
    assert (scene.closed("a"), scene.closed("b")) == ([1], [1])
