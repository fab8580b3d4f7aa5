"""The ksqlDB engine against its stand-in server in tests, and a network that fails when it is told to."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import httpx

from ashioto.clock import ManualClock
from ashioto.engines.ksqldb.client import SERVER, KsqldbClient, explained
from ashioto.engines.ksqldb.registry import KsqldbEngine
from ashioto.engines.rest import Access, Rest
from ashioto.testing.memory_log import MemoryLog

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ashioto.log.base import TopicSpec
    from ashioto.testing.ksqldb_server import KsqldbServer

URL = "http://ksqldb:8088"


class CutOffError(BaseException):
    """The process that asks is gone."""


class ServedLog(MemoryLog):
    """A log in memory whose consumer groups are those of a server.

    Topics that are created here are there on the cluster of the server.
    """

    def __init__(self, server: KsqldbServer, **options: Any) -> None:
        super().__init__(**options)
        self.server = server

    def create(self, specs: Sequence[TopicSpec]) -> list[str]:
        """Create topics, on the cluster of the server too."""
        from ashioto.testing.ksqldb_catalog import Topic

        made = super().create(specs)
        for spec in specs:
            kept = -1 if spec.retention_ms is None else spec.retention_ms
            self.server.catalog.topics.setdefault(spec.name, Topic(partitions=spec.partitions, retention_ms=kept))
        return made

    def committed(self, group: str, topic: str) -> dict[int, int]:
        """Return what a query of the server has read."""
        return self.server.committed(group, topic)

    def forget(self, group: str) -> None:
        """Groups are the server's."""
        raise AssertionError(group)


class Network(httpx.BaseTransport):
    """Carries requests to a server in this process.

    Args:
        server: The server.

    Attributes:
        down: Whether nobody answers.
        crash_at: After so many requests from now on the one who asks is gone, before it has the answer; -1 is never.
        sent: How many requests were carried.
    """

    def __init__(self, server: KsqldbServer) -> None:
        self.server = server
        self.down = False
        self.crash_at = -1
        self.sent = 0

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Have the server answer, unless it is down."""
        if self.down:
            raise httpx.ConnectError("connection refused", request=request)
        body = json.loads(request.content) if request.content else None
        path = request.url.raw_path.decode()
        status, said = self.server.answer(request.method, path, body, request.headers.get("Authorization", ""))
        self.sent += 1
        if self.crash_at == 0:
            self.crash_at = -1
            raise CutOffError
        if self.crash_at > 0:
            self.crash_at -= 1
        return httpx.Response(status, json=said)


def client_of(transport: httpx.BaseTransport, *, clock: ManualClock | None = None, **access: Any) -> KsqldbClient:
    """Return a client whose requests are carried by something else than a network."""
    clock = ManualClock() if clock is None else clock
    rest = Rest(URL, name=SERVER, access=Access(**access), clock=clock, explain=explained, transport=transport)
    return KsqldbClient(rest, clock=clock)


def engine_of(log: ServedLog, network: Network, clock: ManualClock, **options: Any) -> KsqldbEngine:
    """Return the engine of a server."""
    return KsqldbEngine(log, client=client_of(network, clock=clock), clock=clock, **options)


def replying(*answers: tuple[int, Any]) -> tuple[httpx.BaseTransport, list[Any]]:
    """Return a transport that gives these answers, the last for ever, and the bodies and paths it gets."""
    asked: list[Any] = []

    def reply(request: httpx.Request) -> httpx.Response:
        status, said = answers[min(len(asked), len(answers) - 1)]
        asked.append(json.loads(request.content) if request.content else request.url.raw_path.decode())
        return httpx.Response(status, json=said)

    answer: Callable[[httpx.Request], httpx.Response] = reply
    return httpx.MockTransport(answer), asked
