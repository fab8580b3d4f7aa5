"""Shares of a group: a fence is taken before a partition runs, and only what was refused or revoked is given up."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
from tests.support_group import BusyLeases, Group, Seat

from ashioto.clock import ManualClock
from ashioto.control.group_shares import AGAIN_S, COMMIT_S, GroupOwners, GroupShares
from ashioto.control.roles import partition_role
from ashioto.errors import StaleEpochError
from ashioto.log.base import Fence
from ashioto.log.leases import Holder
from ashioto.testing.memory_log import MemoryLog

if TYPE_CHECKING:
    from collections.abc import Collection

ENV = ("dev", "local")
WANTED: dict[str, dict[int, int]] = {"t.trade": {}}


def fence(number: int, epoch: int) -> Fence:
    return Fence(name=partition_role(ENV, "t.trade", number), epoch=epoch)


@dataclass
class Process:
    """A process of the group, and what was asked of it."""

    group: Group
    log: MemoryLog
    clock: ManualClock
    name: str
    takers: int = 1
    released: list[tuple[str, list[int], int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.seat, self.leases = Seat(self.group, self.name), BusyLeases(self.log)
        self.shares = GroupShares(
            self.seat, self.leases, env=ENV, holder=Holder(name=self.name), clock=self.clock, takers=self.takers
        )

    def step(self, wanted: dict[str, dict[int, int]] | None = None) -> bool:
        return self.shares.step(WANTED if wanted is None else wanted, self.release)

    def release(self, topic: str, partitions: Collection[int]) -> None:
        numbers = sorted(partitions)
        self.released.append((topic, numbers, self.epochs()[numbers[0]]))
        self.log.append([], fence=fence(numbers[0], self.epochs()[numbers[0]]))

    def epochs(self) -> dict[int, int]:
        return {number: found.epoch for number, found in self.shares.fences("t.trade", 9).items()}


@dataclass
class Scene:
    """Two processes that share two partitions."""

    log: MemoryLog = field(default_factory=MemoryLog)
    clock: ManualClock = field(default_factory=lambda: ManualClock(0))
    group: Group = field(default_factory=Group)

    def __post_init__(self) -> None:
        self.one, self.two = (Process(self.group, self.log, self.clock, name) for name in ("one", "two"))
        self.give("one", "one")

    def give(self, *names: str) -> None:
        self.group.owners = {("t.trade", number): name for number, name in enumerate(names)}

    def writes(self, number: int, epoch: int) -> bool:
        """Return whether the log takes what is written under an epoch."""
        try:
            self.log.append([], fence=fence(number, epoch))
        except StaleEpochError:
            return False
        return True


def test_each_partition_has_a_fence_of_its_own_that_is_taken_at_once() -> None:
    scene = Scene()
    assert [scene.one.shares.is_active, scene.one.step(), scene.one.shares.is_active] == [False, True, True]
    assert scene.one.shares.fences("t.trade", 2) == {0: fence(0, 1), 1: fence(1, 1)}
    assert scene.one.shares.fences("t.trade", 1) == {0: fence(0, 1)}
    assert scene.one.shares.fences("t.other", 2) == {}
    assert not scene.one.step()
    assert scene.log.lease(fence(0, 1).name).holder == Holder(name="one")  # type: ignore[union-attr]  # it was taken
    assert "dev" in fence(0, 1).name


def test_what_is_revoked_is_written_first_under_the_fence_that_still_holds() -> None:
    scene = Scene()
    scene.one.step()
    scene.give("one", "two")
    assert not scene.two.step(), "the first has not given it up yet"
    assert scene.one.step()
    assert scene.one.released == [("t.trade", [1], 1)]
    assert scene.one.epochs() == {0: 1}
    assert scene.two.step()
    assert scene.two.epochs() == {1: 2}
    assert not scene.writes(1, 1)
    assert scene.writes(0, 1)


def test_what_is_revoked_is_held_by_nobody_until_it_is_taken() -> None:
    scene = Scene()
    scene.one.step()
    scene.two.step()
    scene.give("one", "nobody")
    scene.one.leases.busy = 1
    assert scene.one.step()
    owners = GroupOwners(scene.log, env=ENV, members=scene.group.seats.keys)
    assert owners.of("t.trade", 2) == {0: "one", 1: "one"}, "it could not be said"
    scene.give("nobody", "nobody")
    assert scene.one.step()
    assert owners.of("t.trade", 2) == {1: "one"}


def test_what_is_lost_is_dropped_without_a_word() -> None:
    scene = Scene()
    scene.one.step()
    scene.group.expel("one")
    scene.give("two", "two")
    scene.two.step()
    assert scene.one.step()
    assert (scene.one.epochs(), scene.one.released) == ({}, [])
    assert scene.two.epochs() == {0: 2, 1: 2}
    assert not scene.two.step()


def test_what_is_lost_and_comes_back_has_a_new_epoch() -> None:
    scene = Scene()
    scene.one.step()
    scene.group.expel("one")
    assert scene.one.step()
    assert scene.one.epochs() == {0: 2, 1: 2}


def test_only_the_partition_whose_fence_was_refused_is_given_up_and_later_taken_again() -> None:
    scene = Scene()
    scene.one.step()
    refused = StaleEpochError("newer", hint="", fence=fence(1, 1).name, epoch=1)
    scene.one.shares.refused(refused)
    assert scene.one.epochs() == {0: 1}
    assert not scene.one.step()
    scene.clock.advance(AGAIN_S * 1000)
    assert scene.one.step()
    assert scene.one.epochs() == {0: 1, 1: 2}
    scene.one.shares.refused(refused)
    assert scene.one.epochs() == {0: 1, 1: 2}, "that was the epoch before"


def test_a_fence_of_somebody_else_is_not_its_own() -> None:
    scene = Scene()
    scene.one.step()
    with pytest.raises(StaleEpochError):
        scene.one.shares.refused(StaleEpochError("newer", hint="", fence="hb", epoch=1))
    assert scene.one.epochs() == {0: 1, 1: 1}


def test_a_fence_that_cannot_be_taken_is_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    scene = Scene()
    scene.one.leases.busy = 1
    assert scene.one.step()
    assert scene.one.epochs() == {1: 1}
    assert "t.trade 0 cannot be taken over yet: the log is busy" in caplog.messages
    assert not scene.one.step()
    scene.clock.advance(AGAIN_S * 1000)
    assert scene.one.step()
    assert scene.one.epochs() == {0: 1, 1: 1}


def test_several_fences_are_taken_at_once() -> None:
    scene = Scene()
    one = Process(scene.group, scene.log, scene.clock, "one", takers=3)
    scene.group.owners = {("t.trade", number): "one" for number in range(8)}
    assert one.step()
    assert one.epochs() == dict.fromkeys(range(8), 1)


def test_leaving_gives_everything_up_and_others_take_it() -> None:
    scene = Scene()
    scene.one.step()
    scene.two.step()
    scene.one.shares.resign()
    assert not scene.one.shares.is_active
    scene.give("two", "two")
    assert scene.two.step()
    assert scene.two.epochs() == {0: 2, 1: 2}


def test_how_far_was_read_is_told_now_and_then_of_its_own_partitions() -> None:
    scene = Scene()
    scene.give("one", "two")
    scene.one.step({"t.trade": {0: 5, 1: 7}})
    assert scene.one.seat.committed == {("t.trade", 0): 5}
    scene.one.step({"t.trade": {0: 6}})
    assert scene.one.seat.committed == {("t.trade", 0): 5}
    scene.clock.advance(COMMIT_S * 1000)
    scene.one.step({"t.trade": {0: 6}})
    assert scene.one.seat.committed == {("t.trade", 0): 6}


def test_owners_are_those_who_hold_a_fence_and_are_in_the_group() -> None:
    scene = Scene()
    owners = GroupOwners(scene.log, env=ENV, members=scene.group.seats.keys)
    assert (owners.engines(), owners.of("t.trade", 2)) == ([], {})
    scene.give("one", "two")
    scene.one.step()
    scene.two.step()
    assert owners.engines() == ["one", "two"]
    assert owners.of("t.trade", 3) == {0: "one", 1: "two"}
    scene.group.expel("two")
    assert owners.of("t.trade", 2) == {0: "one"}
