"""Answers over HTTP how a resident process stands: alive, ready, who leads, and its metrics."""

from __future__ import annotations

import errno
import json
import logging
import socket
import socketserver
import sys
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import TYPE_CHECKING, Final, Self

from prometheus_client import generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from ashioto.clock import SystemClock
from ashioto.errors import AshiotoError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from prometheus_client import CollectorRegistry

    from ashioto.clock import Clock

STALE_AFTER_S: Final = 10.0
"""After how long without a turn of its loop a process counts as stuck, seconds."""

_PATHS: Final = ("/livez", "/readyz", "/metrics", "/leader")
_JSON: Final = "application/json"
_METRICS: Final = "text/plain; version=0.0.4; charset=utf-8"
_LOG: Final = logging.getLogger("ashioto.health")


@dataclass(frozen=True, slots=True, kw_only=True)
class Leader:
    """Says who leads a context.

    Args:
        context: Whose heartbeat.
        holder: Who leads, for people; None when nobody does.
        epoch: The newest one known.
        is_this: Whether it is this process.
    """

    context: str
    holder: str | None
    epoch: int
    is_this: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """Says how a process stands.

    Args:
        turned_at: When its loop last turned, monotonic seconds of its clock.
        ready: Whether it does the work of its role.
        reasons: What keeps it from that, for people.
        leaders: Who leads, by context.

    >>> Health(turned_at=12.5, ready=False, reasons=("trading.Rate.1m: no topic trading.market_schedule",)).ready
    False
    """

    turned_at: float
    ready: bool
    reasons: tuple[str, ...] = ()
    leaders: tuple[Leader, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Answer:
    status: HTTPStatus
    content_type: str
    body: bytes


class HealthServer:
    """Serves `/livez`, `/readyz`, `/metrics` and `/leader` from a thread of its own until it is closed.

    Args:
        port: Where to listen; 0 picks a free one.
        host: Address to listen on; only this machine by default.
        registry: What `/metrics` shows.
        status: Says how the process stands. It is called from other threads and must not wait for anything.
        clock: Its monotonic reading is that of `Health.turned_at`.
        stale_after: After how many seconds without a turn the process counts as stuck.

    Raises:
        UsageError: The port is in use, or the address cannot be listened on.

    >>> from prometheus_client import CollectorRegistry
    >>> health = Health(turned_at=SystemClock().monotonic(), ready=True)
    >>> with HealthServer(0, registry=CollectorRegistry(), status=lambda: health) as server:
    ...     server.port > 0
    True
    """

    def __init__(
        self,
        port: int,
        *,
        host: str = "127.0.0.1",
        registry: CollectorRegistry,
        status: Callable[[], Health],
        clock: Clock | None = None,
        stale_after: float = STALE_AFTER_S,
    ) -> None:
        self._registry, self._status, self._stale_after = registry, status, stale_after
        self._clock = SystemClock() if clock is None else clock
        self._server = _listening(host, port, self._answer)
        self._thread = Thread(target=self._server.serve_forever, args=(0.1,), name="ashioto-health", daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        """Where it listens."""
        return self._server.server_port

    def close(self) -> None:
        """Stop listening; a second time nothing happens."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _answer(self, path: str) -> _Answer:
        if path == "/metrics":
            body = generate_latest(_WithoutCreated(self._registry))
            return _Answer(status=HTTPStatus.OK, content_type=_METRICS, body=body)
        try:
            health = self._status()
        except AshiotoError as error:
            return _json(HTTPStatus.SERVICE_UNAVAILABLE, {"reasons": [error.message]})
        if path == "/leader":
            return _json(HTTPStatus.OK, {found.context: _leader(found) for found in health.leaders})
        stuck = self._stuck(health)
        if path == "/livez":
            return _verdict("live", good=not stuck, reasons=stuck)
        return _verdict("ready", good=health.ready and not stuck, reasons=[*stuck, *health.reasons])

    def _stuck(self, health: Health) -> list[str]:
        seconds = self._clock.monotonic() - health.turned_at
        return [f"the loop has not turned for {seconds:.1f} s"] if seconds > self._stale_after else []


def _verdict(word: str, *, good: bool, reasons: list[str]) -> _Answer:
    status = HTTPStatus.OK if good else HTTPStatus.SERVICE_UNAVAILABLE
    return _json(status, {word: good, "reasons": reasons})


def _leader(leader: Leader) -> dict[str, object]:
    return {"leader": leader.holder, "epoch": leader.epoch, "this_process": leader.is_this}


def _json(status: HTTPStatus, value: Mapping[str, object]) -> _Answer:
    return _Answer(status=status, content_type=_JSON, body=json.dumps(value, ensure_ascii=False).encode() + b"\n")


class _WithoutCreated(Collector):
    """Leaves the times out at which series were made: a second series for each, and of no use here."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry

    def collect(self) -> Iterator[Metric]:
        for metric in self._registry.collect():
            kept = Metric(metric.name, metric.documentation, metric.type)
            kept.samples = [s for s in metric.samples if s.name != f"{metric.name}_created"]
            yield kept


class _Server(ThreadingHTTPServer):
    def __init__(self, address: tuple[str, int], answer: Callable[[str], _Answer]) -> None:
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        self.answer = answer
        super().__init__(address, _Handler)

    def server_bind(self) -> None:
        """Bind without asking name servers who we are, which the base class does and nothing here needs."""
        socketserver.TCPServer.server_bind(self)
        self.server_port = int(self.server_address[1])

    def handle_error(self, *_: object) -> None:
        """Log that an answer failed; a client that went away is nothing to log."""
        if not isinstance(sys.exc_info()[1], ConnectionError | TimeoutError):
            _LOG.exception("a request could not be answered")


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = 5.0
    error_content_type = "text/plain; charset=utf-8"
    error_message_format = "%(code)d %(message)s\n"

    def __getattr__(self, name: str) -> Callable[[], None]:
        """Return what serves a method: the base class asks for `do_` and its name."""
        if name.startswith("do_"):
            return self._serve
        raise AttributeError(name)

    def _serve(self) -> None:
        path = self.path.partition("?")[0]
        if path not in _PATHS:
            self._reply(_json(HTTPStatus.NOT_FOUND, {"error": f"nothing at {path}", "paths": list(_PATHS)}))
        elif self.command in {"GET", "HEAD"}:
            self._reply(self.server.answer(path))
        else:
            error = f"no {self.command} here, only GET and HEAD"
            self._reply(_json(HTTPStatus.METHOD_NOT_ALLOWED, {"error": error}))

    def _reply(self, answer: _Answer) -> None:
        if self.headers.get("Content-Length", "0") != "0":
            self.rfile.read1(1 << 16)  # to close with bytes unread would take the answer back
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.content_type)
        self.send_header("Content-Length", str(len(answer.body)))
        self.send_header("Cache-Control", "no-store")
        if answer.status is HTTPStatus.METHOD_NOT_ALLOWED:
            self.send_header("Allow", "GET, HEAD")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body)

    def version_string(self) -> str:
        return "ashioto"

    def log_message(self, *_: object, **__: object) -> None:
        pass


def _listening(host: str, port: int, answer: Callable[[str], _Answer]) -> _Server:
    try:
        return _Server((host, port), answer)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise UsageError(
                f"port {port} of {host} is in use",
                hint="stop the other process, choose another port, or 0 for any free one",
                port=port,
            ) from None
        reason = error.strerror or str(error)
    except OverflowError:
        reason = "ports are 0 to 65535"
    raise UsageError(
        f"cannot listen on port {port} of {host}: {reason}",
        hint="choose another port, or an address of this machine such as 127.0.0.1 or 0.0.0.0",
        port=port,
    )
