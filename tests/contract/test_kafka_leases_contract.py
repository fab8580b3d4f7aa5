from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.contract.leases_contract import LeasesContract, LeasingLog
from tests.support_kafka_log import open_kafka_log

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class TestKafkaLog(LeasesContract):
    @pytest.fixture
    def log(self, kafka: str, registry: str, unique: str, tmp_path: Path) -> Iterator[LeasingLog]:
        with open_kafka_log(kafka, registry, unique, tmp_path) as log:
            yield log
