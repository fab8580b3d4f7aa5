from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.contract.log_contract import LogContract
from tests.support_kafka_log import open_kafka_log

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ashioto.log.base import Log


class TestKafkaLog(LogContract):
    dense = False
    at_once = False

    @pytest.fixture
    def log(self, kafka: str, registry: str, unique: str, tmp_path: Path) -> Iterator[Log]:
        with open_kafka_log(kafka, registry, unique, tmp_path) as log:
            yield log
