"""What every election promises; a test class per kind inherits it and says how to make candidates."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from tests.contract.log_contract import TICKS, batch
from tests.support_processes import FakeProcesses

from ashioto.clock import ManualClock
from ashioto.errors import LeaseLostError, StaleEpochError
from ashioto.log.base import Fence, Log
from ashioto.log.leases import Holder

if TYPE_CHECKING:
    from collections.abc import Callable

    from ashioto.control.election import Election

EXPIRE_MS = 2_000
ROLE = "hb\x1ftrading"


class Arena:
    """Has a clock, the processes of a machine, and candidates that each came with a log of their own.

    Args:
        open_log: Opens the same log once more.
        elect: Makes a candidate.
    """

    def __init__(
        self, open_log: Callable[[], Any], elect: Callable[[Any, Holder, ManualClock, FakeProcesses], Election]
    ) -> None:
        self.clock, self.processes = ManualClock(1_000_000), FakeProcesses()
        self._open_log, self._elect = open_log, elect
        self.logs: dict[str, Any] = {}
        self._all: list[Any] = []

    def candidate(self, name: str) -> Election:
        """Make a candidate that runs in a process of its own."""
        self.logs[name] = log = self._open_log()
        self._all.append(log)
        log.create([TICKS])
        return self._elect(log, self.holder(name), self.clock, self.processes)

    @staticmethod
    def holder(name: str) -> Holder:
        return Holder(name=name, pid=sum(name.encode()), started=1, boot="b", space="s")

    def write(self, name: str, epoch: int) -> bool:
        """Write as a candidate under an epoch; returns whether the log took it."""
        log: Log = self.logs[name]
        try:
            log.append([batch("t.ticks", [("a", epoch)])], fence=Fence(name=ROLE, epoch=epoch))
        except StaleEpochError:
            return False
        return True

    def close(self) -> None:
        for log in self._all:
            if hasattr(log, "close"):
                log.close()


class ElectionContract:
    """Runs in the arena of the fixture `arena`, which is new and belongs to the test."""

    @pytest.fixture
    def pair(self, arena: Arena) -> tuple[Election, Election]:
        return arena.candidate("a"), arena.candidate("b")

    def test_the_first_gets_it_and_the_second_does_not(self, pair: tuple[Election, Election]) -> None:
        a, b = pair
        assert a.leader() is b.leader() is None
        epoch = a.campaign()
        assert epoch is not None
        assert b.campaign() is None
        assert a.leader() == b.leader() == "a"
        assert a.name == b.name == ROLE

    def test_renewing_keeps_it(self, arena: Arena, pair: tuple[Election, Election]) -> None:
        a, b = pair
        a.campaign()
        for _ in range(5):
            arena.clock.advance(EXPIRE_MS - 1)
            a.renew()
            assert b.campaign() is None
        assert b.leader() == "a"

    def test_it_lasts_to_the_millisecond(self, arena: Arena, pair: tuple[Election, Election]) -> None:
        a, b = pair
        for ms in range(1, 24):  # some seconds times 1,000 are less than the whole number, as binary fractions
            arena.clock.advance(ms)
            a.campaign()
            arena.clock.advance(EXPIRE_MS - 1)
            assert b.leader() == "a"
            arena.clock.advance(1)
            assert b.leader() is None

    def test_another_takes_over_after_expiry_and_not_before(
        self, arena: Arena, pair: tuple[Election, Election]
    ) -> None:
        a, b = pair
        first = a.campaign()
        assert first is not None
        arena.clock.advance(EXPIRE_MS - 1)
        assert b.campaign() is None
        arena.clock.advance(1)
        assert b.leader() is None
        second = b.campaign()
        assert second is not None
        assert second > first
        assert a.leader() == "b"

    def test_the_former_one_is_shut_out_before_the_new_one_writes(
        self, arena: Arena, pair: tuple[Election, Election]
    ) -> None:
        a, b = pair
        first = a.campaign() or 0
        assert arena.write("a", first)
        arena.clock.advance(EXPIRE_MS)
        second = b.campaign() or 0
        assert not arena.write("a", first)
        with pytest.raises(LeaseLostError, match="b has taken over hb/trading") as caught:
            a.renew()
        assert "stand by" in caught.value.hint
        assert arena.write("b", second)
        assert b.leader() == "b"

    def test_a_former_one_that_lost_stays_out_until_it_campaigns(
        self, arena: Arena, pair: tuple[Election, Election]
    ) -> None:
        a, b = pair
        a.campaign()
        arena.clock.advance(EXPIRE_MS)
        b.campaign()
        with pytest.raises(LeaseLostError):
            a.renew()
        a.resign()
        assert b.leader() == "b"
        b.renew()
        arena.clock.advance(EXPIRE_MS)
        assert a.campaign() is not None
        with pytest.raises(LeaseLostError):
            b.renew()

    def test_one_that_slept_and_was_not_replaced_may_go_on(self, arena: Arena, pair: tuple[Election, Election]) -> None:
        a, b = pair
        epoch = a.campaign() or 0
        arena.clock.advance(10 * EXPIRE_MS)
        a.renew()
        assert b.campaign() is None
        assert arena.write("a", epoch)

    def test_resigning_hands_it_over_at_once(self, arena: Arena, pair: tuple[Election, Election]) -> None:
        a, b = pair
        first = a.campaign() or 0
        a.resign()
        a.resign()
        assert a.leader() is None
        second = b.campaign() or 0
        assert second > first
        assert not arena.write("a", first)
        with pytest.raises(LeaseLostError):
            a.renew()

    def test_one_that_never_campaigned_neither_renews_nor_resigns(self, pair: tuple[Election, Election]) -> None:
        a, b = pair
        with pytest.raises(LeaseLostError, match="another process has taken over"):
            b.renew()
        a.campaign()
        b.resign()
        with pytest.raises(LeaseLostError, match="a has taken over"):
            b.renew()
        a.renew()

    def test_one_that_is_gone_is_replaced_without_waiting(self, arena: Arena, pair: tuple[Election, Election]) -> None:
        a, b = pair
        first = a.campaign() or 0
        arena.processes.gone.add(arena.holder("a"))
        assert b.leader() is None
        assert (b.campaign() or 0) > first
        assert arena.processes.ended == []

    def test_campaigning_again_gives_a_new_epoch(self, arena: Arena, pair: tuple[Election, Election]) -> None:
        a, b = pair
        first = a.campaign() or 0
        second = a.campaign() or 0
        assert second > first
        assert not arena.write("a", first)
        assert arena.write("a", second)
        assert b.campaign() is None
        a.renew()

    def test_two_in_one_process_shut_each_other_out(self, arena: Arena) -> None:
        former, later = arena.candidate("a"), arena.candidate("a")
        first = former.campaign() or 0
        second = later.campaign() or 0
        assert second > first
        with pytest.raises(LeaseLostError):
            former.renew()
        former.resign()
        later.renew()
        assert not arena.write("a", first)
        assert later.leader() == "a"

    def test_a_role_that_was_written_under_before_begins_above(
        self, arena: Arena, pair: tuple[Election, Election]
    ) -> None:
        a, _ = pair
        assert arena.write("b", 40)
        epoch = a.campaign() or 0
        assert epoch > 40
        assert arena.write("a", epoch)


NAMES = ("a", "b", "c")


class ElectionMachine(RuleBasedStateMachine):
    """Does what candidates can do, in any order, and knows what must come of it."""

    def __init__(self) -> None:
        super().__init__()
        self.arena = self.make_arena()
        self.candidates = {name: self.arena.candidate(name) for name in NAMES}
        self.epochs: dict[str, int | None] = dict.fromkeys(NAMES)
        self.newest, self.leader, self.expires = 0, "", 0

    def make_arena(self) -> Arena:
        raise NotImplementedError

    @property
    def live(self) -> str:
        """Who leads now; empty when nobody does."""
        gone = self.leader and self.arena.holder(self.leader) in self.arena.processes.gone
        return "" if gone or self.arena.clock.now_ms() >= self.expires else self.leader

    @rule(ms=st.sampled_from([1, EXPIRE_MS // 2, EXPIRE_MS - 1, EXPIRE_MS]))
    def time_goes_on(self, ms: int) -> None:
        self.arena.clock.advance(ms)

    @rule(name=st.sampled_from(NAMES))
    def campaign(self, name: str) -> None:
        free = self.live in {"", name}
        epoch = self.candidates[name].campaign()
        assert (epoch is not None) == free
        if epoch is not None:
            assert epoch > self.newest
            self.newest = self.epochs[name] = epoch
            self.leader, self.expires = name, self.arena.clock.now_ms() + EXPIRE_MS

    @rule(name=st.sampled_from(NAMES))
    def renew(self, name: str) -> None:
        if name == self.leader and self.epochs[name] == self.newest:
            self.candidates[name].renew()
            self.expires = self.arena.clock.now_ms() + EXPIRE_MS
            return
        with pytest.raises(LeaseLostError):
            self.candidates[name].renew()
        self.epochs[name] = None

    @rule(name=st.sampled_from(NAMES))
    def resign(self, name: str) -> None:
        self.candidates[name].resign()
        if name == self.leader and self.epochs[name] == self.newest:
            self.leader = ""
        self.epochs[name] = None

    @rule(name=st.sampled_from(NAMES), epoch=st.integers(1, 30))
    def only_the_newest_epoch_writes(self, name: str, epoch: int) -> None:
        if epoch <= self.newest:
            assert self.arena.write(name, epoch) == (epoch == self.newest)

    @rule(name=st.sampled_from(NAMES))
    def ends_and_starts_again(self, name: str) -> None:
        gone = self.arena.processes.gone
        (gone.discard if self.arena.holder(name) in gone else gone.add)(self.arena.holder(name))

    @invariant()
    def all_see_the_same_leader(self) -> None:
        assert {candidate.leader() for candidate in self.candidates.values()} == {self.live or None}

    def teardown(self) -> None:
        self.arena.close()
