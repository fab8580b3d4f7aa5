"""A process that is asked over real HTTP how it stands."""

from __future__ import annotations

import http.client
import json
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

from prometheus_client import CollectorRegistry

from ashioto.clock import ManualClock
from ashioto.observe.health import Health


@dataclass(frozen=True)
class Reply:
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    def json(self) -> Any:
        assert self.headers["Content-Type"] == "application/json"
        return json.loads(self.body)


def ask(port: int, path: str, *, method: str = "GET", body: bytes | None = None) -> Reply:
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=30)) as connection:
        connection.request(method, path, body=body)
        response = connection.getresponse()
        return Reply(status=response.status, headers=response.headers, body=response.read())


@dataclass
class Process:
    """Stands in for a heartbeat: a clock, and what it says of itself."""

    clock: ManualClock = field(default_factory=lambda: ManualClock(1_000_000))
    registry: CollectorRegistry = field(default_factory=CollectorRegistry)
    health: Health = field(default_factory=lambda: Health(turned_at=1_000.0, ready=True))
    error: Exception | None = None
    port: int = 0

    def status(self) -> Health:
        if self.error is not None:
            raise self.error
        return self.health

    def ask(self, path: str, *, method: str = "GET", body: bytes | None = None) -> Reply:
        return ask(self.port, path, method=method, body=body)
