from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import httpx
import pyarrow as pa
import pytest
from tests.support_registry import MemoryRegistry

from ashioto.clock import ManualClock
from ashioto.errors import LogBusyError, RegistryBusyError, RegistryError, SchemaError
from ashioto.schema.avro import avro_schema
from ashioto.schema.registry import SchemaRegistry

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

AVRO = avro_schema(pa.schema({"x": pa.int64()}), name="r")
SECRET = "s3cr3t-canary"  # noqa: S105  # a canary
CALLS: list[Callable[[SchemaRegistry], object]] = [
    lambda client: client.register("s", AVRO),
    lambda client: client.by_id(1),
    lambda client: client.latest("s"),
    lambda client: client.versions("s"),
    lambda client: client.incompatible("s", AVRO),
    lambda client: client.compatibility("s"),
    lambda client: client.delete("s"),
    lambda client: client.subjects(),
]


def answering(*answers: httpx.Response | Exception, **options: Any) -> tuple[SchemaRegistry, list[httpx.Request]]:
    """A client of a registry that gives these answers, the last for ever, and the requests it gets."""
    asked: list[httpx.Request] = []

    def reply(request: httpx.Request) -> httpx.Response:
        answer = answers[min(len(asked), len(answers) - 1)]
        asked.append(request)
        if isinstance(answer, Exception):
            raise answer
        return answer

    client = SchemaRegistry(
        "http://registry:8081", transport=httpx.MockTransport(reply), clock=ManualClock(), **options
    )
    return client, asked


def test_a_schema_is_asked_for_once() -> None:
    client, asked = answering(httpx.Response(200, json={"schema": json.dumps(AVRO)}))
    assert [client.by_id(7), client.by_id(7)] == [AVRO, AVRO]
    assert [str(request.url) for request in asked] == ["http://registry:8081/schemas/ids/7"]


def test_an_unknown_number_is_asked_for_again() -> None:
    absent = httpx.Response(404, json={"error_code": 40403, "message": "no"})
    client, _ = answering(absent, httpx.Response(200, json={"schema": json.dumps(AVRO)}))
    with pytest.raises(RegistryError):
        client.by_id(7)
    assert client.by_id(7) == AVRO


def test_nothing_is_written_where_the_schema_is_the_newest() -> None:
    transport = MemoryRegistry()
    client = SchemaRegistry("http://registry", transport=transport)
    client.register("s", AVRO)
    transport.requests.clear()
    client.register("s", AVRO)
    assert ("POST", "/subjects/s/versions") not in transport.requests
    assert all(method != "PUT" for method, _ in transport.requests)


@pytest.mark.parametrize("trouble", [httpx.ConnectError("x"), httpx.ReadTimeout("x"), httpx.Response(503)])
def test_what_fails_for_a_moment_is_asked_again(trouble: httpx.Response | Exception) -> None:
    client, asked = answering(trouble, trouble, httpx.Response(200, json=["s"]))
    assert client.subjects() == ["s"]
    assert len(asked) == 3


def test_it_waits_longer_each_time() -> None:
    clock, transport = ManualClock(), httpx.MockTransport(lambda _: httpx.Response(503))
    client = SchemaRegistry("http://registry", transport=transport, clock=clock)
    with pytest.raises(RegistryError):
        client.subjects()
    assert clock.now_ms() == 700


@pytest.mark.parametrize("status", [400, 401, 409, 422])
def test_a_refusal_is_not_asked_again(status: int) -> None:
    client, asked = answering(httpx.Response(status, json={"error_code": status, "message": "no"}))
    with pytest.raises(RegistryError) as error:
        client.subjects()
    assert (len(asked), error.value.ids["status"]) == (1, status)
    assert not isinstance(error.value, RegistryBusyError)


@pytest.mark.parametrize("answer", [httpx.ConnectError("refused"), httpx.ReadTimeout("x"), httpx.Response(503)])
def test_one_that_cannot_answer_now_is_busy_like_a_log(answer: httpx.Response | Exception) -> None:
    client, _ = answering(answer)
    with pytest.raises(RegistryBusyError) as error:
        client.subjects()
    assert isinstance(error.value, LogBusyError)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (httpx.ConnectError("Connection refused"), "registry:8081 was not reached: Connection refused"),
        (httpx.ReadTimeout("x"), "registry:8081 did not answer within 10 s"),
        (httpx.Response(401), "does not let this client in (401)\nHint: check user, password"),
        (httpx.Response(403), "does not let this client in (403)"),
        (httpx.Response(409, json={"error_code": 409, "message": "x is gone"}), "x is gone"),
        (httpx.Response(500, text="<html>oh</html>"), "failed (500): <html>oh</html>\nHint: see its own log"),
        (httpx.Response(302, headers={"Location": "http://elsewhere"}), "failed (302): Found"),
        (httpx.Response(404, json={"error_code": 404, "message": "no such path"}), "does not answer as a schema"),
        (httpx.Response(404, text="<html>"), "does not answer as a schema registry does"),
        (httpx.Response(200, text="hello"), "does not answer as a schema registry does"),
        (httpx.Response(500, text="x" * 9999), "x" * 400),
    ],
)
def test_errors_say_what_and_which(answer: httpx.Response | Exception, said: str) -> None:
    for call in CALLS:
        client, _ = answering(answer)
        with pytest.raises(RegistryError) as error:
            call(client)
        assert said in str(error.value)
        assert len(str(error.value)) < 800
        assert error.value.hint


@pytest.mark.parametrize("answer", [{}, [], 7, None, {"id": "x", "version": 1, "schema": 2}])
def test_answers_of_another_shape_are_none_of_a_registry(answer: object) -> None:
    for call in CALLS[1], CALLS[2], CALLS[5]:
        client, _ = answering(httpx.Response(200, json=answer))
        with pytest.raises(RegistryError, match="does not answer as a schema registry does"):
            call(client)


@pytest.mark.parametrize("answer", [{"schema": "{}", "schemaType": "JSON"}, {"schema": '"string"'}, {"schema": "{"}])
def test_schemas_that_are_not_of_records_are_told_apart(answer: object) -> None:
    client, _ = answering(httpx.Response(200, json=answer))
    with pytest.raises(SchemaError, match="schema 1 is no Avro schema of records"):
        client.by_id(1)


def test_the_reasons_of_every_kind_of_registry_are_understood() -> None:
    transport = MemoryRegistry()
    client = SchemaRegistry("http://registry", transport=transport)
    client.register("s", AVRO)
    transport.refuses = lambda _subject, _schema: ["one", "two"]
    assert client.incompatible("s", AVRO) == ["one", "two"]
    with pytest.raises(RegistryError, match="refuses s: one"):
        client.register("s", avro_schema(pa.schema({"y": pa.int64()}), name="r"))
    for given, said in [({"reason": "three"}, "three"), ({}, "the registry refuses it and does not say why")]:
        versions, verdict = httpx.Response(200, json=[]), httpx.Response(200, json={"is_compatible": False, **given})
        assert answering(versions, verdict)[0].incompatible("s", AVRO) == [said]


def test_a_registry_that_judges_by_one_version_only_is_asked_about_each() -> None:
    transport = MemoryRegistry()
    transport.asks_of_all = False
    client = SchemaRegistry("http://registry", transport=transport)
    wider = avro_schema(pa.schema({"x": pa.int64(), "y": pa.int64()}), name="r")
    assert client.incompatible("s", AVRO) == []
    client.register("s", AVRO)
    client.register("s", wider)
    transport.requests.clear()
    assert client.incompatible("s", AVRO) == []
    asked = [path for _, path in transport.requests if path.startswith("/compatibility")]
    assert asked == [f"/compatibility/subjects/s/versions{version}" for version in ("", "/1", "/2")]
    transport.refuses = lambda _subject, _schema: ["one"]
    assert client.incompatible("s", AVRO) == ["in version 1 one", "in version 2 one"]


def test_a_path_that_nobody_knows_is_not_taken_for_a_schema_that_is_gone() -> None:
    client, _ = answering(httpx.Response(404, text="<html>"))
    with pytest.raises(RegistryError) as error:
        client.by_id(1)
    assert "status" not in error.value.ids


def test_where_nothing_is_set_the_level_is_that_of_all() -> None:
    transport = MemoryRegistry()
    client = SchemaRegistry("http://registry", transport=transport)
    transport.level = "NONE"
    assert client.compatibility("s") == "NONE"
    client.set_compatibility("s", "FULL_TRANSITIVE")
    assert client.compatibility("s") == "FULL_TRANSITIVE"


@pytest.mark.parametrize(
    ("url", "options"),
    [
        (f"http://me:{SECRET}@registry:8081/x/", {}),
        ("http://registry:8081/x", {"user": "me", "password": SECRET}),
        (f"http://me:wrong@registry:8081/x?password={SECRET}#{SECRET}", {"user": "me", "password": SECRET}),
    ],
)
def test_passwords_are_sent_and_never_shown(url: str, options: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(0)
    sent: list[httpx.Request] = []

    def reply(request: httpx.Request) -> httpx.Response:
        sent.append(request)
        return httpx.Response(400, json={"error_code": 1, "message": f"bad {SECRET}"})

    client = SchemaRegistry(url, transport=httpx.MockTransport(reply), **options)
    with pytest.raises(RegistryError, match=r"bad \*\*\*") as error:
        client.subjects()
    assert sent[0].headers["Authorization"] == httpx.BasicAuth("me", SECRET)._auth_header
    assert str(sent[0].url) == "http://registry:8081/x/subjects"
    shown = f"{error.value} {error.value.ids} {client!r} {caplog.text}"
    assert SECRET not in shown
    assert "me:" not in shown


@pytest.mark.parametrize(
    "url", ["", "registry:8081", "ftp://registry", "http://", f"nonsense://me:{SECRET}@x", "http://registry:port"]
)
def test_a_url_must_be_one(url: str) -> None:
    with pytest.raises(RegistryError, match="URL of the schema registry is none") as error:
        SchemaRegistry(url)
    assert SECRET not in str(error.value)


def test_files_of_certificates_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(RegistryError, match="certificates for the schema registry cannot be used") as error:
        SchemaRegistry("https://registry", ca=tmp_path / "ca.pem", key_password=SECRET)
    assert str(tmp_path / "ca.pem") in error.value.hint
    (tmp_path / "cert.pem").write_text("nothing")
    with pytest.raises(RegistryError, match="certificates for the schema registry cannot be used"):
        SchemaRegistry("https://registry", cert=tmp_path / "cert.pem")
