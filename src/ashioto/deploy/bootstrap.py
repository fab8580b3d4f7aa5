"""Creates the topics of some contexts: what `rc dev` and tests need before anything runs."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

from ashioto import naming
from ashioto.engines.embedded.plan import compile_query
from ashioto.engines.embedded.topics import query_topics, system_topics
from ashioto.engines.sql.index import indexes
from ashioto.errors import DefinitionError
from ashioto.log.base import TopicSpec
from ashioto.schema.arrow import storage_schema

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ashioto.bars.placement import Placement
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
        DefinitionError: Two declarations want one topic in different ways.
        LogError: A topic exists with other settings.
    """
    return log.create(wanted_topics(contexts, partitions=partitions))


def wanted_topics(contexts: Sequence[Context], *, partitions: int = 1, in_sql: bool = False) -> list[TopicSpec]:
    """Return the topics that these contexts need, each once.

    Args:
        contexts: What is declared.
        partitions: How many partitions ticks, heartbeats and bars get.
        in_sql: Whether the engine is told what to do in SQL: schedules have an index, and bars another placement.

    Raises:
        DefinitionError: Two declarations want one topic in different ways.
    """
    found: dict[str, TopicSpec] = {}
    plans = [query.plan for context in contexts for query in context.queries.values()] if in_sql else []
    placement: Placement = "record" if in_sql else "series"
    indexed = [one.spec(partitions) for one in indexes(plans)]
    for spec in chain(system_topics(), *(_topics(context, partitions, placement) for context in contexts), indexed):
        if found.setdefault(spec.name, spec) != spec:
            raise DefinitionError(
                f"two declarations want the topic {spec.name}, with different columns or settings",
                hint="rename the stream or table that makes a name of this kind, or give it a context of its own",
                topic=spec.name,
            )
    return list(found.values())


def _topics(context: Context, partitions: int, placement: Placement) -> Iterator[TopicSpec]:
    for entity in context.entities.values():
        declared = entity.__entity__
        is_table = declared.kind == "table"
        yield TopicSpec(
            name=naming.topic(context.name, declared.name),
            partitions=1 if is_table else partitions,
            cleanup="compact" if is_table else "delete",
            schema=storage_schema(declared),
        )
    for query in context.queries.values():
        yield from query_topics(compile_query(query.plan), partitions, placement)
