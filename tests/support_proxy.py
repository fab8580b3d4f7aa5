"""Stands between a client and a broker, passes every byte on, and holds requests of one kind back when told to."""

from __future__ import annotations

import socket
import struct
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Self

if TYPE_CHECKING:
    from collections.abc import Callable

END_TXN: Final = 26
INIT_PRODUCER_ID: Final = 22
_EVER: Final = 1_000_000
_PATIENCE_S: Final = 30.0


@dataclass
class Proxy:
    """A broker under another port; use it as the bootstrap address of a broker that tells clients of that port.

    Args:
        port: Of the proxy.
        broker_port: Of the broker.
        hold: The kind of requests that are held back, as Kafka numbers them.
    """

    port: int
    broker_port: int
    hold: int = END_TXN
    held: list[bytes] = field(default_factory=list)
    """Requests that were held back, in the order in which they came."""
    passed: int = 0
    """How many of that kind went through."""

    def __post_init__(self) -> None:
        self._changed = threading.Condition()
        self._left = 0
        self._until = -1
        self._closing = False
        self._sockets: list[socket.socket] = []
        self._server = socket.create_server(("127.0.0.1", self.port))
        self._threads = [self._begin(self._accept)]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._closing = True
        for one in (self._server, *self._sockets):
            _shut(one)
        for thread in self._threads:
            thread.join(_PATIENCE_S)

    def hold_next(self, count: int = 1) -> None:
        """Hold back the next requests of the kind."""
        with self._changed:
            self._left += count

    def hold_until(self, kind: int) -> None:
        """Hold back all requests until one of another kind comes."""
        with self._changed:
            self._left, self._until = _EVER, kind

    def await_held(self, count: int = 1) -> None:
        """Wait until so many have been held back."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.held) >= count, _PATIENCE_S), "nothing was held back"

    def deliver(self) -> list[bytes]:
        """Hand the broker what was held back, each on a connection of its own, and return its answers."""
        with self._changed:
            late, self.held = self.held, []
        return [self._ask(request) for request in late]

    def _ask(self, request: bytes) -> bytes:
        with socket.create_connection(("127.0.0.1", self.broker_port), _PATIENCE_S) as broker:
            broker.sendall(request)
            (size,) = struct.unpack(">i", _exactly(broker, 4))
            return _exactly(broker, size)

    def _begin(self, what: Callable[[], None]) -> threading.Thread:
        thread = threading.Thread(target=what, daemon=True)
        thread.start()
        return thread

    def _accept(self) -> None:
        while not self._closing:
            try:
                client, _ = self._server.accept()
                broker = socket.create_connection(("127.0.0.1", self.broker_port), _PATIENCE_S)
            except OSError:
                continue
            broker.settimeout(None)
            self._sockets += [client, broker]
            self._threads.append(self._begin(lambda c=client, b=broker: self._requests(c, b)))  # type: ignore[misc]
            self._threads.append(self._begin(lambda c=client, b=broker: _answers(b, c)))  # type: ignore[misc]

    def _requests(self, client: socket.socket, broker: socket.socket) -> None:
        """Pass requests on, one by one; the connection of one that is held back is cut, as a network does."""
        try:
            while True:
                head = _exactly(client, 4)
                body = _exactly(client, struct.unpack(">i", head)[0])
                if self._keeps(head + body):
                    break
                broker.sendall(head + body)
        except OSError:
            pass
        finally:
            _shut(client)
            _shut(broker)

    def _keeps(self, request: bytes) -> bool:
        (kind,) = struct.unpack(">h", request[4:6])
        with self._changed:
            if kind == self._until:
                self._left, self._until = 0, -1
            if kind != self.hold:
                return False
            if not self._left:
                self.passed += 1
                return False
            self._left -= 1
            self.held.append(request)
            self._changed.notify_all()
            return True


def _answers(broker: socket.socket, client: socket.socket) -> None:
    try:
        while data := broker.recv(65_536):
            client.sendall(data)
    except OSError:
        pass
    finally:
        _shut(client)
        _shut(broker)


def _exactly(source: socket.socket, size: int) -> bytes:
    found = bytearray()
    while len(found) < size:
        more = source.recv(size - len(found))
        if not more:
            raise ConnectionError("the other side has closed")
        found += more
    return bytes(found)


def _shut(one: socket.socket) -> None:
    with suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)
    one.close()
