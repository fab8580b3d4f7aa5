"""Finds the schemas under which the values of topics are registered, for engines that write by them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ashioto.errors import RegistryError
from ashioto.schema.avro import subject

if TYPE_CHECKING:
    from collections.abc import Callable

    from ashioto.config import Config
    from ashioto.schema.registry import Registered, SchemaRegistry


def registered(config: Config, registry: SchemaRegistry, *, needed: bool) -> Callable[[str], Registered | None]:
    """Return what finds the schema with which values of a topic are written.

    Args:
        config: The project's settings.
        registry: Keeps the schemas.
        needed: Whether a registry that does not answer is an error; else no topic has a schema then.

    >>> import httpx
    >>> from pathlib import Path
    >>> from ashioto.config import Config
    >>> from ashioto.schema.registry import SchemaRegistry
    >>> nothing = httpx.MockTransport(lambda _: httpx.Response(404, json={"error_code": 40401, "message": "none"}))
    >>> with SchemaRegistry("http://registry:8081", transport=nothing) as registry:
    ...     registered(Config(file=Path("ashioto.toml")), registry, needed=True)("trading.rate_bars_5m") is None
    True
    """

    def find(topic: str) -> Registered | None:
        try:
            return registry.latest(subject(f"{config.log.prefix}{topic}"))
        except RegistryError:
            if needed:
                raise
            return None

    return find
