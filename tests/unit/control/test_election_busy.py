"""A log that is held: whom an election ends for it, and whom not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.support_processes import FakeProcesses

from ashioto.clock import ManualClock
from ashioto.control.election import LeaseElection
from ashioto.errors import LeaseLostError, LogBusyError
from ashioto.log.leases import Holder
from ashioto.testing.memory_log import MemoryLog

if TYPE_CHECKING:
    from collections.abc import Callable

    from ashioto.log.leases import Lease

A, B = Holder(name="a", pid=10), Holder(name="b", pid=20)


class BusyLeases:
    """Is held by a process until one is ended; `by` is the number that the log gives for it."""

    def __init__(self, processes: FakeProcesses) -> None:
        self.inner, self.processes = MemoryLog(), processes
        self.held, self.stays = False, False
        self.by: int | None = None
        self.meanwhile: Callable[[], object] = lambda: None

    def lease(self, name: str) -> Lease | None:
        return self.inner.lease(name)

    def change_lease(self, name: str, change: Callable[[Lease | None], Lease | None]) -> Lease | None:
        if self.held and (self.stays or not self.processes.ended):
            self.meanwhile()
            message = "another process holds the log"
            raise LogBusyError(message, pid=self.by)
        return self.inner.change_lease(name, change)


class Scene:
    def __init__(self) -> None:
        self.clock, self.processes = ManualClock(1_000_000), FakeProcesses()
        self.leases = BusyLeases(self.processes)
        self.a, self.b = self.candidate(A), self.candidate(B)

    def candidate(self, holder: Holder) -> LeaseElection:
        return LeaseElection(self.leases, "hb", holder=holder, clock=self.clock, processes=self.processes)


@pytest.fixture
def scene() -> Scene:
    """Return a scene in which a had the lease, which has expired, and the log is held."""
    scene = Scene()
    assert scene.a.campaign() == 1
    scene.clock.advance(60_000)
    scene.leases.held, scene.leases.by = True, A.pid
    return scene


def test_a_former_holder_that_holds_the_log_is_ended(scene: Scene) -> None:
    assert scene.b.campaign() == 2
    assert scene.processes.ended == [A]
    assert scene.b.leader() == "b"


@pytest.mark.parametrize("pid", [None, 30])
def test_a_former_holder_is_not_ended_for_what_another_does_or_nobody_knows_of(scene: Scene, pid: int | None) -> None:
    scene.leases.by = pid
    assert scene.b.campaign() is None
    assert scene.processes.ended == []
    scene.leases.held = False
    assert scene.b.campaign() == 2
    assert scene.processes.ended == []


def test_nobody_is_ended_while_the_lease_holds(scene: Scene) -> None:
    scene.leases.held = False
    scene.a.renew()
    scene.leases.held = True
    assert scene.b.campaign() is None
    assert scene.processes.ended == []


def test_one_that_renewed_while_the_log_was_waited_for_is_not_ended(scene: Scene) -> None:
    def renew() -> None:
        scene.leases.held = False
        scene.a.renew()

    scene.leases.meanwhile = renew
    assert scene.b.campaign() is None
    assert scene.processes.ended == []
    scene.a.renew()


def test_one_that_cannot_be_ended_is_waited_for(scene: Scene) -> None:
    scene.processes.may_end = False
    assert scene.b.campaign() is None
    scene.leases.held = False
    assert scene.b.campaign() == 2


def test_a_log_that_stays_held_is_tried_again_at_the_next_campaign(scene: Scene) -> None:
    scene.leases.stays = True
    assert scene.b.campaign() is None
    assert scene.processes.ended == [A]
    scene.leases.held = False
    assert scene.b.campaign() == 2


def test_nobody_is_ended_for_a_lease_that_nobody_has(scene: Scene) -> None:
    scene.leases.held = False
    scene.a.resign()
    scene.leases.held = True
    assert scene.b.campaign() is None
    other = LeaseElection(scene.leases, "other", holder=B, clock=scene.clock, processes=scene.processes)
    assert other.campaign() is None
    assert scene.processes.ended == []


def test_a_holder_keeps_its_role_over_a_busy_moment(scene: Scene) -> None:
    for call in (scene.a.renew, scene.a.resign):
        with pytest.raises(LogBusyError):
            call()
    scene.leases.held = False
    scene.a.renew()
    scene.a.resign()
    with pytest.raises(LeaseLostError):
        scene.a.renew()
