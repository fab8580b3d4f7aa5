"""Creates the topics of some contexts: what `rc dev` and tests need before anything runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ashioto import naming
from ashioto.engines.embedded.plan import compile_query
from ashioto.engines.embedded.topics import query_topics, system_topics
from ashioto.log.base import TopicSpec
from ashioto.schema.arrow import storage_schema

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ashioto.dsl.context import Context
    from ashioto.log.base import Log


def ensure_topics(log: Log, contexts: Sequence[Context], *, partitions: int = 1) -> list[str]:
    """Create every topic of these contexts that is not there yet.

    Args:
        log: Where.
        contexts: What is declared.
        partitions: How many partitions ticks, heartbeats and bars get.

    Returns:
        The names of the topics that were created, in order.

    Raises:
        LogError: A topic exists with other settings.
    """
    return log.create(wanted_topics(contexts, partitions=partitions))


def wanted_topics(contexts: Sequence[Context], *, partitions: int = 1) -> list[TopicSpec]:
    """Return the topics that these contexts need, each once."""
    specs = {spec.name: spec for spec in system_topics()}
    for context in contexts:
        for entity in context.entities.values():
            declared = entity.__entity__
            name = naming.topic(context.name, declared.name)
            cleanup = "compact" if declared.kind == "table" else "delete"
            specs[name] = TopicSpec(
                name=name,
                partitions=partitions if declared.kind == "stream" else 1,
                cleanup=cleanup,
                schema=storage_schema(declared),
                retention_ms=None,
            )
        for query in context.queries.values():
            for spec in query_topics(compile_query(query.plan), partitions):
                specs[spec.name] = spec
    return list(specs.values())
