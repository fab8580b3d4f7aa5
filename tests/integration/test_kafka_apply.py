"""`infra apply` on a real broker and registry: what they would refuse is known before, and a crash leaves no trace."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import pyarrow as pa
import pytest
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._config import AlterConfigOpType, ConfigEntry, ConfigResource
from confluent_kafka.admin._resource import ResourceType
from tests.support_deploy import Declared, World
from tests.support_kafka_log import open_kafka_log

from ashioto.deploy.status import topic_finding
from ashioto.errors import BlockedError
from ashioto.schema.avro import avro_schema, subject
from ashioto.schema.registry import SchemaRegistry
from ashioto.testing import CrashError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from ashioto.log.kafka import KafkaLog

PLAIN = Declared()


@pytest.fixture
def opening(kafka: str, registry: str, unique: str, tmp_path: Path) -> Iterator[Callable[..., KafkaLog]]:
    """Open logs in worlds of their own."""
    made: list[KafkaLog] = []

    def opened(world: str = "", **options: object) -> KafkaLog:
        made.append(open_kafka_log(kafka, registry, f"{unique}{world}", tmp_path / f"w{world}", **options))
        return made[-1]

    yield opened
    for one in made:
        one.close()


def test_what_the_broker_would_refuse_is_known_before_anything_is_made(
    opening: Callable[..., KafkaLog], registry: str
) -> None:
    log = opening(replication=3)
    world = World(log=log)
    planned = world.plan(PLAIN)
    assert {change.object for change in planned.blocked} == set(planned.desired.topic_names)
    assert all("as many copies as log.replication says" in change.reason for change in planned.blocked)
    with pytest.raises(BlockedError):
        world.apply(PLAIN)
    assert log.topics() == []
    with SchemaRegistry(registry) as schemas:
        assert [name for name in schemas.subjects() if name.startswith(log.options.prefix)] == []


def test_a_subject_that_another_cluster_may_have_is_deleted_only_by_name(
    opening: Callable[..., KafkaLog], registry: str
) -> None:
    log = opening()
    world = World(log=log)
    name = subject(f"{log.options.prefix}trading.rate")
    with SchemaRegistry(registry) as schemas:
        schemas.register(name, avro_schema(pa.schema({"price": pa.string()}), name="trading.rate"))
        with pytest.raises(BlockedError, match=name):
            world.apply(PLAIN)
        assert log.topics() == []
        assert [found.version for found in schemas.versions(name)] == [1]
    world.apply(PLAIN, allow_delete=["trading.rate"])
    assert world.plan(PLAIN).steps == ()


def test_a_schema_is_checked_against_all_versions_before_anything_is_changed(
    opening: Callable[..., KafkaLog], registry: str
) -> None:
    log = opening()
    world = World(log=log)
    world.apply(PLAIN)
    before = world.end(), world.offsets()
    with SchemaRegistry(registry) as schemas:
        name = subject(f"{log.options.prefix}trading.rate")
        columns = log.describe("trading.rate").spec.schema
        for more in (columns.append(pa.field("size", pa.string())), columns):
            schemas.register(name, avro_schema(more, name="trading.rate"))
    (blocked,) = world.plan(Declared(ticks="sized")).blocked
    assert blocked.object == "trading.rate"
    assert "in version 2 size is string" in blocked.reason
    with pytest.raises(BlockedError) as caught:
        world.apply(Declared(ticks="sized"))
    assert caught.value.exit_code == 4
    assert (world.end(), world.offsets()) == before


def test_settings_that_somebody_changed_are_shown_and_put_right(opening: Callable[..., KafkaLog], kafka: str) -> None:
    log = opening(topic_ttl_s=0.0)
    world = World(log=log)
    world.apply(PLAIN)
    entry = ConfigEntry("min.compaction.lag.ms", "0", incremental_operation=AlterConfigOpType.SET)
    topic = ConfigResource(ResourceType.TOPIC, f"{log.options.prefix}trading.rate_bars_1m", incremental_configs=[entry])
    admin = AdminClient({"bootstrap.servers": kafka})
    for future in admin.incremental_alter_configs([topic]).values():
        future.result()
    planned = world.plan(PLAIN)
    assert [(c.object, c.action) for c in planned.made] == [("trading.rate_bars_1m", "alter")]
    spec = log.describe("trading.rate_bars_1m").spec
    assert "min.compaction.lag.ms is 0" in topic_finding(spec, planned.actual).detail
    world.apply(PLAIN)
    assert world.plan(PLAIN).steps == ()
    world.apply(PLAIN)
    assert world.effects == 0


@pytest.mark.parametrize("when", ["before", "after"])
def test_whatever_it_dies_at_the_next_run_ends_as_if_nothing_had_happened(
    opening: Callable[..., KafkaLog], when: Literal["before", "after"]
) -> None:
    smooth = World(log=opening("smooth"))
    smooth.apply(PLAIN)
    smooth.apply(Declared(high=True))
    effects, wanted = smooth.effects, smooth.end()
    assert effects >= 4
    rough = World(log=opening("rough"))
    rough.apply(PLAIN)
    crashed = 0
    for crash_at in range(1, effects + 1):  # each dies one effect later, on what those before have left
        try:
            rough.apply(Declared(high=True), crash_at=crash_at, when=when)
        except CrashError:
            crashed += 1
    assert crashed >= 2
    rough.apply(Declared(high=True))
    assert rough.end() == wanted
    rough.apply(Declared(high=True))
    assert rough.effects == 0
