from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.contract.leases_contract import LeasesContract, LeasingLog

from ashioto.log.embedded import EmbeddedLog
from ashioto.testing.crashing_log import CrashingLog
from ashioto.testing.memory_log import MemoryLog

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class TestMemoryLog(LeasesContract):
    @pytest.fixture
    def log(self) -> LeasingLog:
        return MemoryLog()


class TestEmbeddedLog(LeasesContract):
    @pytest.fixture
    def log(self, tmp_path: Path) -> Iterator[LeasingLog]:
        with EmbeddedLog(tmp_path / "log.db") as log:
            yield log


class TestCrashingLogThatDoesNotCrash(LeasesContract):
    @pytest.fixture
    def log(self) -> LeasingLog:
        return CrashingLog(MemoryLog(), crash_at=1_000_000, count="effects")
