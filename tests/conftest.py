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


KINDS = ("/integration/", "/property/", "/simulation/")
"""Folders whose files take long: the first mostly wait for processes, the others compute."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Spread the files of each kind over the whole run: no worker gets all that is dear, and both cores work."""
    files: dict[str, list[pytest.Item]] = {}
    for item in items:
        files.setdefault(str(item.path), []).append(item)
    kinds: dict[str, list[str]] = {}
    for name in files:
        kinds.setdefault(next((kind for kind in KINDS if kind in name), ""), []).append(name)
    places = [((at + 0.5) / len(names), name) for names in kinds.values() for at, name in enumerate(names)]
    items[:] = [item for _, name in sorted(places) for item in files[name]]


@pytest.fixture(autouse=True)
def _logs_are_put_back() -> Iterator[None]:
    """Undo what a test has set of logging: pytest records lines of loggers that were shut off before it began."""
    logger = logging.getLogger("ashioto")
    before = logger.handlers[:], logger.level, logger.propagate
    yield
    logger.handlers[:], logger.propagate = before[0], before[2]
    logger.setLevel(before[1])
