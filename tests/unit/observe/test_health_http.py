"""How the health server behaves as a server: methods, paths, ports, odd clients."""

from __future__ import annotations

import logging
import socket
from typing import TYPE_CHECKING

import pytest
from prometheus_client import CollectorRegistry

from ashioto.errors import UsageError
from ashioto.observe.health import Health, HealthServer

if TYPE_CHECKING:
    from tests.support_health import Process

PATHS = ["/livez", "/readyz", "/metrics", "/leader"]


def serve(port: int = 0, host: str = "127.0.0.1") -> HealthServer:
    return HealthServer(port, host=host, registry=CollectorRegistry(), status=lambda: Health(turned_at=0.0, ready=True))


def spoken(port: int, sent: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=30) as wire:
        wire.sendall(sent)
        wire.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: wire.recv(4096), b""))


@pytest.mark.parametrize("path", PATHS)
def test_head_has_the_headers_and_no_body(process: Process, path: str) -> None:
    whole, head = process.ask(path), process.ask(path, method="HEAD")
    assert head.status == whole.status == 200
    assert head.headers["Content-Length"] == whole.headers["Content-Length"] == str(len(whole.body))
    assert head.headers["Content-Type"] == whole.headers["Content-Type"]
    assert head.body == b""


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW"])
def test_other_methods_are_refused(process: Process, method: str) -> None:
    reply = process.ask("/livez", method=method, body=b"x" * 1_000)
    assert reply.status == 405
    assert reply.headers["Allow"] == "GET, HEAD"
    assert reply.json() == {"error": f"no {method} here, only GET and HEAD"}


@pytest.mark.parametrize("path", ["/", "/livez/", "/metrics.json", "/../livez"])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_unknown_paths_are_not_found(process: Process, path: str, method: str) -> None:
    reply = process.ask(path, method=method)
    assert reply.status == 404
    assert reply.json() == {"error": f"nothing at {path}", "paths": ["/livez", "/readyz", "/metrics", "/leader"]}


def test_a_query_string_changes_nothing(process: Process) -> None:
    assert process.ask("/livez?verbose=1").status == 200


def test_answers_are_not_to_be_kept(process: Process) -> None:
    assert process.ask("/readyz").headers["Cache-Control"] == "no-store"


def test_the_server_does_not_say_what_it_is_made_of(process: Process) -> None:
    assert process.ask("/livez").headers["Server"] == "ashioto"


def test_no_request_writes_to_stderr(process: Process, capfd: pytest.CaptureFixture[str]) -> None:
    process.ask("/livez")
    process.ask("/nowhere")
    process.ask("/livez", method="POST")
    spoken(process.port, b"nonsense\r\n\r\n")
    spoken(process.port, b"")
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("sent", "first"),
    [
        (b"GET /livez HTTP/9.9\r\n\r\n", b"505 "),
        (b"nonsense\r\n\r\n", b"400 "),
        (b"GET http://[/livez HTTP/1.0\r\n\r\n", b"HTTP/1.0 404 "),
    ],
)
def test_odd_requests_are_answered_and_not_in_html(process: Process, sent: bytes, first: bytes) -> None:
    answer = spoken(process.port, sent)
    assert answer.startswith(first)
    assert b"html" not in answer


def test_a_fault_in_the_status_is_logged_and_the_next_request_is_answered(
    process: Process, caplog: pytest.LogCaptureFixture
) -> None:
    process.error = ZeroDivisionError("by nobody")
    with caplog.at_level(logging.ERROR, logger="ashioto.health"):
        assert spoken(process.port, b"GET /livez HTTP/1.0\r\n\r\n") == b""
    process.error = None
    assert [record.message for record in caplog.records] == ["a request could not be answered"]
    assert process.ask("/livez").status == 200


def test_a_silent_client_keeps_nobody_waiting(process: Process) -> None:
    with socket.create_connection(("127.0.0.1", process.port)):
        assert process.ask("/livez").status == 200


def test_a_free_port_is_found() -> None:
    with serve() as one, serve() as other:
        assert one.port != other.port
        assert min(one.port, other.port) > 0


def test_a_port_in_use_is_named_with_the_way_out() -> None:
    with serve() as server, pytest.raises(UsageError, match=f"port {server.port} of 127.0.0.1 is in use") as caught:
        serve(server.port)
    assert "another port" in caught.value.hint
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(("port", "host"), [(70_000, "127.0.0.1"), (0, "192.0.2.1"), (0, "no.such.host.invalid")])
def test_an_address_that_is_not_ours_is_an_error(port: int, host: str) -> None:
    with pytest.raises(UsageError, match=f"cannot listen on port {port} of {host}: .") as caught:
        serve(port, host)
    assert "127.0.0.1" in caught.value.hint


def test_closing_frees_the_port_and_may_be_done_twice() -> None:
    server = serve()
    server.close()
    server.close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", server.port))
    with serve(server.port) as again:
        assert again.port == server.port


@pytest.mark.skipif(not socket.has_ipv6, reason="needs IPv6")
def test_it_listens_on_an_ipv6_address() -> None:
    try:
        server = serve(host="::1")
    except UsageError:
        pytest.skip("this machine has no ::1")
    with server, socket.create_connection(("::1", server.port), timeout=30) as wire:
        wire.sendall(b"HEAD /livez HTTP/1.0\r\n\r\n")
        assert wire.recv(4096).startswith(b"HTTP/1.0 ")
