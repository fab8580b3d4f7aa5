from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.contract.log_contract import LogContract

from ashioto.log.embedded import EmbeddedLog
from ashioto.testing.crashing_log import CrashingLog
from ashioto.testing.memory_log import MemoryLog

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ashioto.log.base import Log


class TestMemoryLog(LogContract):
    @pytest.fixture
    def log(self) -> Log:
        return MemoryLog()


class TestEmbeddedLog(LogContract):
    @pytest.fixture
    def log(self, tmp_path: Path) -> Iterator[Log]:
        with EmbeddedLog(tmp_path / "log.db") as log:
            yield log


class TestCrashingLogThatDoesNotCrash(LogContract):
    @pytest.fixture
    def log(self) -> Log:
        return CrashingLog(MemoryLog(), crash_at=1_000_000)
