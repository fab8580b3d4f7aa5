from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest
from tests.support_engine import bars
from tests.support_host import version_of
from tests.support_ksqldb_server import Network, ServedLog

from ashioto.clock import ManualClock
from ashioto.config import Config, EngineConfig, LogConfig, RegistryConfig
from ashioto.engines.ksqldb.options import open_client, properties_of, schema_ids
from ashioto.engines.opening import open_engine
from ashioto.errors import RegistryBusyError
from ashioto.schema.registry import SchemaRegistry
from ashioto.testing.ksqldb_server import KsqldbServer

if TYPE_CHECKING:
    from collections.abc import Callable

CONFIG = Config(
    file=Path("ashioto.toml"),
    log=LogConfig(kind="kafka", bootstrap="localhost:9092", prefix="acme."),
    engine=EngineConfig(kind="ksqldb", url="http://ksqldb:8088/", settings={"ksql.streams.num.stream.threads": 2}),
    schema_registry=RegistryConfig(url="http://registry:8081"),
)


def registry(reply: Callable[[httpx.Request], httpx.Response]) -> SchemaRegistry:
    return SchemaRegistry("http://registry:8081", transport=httpx.MockTransport(reply), clock=ManualClock())


def test_the_engine_of_a_project_is_opened_without_asking_anybody() -> None:
    made = open_engine(CONFIG, ServedLog(KsqldbServer()), ("dev", "local"), ManualClock(), preflight=False)
    assert made.kind == "ksqldb"


def test_a_client_talks_to_the_server_of_the_settings() -> None:
    client = open_client(CONFIG.engine, ManualClock(), transport=Network(KsqldbServer()))
    assert (client.url, client.info().status) == ("http://ksqldb:8088", "RUNNING")


def test_settings_are_properties_of_queries() -> None:
    found = properties_of(EngineConfig(kind="ksqldb", settings={"a": 1, "b": True, "c": "x"}))
    assert {name: found[name] for name in "abc"} == {"a": "1", "b": "true", "c": "x"}
    assert found["ksql.streams.processing.guarantee"] == "exactly_once_v2"


def test_the_newest_schema_of_a_topic_is_that_of_its_values() -> None:
    asked: list[str] = []

    def reply(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.path)
        if "5m" in request.url.path:
            return httpx.Response(404, json={"error_code": 40401, "message": "no"})
        said = '{"type": "record", "name": "r", "fields": []}'
        return httpx.Response(200, json={"subject": "s", "version": 3, "id": 9, "schema": said})

    find = schema_ids(CONFIG, registry(reply), needed=True)
    assert (find("t.trade_bars_1m"), find("t.trade_bars_5m")) == (9, None)
    assert asked[0] == "/subjects/acme.t.trade_bars_1m-value/versions/latest"


def test_only_who_needs_a_schema_minds_that_the_registry_is_away() -> None:
    def refuse(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("no", request=request)

    assert schema_ids(CONFIG, registry(refuse), needed=False)("t.trade_bars_1m") is None
    with pytest.raises(RegistryBusyError):
        schema_ids(CONFIG, registry(refuse), needed=True)("t.trade_bars_1m")


def test_statements_are_made_without_asking_a_server() -> None:
    registration = version_of(bars("1m", name="minutes").plan, engine="ksqldb")
    config = replace(CONFIG, schema_registry=RegistryConfig(url="http://localhost:1"))
    made = open_engine(config, ServedLog(KsqldbServer()), ("dev", "local"), ManualClock(), preflight=False)
    assert "KAFKA_TOPIC = 'acme.t.trade'" in made.compile(registration)[0]
