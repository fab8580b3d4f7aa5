"""What the stand-in says is what a ksqlDB server's documentation and source say."""

from __future__ import annotations

from typing import Any

import pytest

from ashioto.testing.ksqldb_catalog import RefusedError, split
from ashioto.testing.ksqldb_server import CROWDED, KsqldbServer

TICKS = "CREATE STREAM `ticks` (`_key` VARCHAR KEY, `p` BIGINT) WITH (KAFKA_TOPIC = 't', VALUE_FORMAT = 'AVRO');"
BARS = "CREATE STREAM `bars` WITH (KAFKA_TOPIC = 'b', VALUE_FORMAT = 'AVRO') AS SELECT * FROM `ticks` EMIT CHANGES;"
MORE = "INSERT INTO `bars` SELECT * FROM `ticks` EMIT CHANGES;"


@pytest.fixture
def server() -> KsqldbServer:
    return KsqldbServer(topics={"t": 3})


def run(server: KsqldbServer, *statements: str) -> tuple[int, Any]:
    return server.answer("POST", "/ksql", {"ksql": "\n".join(statements)})


def refused(server: KsqldbServer, *statements: str) -> str:
    status, said = run(server, *statements)
    assert status >= 400
    return str(said["message"])


def test_a_request_is_checked_as_a_whole(server: KsqldbServer) -> None:
    status, said = run(server, TICKS, "INSERT INTO `nowhere` SELECT * FROM `ticks` EMIT CHANGES;", BARS)
    assert (status, said["@type"], said["error_code"]) == (400, "statement_error", 40001)
    assert said["statementText"].startswith("INSERT INTO `nowhere`")
    assert server.catalog.sources == {}


def test_what_was_done_before_a_failure_stays_done(server: KsqldbServer) -> None:
    server.works = 1
    status, said = run(server, TICKS, BARS)
    assert (status, said["error_code"], said["message"]) == (500, 50000, CROWDED)
    assert list(server.catalog.sources) == ["ticks"]
    assert run(server, BARS)[0] == 200


def test_what_exists_is_warned_of_or_refused(server: KsqldbServer) -> None:
    run(server, TICKS)
    _, (said,) = run(server, TICKS.replace("STREAM `", "STREAM IF NOT EXISTS `"))
    assert said["@type"] == "warning_entity"
    assert "queryId" not in said
    assert "already exists" in refused(server, TICKS)


def test_nothing_is_dropped_while_somebody_reads_it(server: KsqldbServer) -> None:
    run(server, TICKS, BARS, MORE)
    assert "read from this source: [bars]" in refused(server, "DROP STREAM `ticks`;")
    assert "write into this source: [INSERTQUERY_2]" in refused(server, "DROP STREAM `bars`;")
    assert run(server, "TERMINATE `INSERTQUERY_2`;", "DROP STREAM `bars`;", "DROP STREAM `ticks`;")[0] == 200
    assert server.catalog.queries == {}


def test_a_topic_is_not_deleted_while_another_stream_is_over_it(server: KsqldbServer) -> None:
    run(server, TICKS, BARS, TICKS.replace("`ticks`", "`again`").replace("'t'", "'b'"))
    assert "Refusing to delete topic" in refused(server, "DROP STREAM `bars` DELETE TOPIC;")
    run(server, "DROP STREAM `again`;", "DROP STREAM `bars` DELETE TOPIC;")
    assert set(server.catalog.topics) == {"t"}


@pytest.mark.parametrize("option", ["", ", RETENTION_MS = 5"])
def test_a_topic_that_is_there_must_be_as_it_would_be_made(server: KsqldbServer, option: str) -> None:
    other = KsqldbServer(topics={"t": 3, "b": 3 if option else 4})
    said = refused(other, TICKS, BARS.replace("'AVRO') AS", f"'AVRO'{option}) AS"))
    assert "already exists, with different partition/replica/retention configuration" in said
    assert run(server, TICKS, BARS)[0] == 200
    assert server.catalog.topics["b"].partitions == 3


def test_a_source_needs_its_topic(server: KsqldbServer) -> None:
    assert "does not exist" in refused(server, TICKS.replace("'t'", "'x'"))
    assert run(server, TICKS.replace("'t'", "'x', PARTITIONS = 2"))[0] == 200
    assert server.catalog.topics["x"].partitions == 2


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("DROP STREAM `nobody`;", "Stream nobody does not exist."),
        ("DROP TABLE nobody;", "Table NOBODY does not exist."),
        ("DROP TABLE `ticks`;", "Incompatible data source type is stream"),
        ("TERMINATE `NOBODY`;", "Unknown queryId: NOBODY"),
        (
            "CREATE STREAM `a` WITH (KAFKA_TOPIC = 'a') AS SELECT * FROM `nobody` EMIT CHANGES;",
            "nobody does not exist.",
        ),
        ("SING `a`;", "Syntax Error"),
        ("DROP STREAM `a`", "Syntax Error"),
    ],
)
def test_what_is_wrong_is_refused(server: KsqldbServer, wrong: str, said: str) -> None:
    run(server, TICKS)
    assert said in refused(server, wrong)


def test_a_source_that_is_gone_may_be_dropped_if_it_exists(server: KsqldbServer) -> None:
    assert run(server, "DROP STREAM IF EXISTS `nobody` DELETE TOPIC;")[0] == 200


def test_statements_are_split_outside_of_quotes() -> None:
    assert split("TERMINATE `a;b`; INSERT 'x;''y';") == ["TERMINATE `a;b`", "INSERT 'x;''y'"]
    with pytest.raises(RefusedError):
        split("TERMINATE a")


def test_other_paths_and_commands_are_unknown(server: KsqldbServer) -> None:
    assert server.answer("GET", "/nowhere")[0] == 404
    assert server.answer("GET", "/status/stream/%60x%60/create")[0] == 404
