from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.contract.admin_contract import AdminContract, AdminLog

from ashioto.log.embedded import EmbeddedLog
from ashioto.testing.crashing_log import CrashingLog
from ashioto.testing.memory_log import MemoryLog

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class TestMemoryLog(AdminContract):
    @pytest.fixture
    def log(self) -> AdminLog:
        return MemoryLog()


class TestEmbeddedLog(AdminContract):
    @pytest.fixture
    def log(self, tmp_path: Path) -> Iterator[AdminLog]:
        with EmbeddedLog(tmp_path / "log.db") as log:
            yield log


class TestCrashingLogThatDoesNotCrash(AdminContract):
    @pytest.fixture
    def log(self) -> AdminLog:
        return CrashingLog(MemoryLog(), crash_at=1_000_000, count="effects")
