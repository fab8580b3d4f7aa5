from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings
from tests.contract.election_contract import EXPIRE_MS, ROLE, Arena, ElectionContract, ElectionMachine

from ashioto.control.election import Election, LeaseElection, LeaseOptions
from ashioto.log.embedded import EmbeddedLog
from ashioto.testing.memory_log import MemoryLog

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support_processes import FakeProcesses

    from ashioto.clock import ManualClock
    from ashioto.log.leases import Holder


def by_lease(log: Any, holder: Holder, clock: ManualClock, processes: FakeProcesses) -> Election:
    options = LeaseOptions(expire_s=EXPIRE_MS / 1000)
    return LeaseElection(log, ROLE, holder=holder, clock=clock, processes=processes, options=options)


def in_memory() -> Arena:
    log = MemoryLog()
    return Arena(lambda: log, by_lease)


def in_a_file(folder: Path) -> Arena:
    return Arena(lambda: EmbeddedLog(folder / "log.db"), by_lease)


class TestLeaseInMemory(ElectionContract):
    @pytest.fixture
    def arena(self) -> Arena:
        return in_memory()


class TestLeaseInAFile(ElectionContract):
    @pytest.fixture
    def arena(self, tmp_path: Path) -> Iterator[Arena]:
        arena = in_a_file(tmp_path)
        yield arena
        arena.close()


class MemoryMachine(ElectionMachine):
    def make_arena(self) -> Arena:
        return in_memory()


class FileMachine(ElectionMachine):
    def make_arena(self) -> Arena:
        self.folder = tempfile.TemporaryDirectory()
        return in_a_file(Path(self.folder.name))

    def teardown(self) -> None:
        super().teardown()
        self.folder.cleanup()


TestAnyOrderInMemory = MemoryMachine.TestCase
TestAnyOrderInMemory.settings = settings(max_examples=100, deadline=None)
TestAnyOrderInAFile = FileMachine.TestCase
TestAnyOrderInAFile.settings = settings(max_examples=15, stateful_step_count=30, deadline=None)
