"""Opens the engine that a project's settings name: the one place that knows all of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, cast

from ashioto.errors import UnsupportedError
from ashioto.log.base import Log
from ashioto.log.groups import GroupOffsets
from ashioto.log.leases import Leases

if TYPE_CHECKING:
    from ashioto.clock import Clock
    from ashioto.config import Config
    from ashioto.engines.base import Engine
    from ashioto.log.groups import GroupLog
    from ashioto.schema.registry import SchemaRegistry


class EngineLog(Log, Leases, Protocol):
    """A log that also keeps leases."""


def open_engine(
    config: Config, log: EngineLog, env: tuple[str, str], clock: Clock, *, preflight: bool = True
) -> Engine:
    """Return the engine of a project; no server is asked for anything yet.

    Args:
        config: The project's settings.
        log: Where everything is.
        env: Environment and cluster.
        clock: Waits, and tells the time.
        preflight: Whether `compile` asks the server to check the statements; else it only makes them.

    Raises:
        UnsupportedError: The engine does not work on this log.
        ConfigError: A file of a secret cannot be read.
        EngineError: A certificate cannot be used.
    """
    if config.engine.kind == "embedded":
        return open_embedded(log, env, clock)
    if config.engine.kind == "flink":
        return _open_flink(config, _with_groups(config, log), env, clock, preflight=preflight)
    return _open_ksqldb(config, _with_groups(config, log), clock, preflight=preflight)


def open_embedded(log: EngineLog, env: tuple[str, str], clock: Clock) -> Engine:
    """Return the embedded engine, as other processes see it.

    Args:
        log: Where everything is.
        env: Environment and cluster.
        clock: Tells the time.
    """
    from ashioto.control.sharing import engine_owners
    from ashioto.engines.embedded.registry import EmbeddedRegistry

    return EmbeddedRegistry(log, env=env, owners=engine_owners(log, env=env, clock=clock))


def _with_groups(config: Config, log: Log) -> GroupLog:
    """Return a log as one that knows consumer groups.

    Raises:
        UnsupportedError: It knows none.
    """
    if not isinstance(log, GroupOffsets):
        raise UnsupportedError(
            f'engine.kind = "{config.engine.kind}" needs a log on Kafka', hint='[log] kind = "kafka"',
            file=str(config.file),
        )  # fmt: skip
    return cast("GroupLog", log)


def _open_flink(
    config: Config, log: GroupLog, env: tuple[str, str], clock: Clock, *, preflight: bool
) -> Engine:  # fmt: skip
    from ashioto.engines.flink.options import flink_options, open_gateway, open_jobs
    from ashioto.engines.flink.registry import FlinkEngine
    from ashioto.engines.sql.registered import registered

    options, find = flink_options(config), registered(config, _registry(config, clock), needed=preflight)
    return FlinkEngine(
        log, env=env, gateway=open_gateway(config, options, clock), jobs=open_jobs(config, options, clock),
        options=options, clock=clock, preflight=preflight,
        schema=lambda topic: None if (found := find(topic)) is None else found.schema,
    )  # fmt: skip


def _open_ksqldb(config: Config, log: GroupLog, clock: Clock, *, preflight: bool) -> Engine:
    from ashioto.engines.ksqldb.options import open_client, properties_of, schema_ids
    from ashioto.engines.ksqldb.registry import KsqldbEngine

    return KsqldbEngine(
        log, client=open_client(config.engine, clock), clock=clock, prefix=config.log.prefix,
        schema_id=schema_ids(config, _registry(config, clock), needed=preflight),
        properties=properties_of(config.engine), preflight=preflight,
    )  # fmt: skip


def _registry(config: Config, clock: Clock) -> SchemaRegistry:
    from ashioto.log.kafka.configured import registry_settings
    from ashioto.schema.registry import SchemaRegistry

    return SchemaRegistry(config.schema_registry.url, clock=clock, **registry_settings(config.schema_registry))
