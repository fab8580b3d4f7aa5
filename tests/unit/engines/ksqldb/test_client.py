from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from tests.support_ksqldb_server import Network, client_of, replying

from ashioto.clock import ManualClock, SystemClock
from ashioto.engines.ksqldb.client import PROOF, SERVER, KsqldbClient, explained, head
from ashioto.engines.rest import Access, Rest
from ashioto.errors import EngineBusyError, EngineError
from ashioto.testing.ksqldb_server import CROWDED, KsqldbServer

SECRET = "s3cr3t-canary"  # noqa: S105  # a canary
WRONG = "wrong"
TICKS = "CREATE STREAM `ticks` (`_key` VARCHAR KEY, `p` BIGINT) WITH (KAFKA_TOPIC = 't', VALUE_FORMAT = 'AVRO');"
BARS = "CREATE STREAM `bars` WITH (KAFKA_TOPIC = 'b', VALUE_FORMAT = 'AVRO') AS SELECT * FROM `ticks` EMIT CHANGES;"


def entity(status: str = "SUCCESS", number: int = 0, **others: Any) -> dict[str, Any]:
    """What a server says of a statement."""
    return {
        "@type": "currentStatus", "statementText": TICKS, "commandId": "stream/`ticks`/create", "warnings": [],
        "commandStatus": {"status": status, "message": "said", "queryId": None}, "commandSequenceNumber": number,
    } | others  # fmt: skip


def refusal(status: int, code: int, message: str, statement: str | None = None) -> tuple[int, Any]:
    kind = "generic_error" if statement is None else "statement_error"
    return status, {"@type": kind, "error_code": code, "message": message, "statementText": statement, "entities": []}


def test_statements_go_in_one_request_with_what_queries_need() -> None:
    transport, asked = replying((200, [entity(number=3)]))
    client = client_of(transport)
    (done,) = client.run([TICKS], about="ticks")
    assert (done.status, done.message, done.query) == ("SUCCESS", "said", "")
    assert asked[0]["ksql"] == TICKS
    assert asked[0]["streamsProperties"] == {
        "ksql.streams.auto.offset.reset": "earliest",
        "ksql.streams.processing.guarantee": "exactly_once_v2",
    }
    assert asked[0]["sessionVariables"] == {}
    assert "commandSequenceNumber" not in asked[0]
    client.run([TICKS], about="ticks")
    assert asked[1]["commandSequenceNumber"] == 3


def test_a_statement_under_way_is_waited_for() -> None:
    going = {"status": "EXECUTING", "message": "", "queryId": None}
    ended = {"status": "SUCCESS", "message": "made", "queryId": "CSAS_BARS_1"}
    transport, asked = replying((200, [entity("QUEUED")]), (200, going), (200, ended))
    (done,) = client_of(transport).run([TICKS], about="ticks")
    assert (done.message, done.query) == ("made", "CSAS_BARS_1")
    assert asked[1:] == ["/status/stream/%60ticks%60/create"] * 2


def test_a_statement_that_is_never_done_is_given_up() -> None:
    transport, _ = replying(
        (200, [entity("EXECUTING")]), (200, {"status": "EXECUTING", "message": "", "queryId": None})
    )
    with pytest.raises(EngineBusyError, match="within 300 s"):
        client_of(transport).run([TICKS], about="ticks")


def test_a_statement_that_failed_when_it_was_run_says_what_was_done_before() -> None:
    transport, _ = replying((200, [entity(), entity("ERROR", statementText=BARS)]))
    with pytest.raises(EngineError, match="said") as caught:
        client_of(transport).run([TICKS, BARS], about="bars")
    assert caught.value.ids["done"] == [TICKS]
    assert "CREATE STREAM `bars`" in caught.value.hint


def test_warnings_are_told_apart_from_what_was_done() -> None:
    warning = {"@type": "warning_entity", "statementText": TICKS, "message": "Cannot add stream"}
    transport, _ = replying((200, [warning, entity(warnings=[{"message": "deprecated"}])]))
    first, second = client_of(transport).run([TICKS, BARS], about="bars")
    assert (first.status, first.message, first.query) == ("WARNING", "Cannot add stream", "")
    assert second.warnings == ("deprecated",)


@pytest.mark.parametrize(
    ("answer", "kind", "said"),
    [
        (refusal(400, 40001, "Column 'x' cannot be resolved.", TICKS), EngineError, "Column 'x' cannot be resolved."),
        (refusal(400, 40000, "bad request"), EngineError, "bad request"),
        (refusal(401, 40100, "Unauthorized"), EngineError, "does not let this client in"),
        (refusal(403, 40301, "no rights"), EngineError, "does not let this client in"),
        (refusal(500, 50000, "died", TICKS), EngineError, "died"),
        (refusal(503, 50302, "Server initializing"), EngineBusyError, "Server initializing"),
        (refusal(503, 50301, "Timed out while waiting for a previous command"), EngineBusyError, "previous command"),
        (refusal(500, 50000, CROWDED, TICKS), EngineBusyError, "command topic consumer"),
        ((200, {"not": "a list"}), EngineError, "does not answer as a ksqlDB server does"),
    ],
)
def test_refusals_say_what_and_which(answer: tuple[int, Any], kind: type[EngineError], said: str) -> None:
    transport, _ = replying(answer)
    with pytest.raises(EngineError, match=said.replace("(", r"\(")) as caught:
        client_of(transport).run([TICKS, BARS], about="bars")
    assert type(caught.value) is kind


def test_an_error_names_the_statement_by_its_first_line() -> None:
    _, said = refusal(400, 40001, "no such column", "SELECT\n  a\nFROM b;")
    assert explained(json.dumps(said)) == "no such column, in SELECT …"
    assert explained("<html>") == "<html>"
    assert head("DROP STREAM a;") == "DROP STREAM a;"


def test_only_a_single_statement_is_sent_again_to_a_crowded_server() -> None:
    server = KsqldbServer(topics={"t": 1})
    clock = ManualClock()
    client = client_of(Network(server), clock=clock)
    server.crowded = 2
    client.run([TICKS], about="ticks")
    assert len(server.requests) == 3
    assert clock.monotonic() == pytest.approx(1.5)
    server.crowded = 1
    with pytest.raises(EngineBusyError):
        client.run([BARS, "TERMINATE `CSAS_BARS_1`;"], about="bars")
    assert len(server.requests) == 4
    server.crowded = 100
    with pytest.raises(EngineBusyError):
        client.run([BARS], about="bars")
    assert len(server.requests) == 10


def test_other_errors_are_not_sent_again() -> None:
    transport, asked = replying(refusal(503, 50302, "Server initializing"))
    with pytest.raises(EngineBusyError):
        client_of(transport).run([TICKS], about="ticks")
    assert len(asked) == 1


def test_a_proof_runs_nothing_and_says_what_is_wrong() -> None:
    server = KsqldbServer(topics={"t": 1})
    client = client_of(Network(server))
    client.prove([TICKS, BARS], about="bars")
    assert server.catalog.sources == {}
    assert server.requests[0].endswith(f"DROP STREAM `{PROOF}`;")
    with pytest.raises(EngineError, match="ticks does not exist"):
        client.prove([BARS], about="bars")


def test_a_proof_that_was_run_is_no_proof() -> None:
    transport, _ = replying((200, [entity()]))
    with pytest.raises(EngineError, match="has dropped a stream"):
        client_of(transport).prove([TICKS], about="ticks")


def test_the_server_says_what_and_how_it_is() -> None:
    client = client_of(Network(KsqldbServer()))
    assert (client.info().version, client.info().service, client.info().status) == ("8.0.7", "default_", "RUNNING")
    assert client.healthy()
    assert client.hosts() == {"localhost:8088": True}


def test_another_server_is_not_taken_for_one() -> None:
    transport, _ = replying((200, {"hello": 1}))
    with pytest.raises(EngineError, match="does not answer as a ksqlDB server does"):
        client_of(transport).info()


def test_a_server_without_a_cluster_is_asked_all_the_same() -> None:
    transport, _ = replying(refusal(404, 40400, "Not Found"))
    assert client_of(transport).hosts() == {}


def test_passwords_are_sent_and_never_shown() -> None:
    network = Network(KsqldbServer(login=("ann", SECRET)))
    assert client_of(network, user="ann", password=SECRET).info().status == "RUNNING"
    with pytest.raises(EngineError, match="check user, password") as caught:
        client_of(network, user="ann", password=WRONG).info()
    assert SECRET not in str(caught.value)
    transport, _ = replying(refusal(400, 40001, f"no {SECRET} here", TICKS))
    with pytest.raises(EngineError) as caught:
        client_of(transport, user="ann", password=SECRET).run([TICKS], about="ticks")
    assert SECRET not in str(caught.value)
    assert SECRET not in str(caught.value.ids)


def test_a_server_that_is_down_is_busy() -> None:
    network = Network(KsqldbServer())
    network.down = True
    with pytest.raises(EngineBusyError, match="was not reached"):
        client_of(network).info()


def test_over_a_real_network() -> None:
    server, clock = KsqldbServer(topics={"t": 2}), SystemClock()
    with server.listening() as url:
        rest = Rest(url, name=SERVER, access=Access(), clock=clock, explain=explained)
        client = KsqldbClient(rest, clock=clock)
        done = client.run([TICKS, BARS], about="bars")
        assert [one.query for one in done] == ["", "CSAS_BARS_1"]
        (topics,) = client.ask("SHOW ALL TOPICS;")
        assert [(t["name"], len(t["replicaInfo"])) for t in topics["topics"]] == [("b", 2), ("t", 2)]
        client.close()
    gone = Rest(url, name=SERVER, access=Access(), clock=ManualClock(), explain=explained)
    with pytest.raises(EngineBusyError, match="was not reached"):
        KsqldbClient(gone, clock=clock).info()


def test_certificates_of_nobody_are_not_trusted() -> None:
    def refuse(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("certificate verify failed", request=request)

    with pytest.raises(EngineBusyError, match="check its URL and certificates"):
        client_of(httpx.MockTransport(refuse)).info()
