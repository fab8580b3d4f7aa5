"""What is declared: the topics and queries that some contexts want, before anybody looks at what is there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ashioto import naming
from ashioto.deploy.bootstrap import wanted_topics
from ashioto.engines.embedded.plan import compile_query
from ashioto.engines.embedded.topics import query_topics
from ashioto.engines.sql.index import indexes
from ashioto.logical.canonical import canonical
from ashioto.logical.codec import checksum, encode_query

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ashioto.bars.placement import Placement
    from ashioto.dsl.context import Context
    from ashioto.engines.sql.index import Index
    from ashioto.log.base import TopicSpec
    from ashioto.logical.nodes import Query


@dataclass(frozen=True, slots=True, kw_only=True)
class DesiredTopic:
    """Declares a topic, and what its columns mean where that decides whether they may change.

    Args:
        spec: Its columns and settings.
        required: Columns of ticks or rows that have no default.
        behind_keys: Bars and heartbeats: the column right behind those that their record keys are made of.
        placement: What places bars; None for other records.
    """

    spec: TopicSpec
    required: tuple[str, ...] = ()
    behind_keys: str = ""
    placement: Placement | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DesiredQuery:
    """Declares a query.

    Args:
        plan: What it means.
        checksum: Of the plan.
        text: The plan as canonical JSON.
        topics: Names of the topics it reads and writes.
    """

    plan: Query
    checksum: str
    text: str
    topics: tuple[str, ...]

    @property
    def id(self) -> str:
        """Its name among queries of one environment, e.g. `trading.rate_bars`."""
        return f"{self.plan.context}.{self.plan.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Desired:
    """Holds what is declared.

    Args:
        contexts: Names of the contexts it was taken from; nothing else is looked at.
        topics: Each once, those of ashioto itself first.
        queries: In the order they were declared.
        indexes: Of their schedules; none where the engine needs none.
    """

    contexts: tuple[str, ...]
    topics: tuple[DesiredTopic, ...]
    queries: tuple[DesiredQuery, ...]
    indexes: tuple[Index, ...] = ()

    @property
    def topic_names(self) -> tuple[str, ...]:
        """Names of the topics, in order."""
        return tuple(topic.spec.name for topic in self.topics)


def desired_state(contexts: Sequence[Context], *, partitions: int = 1, in_sql: bool = False) -> Desired:
    """Return what these contexts want.

    Args:
        contexts: What is declared.
        partitions: How many partitions ticks, heartbeats and bars get.
        in_sql: Whether the engine is told what to do in SQL: schedules have an index, and bars another placement.

    Raises:
        DefinitionError: Two declarations want one topic in different ways.

    >>> desired_state([]).queries
    ()
    """
    required = {
        naming.topic(context.name, entity.__name__): tuple(
            column.name for column in entity.__entity__.columns if column.default is None
        )
        for context in contexts
        for entity in context.entities.values()
    }
    queries = [query.plan for context in contexts for query in context.queries.values()]
    indexed = indexes(queries) if in_sql else []
    placement: Placement = "record" if in_sql else "series"
    placements = {name: placement for plan in queries for name in _bars(plan)}
    behind = {name: column for plan in queries for name, column in _behind_keys(plan)}
    return Desired(
        contexts=tuple(context.name for context in contexts),
        topics=tuple(
            DesiredTopic(
                spec=s,
                required=required.get(s.name, ()),
                behind_keys=behind.get(s.name, ""),
                placement=placements.get(s.name),
            )
            for s in wanted_topics(contexts, partitions=partitions, in_sql=in_sql)
        ),
        queries=tuple(_query(plan, indexed) for plan in queries),
        indexes=tuple(indexed),
    )


def topics_of(plan: Query, *, partitions: int = 1, in_sql: bool = False) -> list[TopicSpec]:
    """Return the topics that a query reads and writes, its schedule apart."""
    return query_topics(compile_query(plan), partitions, "record" if in_sql else "series")


def _query(plan: Query, indexed: Sequence[Index]) -> DesiredQuery:
    schedules = [] if plan.schedule_topic is None else [plan.schedule_topic]
    schedules += [index.topic for index in indexed if index.schedule == plan.schedule_topic]
    return DesiredQuery(
        plan=plan,
        checksum=checksum(plan),
        text=encode_query(canonical(plan)),
        topics=(*(spec.name for spec in topics_of(plan)), *schedules),
    )


def _bars(plan: Query) -> list[str]:
    return [naming.bars_topic(plan.context, plan.entity.name, period) for period in plan.frames]


def _behind_keys(plan: Query) -> list[tuple[str, str]]:
    return [
        *((name, "bucket_start") for name in _bars(plan)),
        (naming.heartbeat_topic(plan.context, plan.entity.name), "base"),
    ]
