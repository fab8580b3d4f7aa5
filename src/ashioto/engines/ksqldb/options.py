"""What the ksqlDB engine must be told, from the settings of a project."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ashioto.engines.ksqldb.client import PROPERTIES, SERVER, KsqldbClient, explained
from ashioto.engines.rest import Rest, access_of
from ashioto.engines.sql.registered import registered

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx

    from ashioto.clock import Clock
    from ashioto.config import Config, EngineConfig
    from ashioto.schema.registry import SchemaRegistry

_ANSWER_S: Final = 300.0
"""Statements of one request are done one after another, each in some seconds."""


def open_client(engine: EngineConfig, clock: Clock, *, transport: httpx.BaseTransport | None = None) -> KsqldbClient:
    """Return a client of the server; it is not asked for anything yet.

    Args:
        engine: Settings of the engine.
        clock: Waits.
        transport: Carries requests instead of the network.

    Raises:
        ConfigError: A file of a secret cannot be read.
        EngineError: A certificate cannot be used.
    """
    rest = Rest(
        engine.url, name=SERVER, access=access_of(engine), clock=clock, explain=explained, timeout_s=_ANSWER_S,
        transport=transport,
    )  # fmt: skip
    return KsqldbClient(rest, clock=clock)


def properties_of(engine: EngineConfig) -> dict[str, str]:
    """Return what is sent with queries: how they read and commit, and what the settings add.

    Args:
        engine: Settings of the engine.

    >>> from ashioto.config import EngineConfig
    >>> properties_of(EngineConfig(kind="ksqldb", settings={"ksql.streams.num.stream.threads": 2}))[
    ...     "ksql.streams.num.stream.threads"]
    '2'
    """
    return {**PROPERTIES, **engine.properties}


def schema_ids(config: Config, registry: SchemaRegistry, *, needed: bool) -> Callable[[str], int | None]:
    """Return what tells the number of the schema with which values of a topic are written.

    Args:
        config: The project's settings.
        registry: Keeps the schemas.
        needed: Whether a registry that does not answer is an error; else no topic has a schema then.
    """
    find = registered(config, registry, needed=needed)
    return lambda topic: None if (found := find(topic)) is None else found.id
