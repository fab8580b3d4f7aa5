"""Settings of all tests: property tests have no deadline, since machines are shared, and CI repeats its examples."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings
from tests.support_flink import flink
from tests.support_kafka import java, kafka, registry, unique

__all__ = ["flink", "java", "kafka", "registry", "unique"]

if TYPE_CHECKING:
    from collections.abc import Iterator

settings.register_profile("here", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "here")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Spread the files whose tests mostly wait for processes among those whose tests compute: both cores work then."""
    files: dict[str, list[pytest.Item]] = {}
    for item in items:
        files.setdefault(str(item.path), []).append(item)
    waiting = [name for name in files if "/integration/" in name]
    working = [name for name in files if "/integration/" not in name]
    places = [((at + 0.5) / len(names), name) for names in (waiting, working) for at, name in enumerate(names)]
    items[:] = [item for _, name in sorted(places) for item in files[name]]


@pytest.fixture(autouse=True)
def _logs_are_put_back() -> Iterator[None]:
    """Undo what a test has set of logging: pytest records lines of loggers that were shut off before it began."""
    logger = logging.getLogger("ashioto")
    before = logger.handlers[:], logger.level, logger.propagate
    yield
    logger.handlers[:], logger.propagate = before[0], before[2]
    logger.setLevel(before[1])
