"""A ksqlDB server of somebody's own makes the bars that the embedded engine makes: `make test-ksqldb URL=…`.

Skipped where no server is named. The server must be on the cluster and use the registry that are named beside it.
"""

from __future__ import annotations

import os
import random
import re
from typing import TYPE_CHECKING, Any

import pytest
from tests.support_engine import DAY, MINUTE, Market
from tests.support_host import version_of
from tests.support_kafka_bars import HOURS, PARTITIONS, QUERY, ancient_trades, numbered, some_trades
from tests.support_kafka_log import open_kafka_log
from tests.unit.engines.ksqldb.test_statements import QUERIES

from ashioto import naming
from ashioto.clock import SystemClock
from ashioto.config import EngineConfig
from ashioto.engines.ksqldb.options import open_client
from ashioto.engines.ksqldb.registry import KsqldbEngine
from ashioto.engines.ksqldb.there import look
from ashioto.engines.sql.index import index_of
from ashioto.schema.avro import subject
from ashioto.schema.registry import SchemaRegistry
from ashioto.testing.stack.ready import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ashioto.control.applied import Registration
    from ashioto.log.base import Log

NAMED = ("ASHIOTO_TEST_KSQLDB", "ASHIOTO_TEST_BOOTSTRAP", "ASHIOTO_TEST_REGISTRY")
URL, BOOTSTRAP, REGISTRY = (os.environ.get(name, "") for name in NAMED)
SOURCE = naming.topic("t", "Trade")
PATIENCE_S = 180.0

pytestmark = pytest.mark.skipif(
    not (URL and BOOTSTRAP and REGISTRY), reason="make test-ksqldb URL=http://… BOOTSTRAP=host:port REGISTRY=http://…"
)


@pytest.fixture
def log(unique: str, tmp_path: Path) -> Iterator[Any]:
    opened = open_kafka_log(BOOTSTRAP, REGISTRY, unique, tmp_path)
    yield opened
    opened.close()


@pytest.fixture
def version(unique: str) -> Registration:
    """A version whose names nobody else has on the server."""
    return version_of(QUERY.plan, engine="ksqldb", query=f"bars_{re.sub('[^0-9a-z]', '', unique.lower())}")


@pytest.fixture
def engine(log: Any, unique: str, version: Registration) -> Iterator[KsqldbEngine]:
    clock, registry, prefix = SystemClock(), SchemaRegistry(REGISTRY), f"{unique}."
    client = open_client(EngineConfig(kind="ksqldb", url=URL), clock)

    def schema_id(topic: str) -> int | None:
        found = registry.latest(subject(f"{prefix}{topic}"))
        return None if found is None else found.id

    made = KsqldbEngine(log, client=client, clock=clock, prefix=prefix, schema_id=schema_id)
    yield made
    made.stop(version)
    assert not look(client).of(version.name)
    client.close()
    registry.close()


def market(log: Log | None = None) -> Market:
    """A market whose schedule has an index, where it is on a log of its own."""
    if log is None:
        return Market.of(QUERY, hours=HOURS, partitions=PARTITIONS)
    index = index_of("t", QUERY.plan.time_frame)
    assert index is not None
    log.create([index.spec(PARTITIONS)])
    return Market.of(QUERY, hours=HOURS, partitions=PARTITIONS, log=log)


def made(one: Market) -> dict[str, list[str]]:
    """The bars of a market by their kind, apart from what is an offset."""
    topics = {p.kind: naming.bars_topic("t", "Trade", p) for p in QUERY.plan.frames}
    return {kind: numbered(one.log, topic, SOURCE) for kind, topic in topics.items()}


def test_a_server_makes_the_bars_that_the_embedded_engine_makes(
    log: Any, engine: KsqldbEngine, version: Registration
) -> None:
    draw = random.Random(5)  # noqa: S311  # no secret is drawn
    served, embedded = market(log), market()

    def is_equal() -> bool:
        (stand,) = engine.inspect([version])
        assert stand.state in {"running", "starting"}, stand.detail
        return engine.progress(version) == log.end_offsets(SOURCE) and made(served) == made(embedded)

    engine.compile(version)
    engine.register(version)
    rounds = [(some_trades(draw, 400, day), day * DAY + 40 * MINUTE) for day in range(3)]
    for rows, now in [*rounds, (ancient_trades(draw, 20), 3 * DAY), ([], 9 * DAY)]:
        for one in (served, embedded):
            if rows:
                one.send(*rows)
        embedded.at(now)
        served.beat(now)
        wait_until(is_equal, timeout_s=PATIENCE_S)
        assert made(served) == made(embedded)
    assert all(made(embedded).values())
    engine.register(version)
    assert engine.progress(version) == log.end_offsets(SOURCE)


@pytest.mark.parametrize("name", sorted(QUERIES))
def test_a_server_takes_every_script_that_was_reviewed(name: str, engine: KsqldbEngine, version: Registration) -> None:
    query = QUERIES[name]
    assert engine.compile(version_of(query.plan, engine="ksqldb", query=f"{version.query}{name.replace('_', '')}"))
