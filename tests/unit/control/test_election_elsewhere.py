"""Holders on another machine, whose monotonic clock says nothing here."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from tests.support_processes import FakeProcesses

from ashioto.clock import ManualClock
from ashioto.control.election import LeaseElection
from ashioto.errors import LeaseLostError
from ashioto.log.leases import Holder
from ashioto.testing.memory_log import MemoryLog

if TYPE_CHECKING:
    from collections.abc import Callable

    from ashioto.log.leases import Lease

HERE, THERE = Holder(name="here", pid=10, boot="one"), Holder(name="there", pid=10, boot="other")


class SharedLeases:
    """Says of each lease when it was written, as a log of several machines does."""

    def __init__(self, clock: ManualClock) -> None:
        self.inner, self.clock, self.written = MemoryLog(), clock, 0

    def lease(self, name: str) -> Lease | None:
        found = self.inner.lease(name)
        return None if found is None else replace(found, renewed_ms=self.written)

    def change_lease(self, name: str, change: Callable[[Lease | None], Lease | None]) -> Lease | None:
        told = self.written
        found = self.inner.change_lease(name, lambda known: change(known and replace(known, renewed_ms=told)))
        self.written = self.clock.now_ms() if found is not None else told
        return found


class Scene:
    def __init__(self) -> None:
        self.clock = ManualClock(1_000_000)
        self.leases = SharedLeases(self.clock)
        self.here, self.there = self.candidate(HERE, 0.0), self.candidate(THERE, 5e6)

    def candidate(self, holder: Holder, ahead_s: float) -> LeaseElection:
        clock = Ahead(self.clock, ahead_s)
        return LeaseElection(self.leases, "hb", holder=holder, clock=clock, processes=FakeProcesses())


class Ahead:
    """A clock of a machine that was started earlier."""

    def __init__(self, inner: ManualClock, seconds: float) -> None:
        self.inner, self.seconds = inner, seconds

    def now_ms(self) -> int:
        return self.inner.now_ms()

    def monotonic(self) -> float:
        return self.inner.monotonic() + self.seconds

    def sleep(self, seconds: float) -> None:
        self.inner.sleep(seconds)


@pytest.fixture
def scene() -> Scene:
    return Scene()


@pytest.mark.parametrize("swap", [False, True])
def test_one_that_renews_keeps_it_however_far_apart_the_machines_were_started(scene: Scene, *, swap: bool) -> None:
    first, second = (scene.there, scene.here) if swap else (scene.here, scene.there)
    assert first.campaign() == 1
    for _ in range(10):
        assert second.campaign() is None
        scene.clock.advance(1_500)
        first.renew()
    assert second.leader() == first.leader() != ""


def test_one_that_is_silent_for_so_long_while_it_is_looked_at_is_replaced(scene: Scene) -> None:
    scene.there.campaign()
    scene.clock.advance(1_999)
    assert scene.here.campaign() is None  # looked at for the first time
    scene.clock.advance(1_999)
    assert scene.here.campaign() is None
    scene.clock.advance(1)
    assert scene.here.leader() is None
    assert scene.here.campaign() == 2
    with pytest.raises(LeaseLostError, match="here has taken over"):
        scene.there.renew()


def test_what_was_written_long_ago_need_not_be_looked_at(scene: Scene) -> None:
    scene.there.campaign()
    scene.clock.advance(62_000)
    assert scene.here.campaign() is None
    fresh = scene.candidate(replace(HERE, name="fresh"), 1.0)
    scene.clock.advance(1)
    assert fresh.campaign() == 2


def test_a_number_that_runs_no_more_here_says_nothing_of_another_machine(scene: Scene) -> None:
    scene.there.campaign()
    gone = FakeProcesses()
    gone.gone.add(THERE)
    here = LeaseElection(scene.leases, "hb", holder=HERE, clock=scene.clock, processes=gone)
    assert here.campaign() is None
