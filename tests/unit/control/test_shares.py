"""One lease shares nothing: whoever has it runs all partitions under one fence."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest

from ashioto.clock import ManualClock
from ashioto.control.candidate import Candidate
from ashioto.control.election import CAMPAIGN_S, RENEW_S, LeaseElection
from ashioto.control.shares import LeaseOwners, LeaseShares
from ashioto.errors import LeaseLostError, LogBusyError, LogFullError, StaleEpochError
from ashioto.log.base import Fence
from ashioto.log.leases import Holder
from ashioto.testing.memory_log import MemoryLog

if TYPE_CHECKING:
    from collections.abc import Callable

    from ashioto.log.leases import Lease


def election(log: MemoryLog, clock: ManualClock, name: str) -> LeaseElection:
    return LeaseElection(log, "role", holder=Holder(name=name), clock=clock)


def shares(log: MemoryLog, clock: ManualClock, name: str) -> LeaseShares:
    return LeaseShares(election(log, clock, name), clock=clock)


def nothing(*_: object) -> None:
    raise AssertionError("a lease is never given up piece by piece")


def test_one_runs_everything_and_the_other_stands_by() -> None:
    log, clock = MemoryLog(), ManualClock(0)
    one, two = shares(log, clock, "one"), shares(log, clock, "two")
    assert one.step({}, nothing)
    assert not one.step({}, nothing)
    assert not two.step({}, nothing)
    fence = Fence(name="role", epoch=1)
    assert one.fences("t.trade", 3) == {0: fence, 1: fence, 2: fence}
    assert (two.fences("t.trade", 3), two.is_active) == ({}, False)
    one.resign()
    assert (one.fences("t.trade", 3), one.is_active) == ({}, False)
    assert not two.step({}, nothing), "it is not time to campaign again"
    clock.advance(CAMPAIGN_S * 1000)
    assert two.step({}, nothing)
    assert two.fences("t.other", 1) == {0: Fence(name="role", epoch=2)}


def test_whoever_was_replaced_learns_it_when_it_renews() -> None:
    log, clock = MemoryLog(), ManualClock(0)
    one, two = shares(log, clock, "one"), shares(log, clock, "two")
    one.step({}, nothing)
    clock.advance(5_000)
    assert two.step({}, nothing)
    with pytest.raises(LeaseLostError):
        one.keep()
    assert not one.is_active


def test_a_refused_fence_is_the_end_of_it() -> None:
    log, clock = MemoryLog(), ManualClock(0)
    one = shares(log, clock, "one")
    one.step({}, nothing)
    error = StaleEpochError("newer", hint="", fence="role", epoch=1)
    with pytest.raises(StaleEpochError) as caught:
        one.refused(error)
    assert caught.value is error
    assert not one.is_active


def test_owners_are_whoever_has_the_lease() -> None:
    log, clock = MemoryLog(), ManualClock(0)
    owners = LeaseOwners(election(log, clock, "nobody").leader)
    assert (owners.engines(), owners.of("t.trade", 2)) == ([], {})
    shares(log, clock, "one").step({}, nothing)
    assert (owners.engines(), owners.of("t.trade", 2)) == (["one"], {0: "one", 1: "one"})


class FullLog(MemoryLog):
    """A log whose disk is full when it is told so."""

    full = True

    def change_lease(self, name: str, change: Callable[[Lease | None], Lease | None]) -> Lease | None:
        """Change a lease, or say that there is no room."""
        if self.full:
            raise LogFullError("the disk is full", hint="make room")
        return super().change_lease(name, change)


def test_a_candidate_campaigns_and_renews_in_time_whatever_the_log_says(caplog: pytest.LogCaptureFixture) -> None:
    log, clock = FullLog(), ManualClock(0)
    role = Candidate(election(log, clock, "one"), clock=clock, logger=logging.getLogger("x"), label="t: ")
    assert role.campaign() is None
    assert role.campaign() is None
    assert caplog.messages == ["t: the lease could not be taken: the disk is full"]
    assert role.wait_s == pytest.approx(CAMPAIGN_S)
    log.full = False
    clock.advance(CAMPAIGN_S * 1000)
    assert role.campaign() == role.fence == Fence(name="role", epoch=1)
    assert role.wait_s == pytest.approx(RENEW_S)
    log.full = True
    role.keep()
    clock.advance(RENEW_S * 1000)
    role.keep()
    assert caplog.messages[1:] == ["t: the lease could not be renewed: the disk is full"]
    log.full = False
    assert role.again() == Fence(name="role", epoch=2)
    role.resign()
    assert role.fence is None


def test_a_candidate_of_a_log_that_does_not_answer_tries_again_and_says_so_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    log, clock = MemoryLog(), ManualClock(0)
    role = Candidate(election(log, clock, "one"), clock=clock, logger=logging.getLogger("x"))
    known = log.lease

    def silent(_: str) -> None:
        raise LogBusyError("no answer", hint="wait")

    log.lease = silent  # type: ignore[method-assign,assignment]
    for _ in range(3):
        assert role.campaign() is None
        assert role.wait_s == pytest.approx(CAMPAIGN_S)
        clock.advance(CAMPAIGN_S * 1000 + 1)
    assert caplog.messages == ["the lease could not be taken: no answer"]
    log.lease = known  # type: ignore[method-assign]
    assert role.campaign() == Fence(name="role", epoch=1)


def test_a_candidate_says_once_whom_it_stands_by_for(caplog: pytest.LogCaptureFixture) -> None:
    log, clock = MemoryLog(), ManualClock(0)
    shares(log, clock, "one").step({}, nothing)
    caplog.set_level(logging.INFO, logger="x")
    role = Candidate(election(log, clock, "two"), clock=clock, logger=logging.getLogger("x"))
    for _ in range(3):
        assert role.campaign() is None
        clock.advance(CAMPAIGN_S * 1000)
    assert [record.message for record in caplog.records if record.name == "x"] == ["stands by, one is active"]
