"""A health server on a free port, and the process it speaks of."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.support_health import Process

from ashioto.observe.health import HealthServer

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def process() -> Iterator[Process]:
    found = Process()
    with HealthServer(0, registry=found.registry, status=found.status, clock=found.clock, stale_after=5.0) as server:
        found.port = server.port
        yield found
