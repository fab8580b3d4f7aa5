"""Names of the roles that are elected; a role's name is also that of the fence its holders write under."""

from __future__ import annotations

from ashioto.control.topics import control_key


def heartbeat_role(env: tuple[str, ...], context: str) -> str:
    r"""Return the role that sends the heartbeats of a context.

    >>> heartbeat_role(("dev", "local"), "trading")
    'hb\x1fdev\x1flocal\x1ftrading'
    """
    return control_key("hb", *env, context).decode()


def engine_role(env: tuple[str, ...]) -> str:
    r"""Return the role that runs the registered queries.

    >>> engine_role(("dev", "local"))
    'engine\x1fdev\x1flocal'
    """
    return control_key("engine", *env).decode()


def partition_role(env: tuple[str, ...], topic: str, partition: int) -> str:
    r"""Return the fence of whoever runs the registered queries on one partition of a source.

    >>> partition_role(("dev", "local"), "trading.rate", 3)
    'engine\x1fdev\x1flocal\x1ftrading.rate\x1f3'
    """
    return control_key("engine", *env, topic, str(partition)).decode()


def infra_role(env: tuple[str, ...]) -> str:
    r"""Return the role that applies declarations: the lock of `infra apply`.

    >>> infra_role(("dev", "local"))
    'infra\x1fdev\x1flocal'
    """
    return control_key("infra", *env).decode()


def migrate_role(env: tuple[str, ...], context: str, query: str) -> str:
    r"""Return the role that brings history into the bars of a query: one at a time.

    >>> migrate_role(("dev", "local"), "trading", "rate_bars")
    'migrate\x1fdev\x1flocal\x1ftrading\x1frate_bars'
    """
    return control_key("migrate", *env, context, query).decode()
