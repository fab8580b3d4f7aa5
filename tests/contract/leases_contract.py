"""What every log promises that keeps leases; a test class per log inherits it and says how to open one."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Protocol

import pytest
from tests.contract.log_contract import TICKS, batch, xs_of

from ashioto.errors import LogError, StaleEpochError
from ashioto.log.base import Fence, Log
from ashioto.log.leases import Holder, Lease, Leases

ME = Holder(name="host:1:hb", pid=4711, started=99, boot="b", space="pid:[1]")
LEASE = Lease(name="hb\x1ftrading", epoch=1, holder=ME, expires_ms=2**40)


class LeasingLog(Log, Leases, Protocol):
    """A log that keeps leases."""


class LeasesContract:
    """Runs against the log of the fixture `log`, which is empty and belongs to the test."""

    @pytest.fixture
    def ticks(self, log: LeasingLog) -> LeasingLog:
        log.create([TICKS])
        return log

    def test_a_lease_that_never_was_is_none(self, log: LeasingLog) -> None:
        seen: list[Lease | None] = []
        assert log.lease("hb") is None
        assert log.change_lease("hb", seen.append) is None
        assert seen == [None]
        assert log.lease("hb") is None

    def test_a_lease_comes_back_as_it_was_made(self, log: LeasingLog) -> None:
        assert log.change_lease(LEASE.name, lambda _: LEASE) == LEASE
        assert log.lease(LEASE.name) == LEASE
        assert log.lease("other") is None

    def test_a_change_gets_the_lease_as_it_is(self, log: LeasingLog) -> None:
        log.change_lease(LEASE.name, lambda _: LEASE)
        seen: list[Lease | None] = []
        log.change_lease(LEASE.name, seen.append)
        assert seen == [LEASE]
        assert log.lease(LEASE.name) == LEASE
        handed_back = replace(LEASE, holder=None, expires_ms=0)
        assert log.change_lease(LEASE.name, lambda _: handed_back) == handed_back
        assert log.lease(LEASE.name) == handed_back

    def test_a_change_that_fails_changes_nothing(self, log: LeasingLog) -> None:
        log.change_lease(LEASE.name, lambda _: LEASE)
        with pytest.raises(ZeroDivisionError):
            log.change_lease(LEASE.name, lambda known: replace(LEASE, epoch=1 // (known is None)))
        assert log.lease(LEASE.name) == LEASE
        assert log.change_lease(LEASE.name, lambda _: replace(LEASE, epoch=2)) is not None

    @pytest.mark.parametrize("wanted", [replace(LEASE, epoch=4), replace(LEASE, name="other", epoch=9)])
    def test_an_epoch_never_goes_back_and_a_name_stays(self, log: LeasingLog, wanted: Lease) -> None:
        log.change_lease(LEASE.name, lambda _: replace(LEASE, epoch=5))
        with pytest.raises(LogError, match="its epoch is 5"):
            log.change_lease(LEASE.name, lambda _: wanted)
        assert log.lease(LEASE.name) == replace(LEASE, epoch=5)

    def test_a_larger_epoch_shuts_out_the_former_holder_at_once(self, ticks: LeasingLog) -> None:
        old, new = Fence(name=LEASE.name, epoch=1), Fence(name=LEASE.name, epoch=2)
        ticks.change_lease(LEASE.name, lambda _: LEASE)
        ticks.append([batch("t.ticks", [("a", 1)])], fence=old)
        ticks.change_lease(LEASE.name, lambda _: replace(LEASE, epoch=2))
        with pytest.raises(StaleEpochError, match="its epoch is 2"):
            ticks.append([batch("t.ticks", [("a", 2)])], fence=old)
        ticks.append([batch("t.ticks", [("a", 3)])], fence=new)
        assert xs_of(ticks, "t.ticks") == [1, 3]

    def test_the_first_lease_shuts_out_smaller_epochs(self, log: LeasingLog) -> None:
        log.change_lease(LEASE.name, lambda _: replace(LEASE, epoch=3))
        with pytest.raises(StaleEpochError):
            log.append([], fence=Fence(name=LEASE.name, epoch=2))

    def test_the_same_epoch_shuts_out_nobody(self, log: LeasingLog) -> None:
        for expires in (1, 2):
            log.change_lease(LEASE.name, lambda _, at=expires: replace(LEASE, expires_ms=at))  # type: ignore[misc]  # bound now
            assert log.append([], fence=Fence(name=LEASE.name, epoch=1)) == []

    def test_a_writer_without_a_lease_counts_as_a_former_holder(self, log: LeasingLog) -> None:
        log.append([], fence=Fence(name=LEASE.name, epoch=7))
        seen: list[Lease | None] = []
        log.change_lease(LEASE.name, seen.append)
        log.change_lease(LEASE.name, lambda known: replace(LEASE, epoch=1 + (0 if known is None else known.epoch)))
        assert log.append([], fence=Fence(name=LEASE.name, epoch=8)) == []
        log.append([], fence=Fence(name=LEASE.name, epoch=20))
        log.change_lease(LEASE.name, seen.append)
        assert seen == [Lease(name=LEASE.name, epoch=at, holder=None, expires_ms=0) for at in (7, 20)]

    def test_fences_and_leases_of_other_names_do_not_matter(self, log: LeasingLog) -> None:
        log.change_lease("a", lambda _: replace(LEASE, name="a", epoch=9))
        assert log.append([], fence=Fence(name="b", epoch=1)) == []
        assert log.change_lease("b", lambda _: replace(LEASE, name="b", epoch=1)) is not None

    def test_changes_of_several_threads_follow_each_other(self, log: LeasingLog) -> None:
        def raise_it(_: int) -> None:
            log.change_lease("hb", lambda k: replace(LEASE, name="hb", epoch=1 if k is None else k.epoch + 1))

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(raise_it, range(40)))
        found = log.lease("hb")
        assert found is not None
        assert found.epoch == 40
