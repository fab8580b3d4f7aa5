"""A context: the namespace of entities, queries and topics."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from ashioto.dsl.chain import DEFAULT_RETENTION, Draft, Events, Step
from ashioto.dsl.entity import AlwaysOpen, Record, Stream, is_class_of
from ashioto.dsl.query import BarQuery
from ashioto.errors import DefinitionError, UsageError
from ashioto.logical.nodes import Query
from ashioto.logical.validate import check_query
from ashioto.naming import bar_name, check_context, snake, topic

if TYPE_CHECKING:
    from collections.abc import Mapping


class Context(Step):
    """Collects what is declared under one name.

    Args:
        name: A lower-case identifier; every topic and key carries it.

    Raises:
        DefinitionError: The name is none.

    >>> Context("trading").name
    'trading'
    """

    legal = ("events",)
    after = "a context"

    def __init__(self, name: str) -> None:
        self._name = check_context(name)
        self._queries: dict[str, BarQuery] = {}
        self._entities: dict[str, type[Record]] = {}

    def __repr__(self) -> str:
        return f"Context({self._name!r})"

    @property
    def name(self) -> str:
        """Its name."""
        return self._name

    @property
    def queries(self) -> Mapping[str, BarQuery]:
        """Every query by name, in the order they were made."""
        return MappingProxyType(self._queries)

    @property
    def entities(self) -> Mapping[str, type[Record]]:
        """Every declared stream and table by class name, in the order they were first used."""
        return MappingProxyType(self._entities)

    def events(self, entity: type[Stream]) -> Events:
        """Begin a query over the events of a stream.

        Raises:
            UsageError: It is no subclass of `Stream`.
        """
        if not is_class_of(entity, Stream):
            raise UsageError(f"events takes a Stream class, not {entity!r}", hint="declare `class Rate(ao.Stream)`")
        declared = entity.__entity__
        query = Query(
            context=self.name,
            name="",
            entity=declared,
            where=(),
            time_frame=None,
            frames=(),
            align="clock",
            continuous=False,
            grace_ms=0,
            retention_ms=int(DEFAULT_RETENTION.total_seconds() * 1000),
            group_by=declared.keys,
            outputs=(),
            when_empty=(),
        )
        return Events(Draft(context=self, query=query, used=(entity,)))

    def declare(self, *entities: type[Record]) -> None:
        """Add streams and tables that no query uses, so that their topics are created too.

        Raises:
            DefinitionError: Another entity of the context has the same topic but other columns.
        """
        for entity in entities:
            declared = entity.__entity__
            for known in self._entities.values():
                if snake(known.__name__) == snake(declared.name) and known.__entity__ != declared:
                    raise DefinitionError(
                        f"two different entities want the topic {topic(self.name, declared.name)}",
                        hint="rename one, or put it into a context of its own",
                        entity=declared.name,
                    )
        for entity in entities:
            if entity is not AlwaysOpen:
                self._entities[entity.__name__] = entity

    def register(self, query: Query, used: tuple[type[Record], ...]) -> BarQuery:
        """Check a query and add it; the same query again is the one already there.

        Raises:
            DefinitionError: It does not hold together, or its name or a bar topic is taken.
        """
        plan = check_query(query)
        known = self._queries.get(plan.name)
        if known is not None and known.plan == plan:
            return known
        self._check_collisions(plan)
        self.declare(*used)
        made = BarQuery(self, plan)
        self._queries[plan.name] = made
        return made

    def _check_collisions(self, plan: Query) -> None:
        for other in self._queries.values():
            shared = [p for p in plan.frames if p in other.plan.frames]
            if snake(other.plan.entity.name) == snake(plan.entity.name) and shared:
                bars = bar_name(plan.entity.name, shared[0])
                raise DefinitionError(
                    f"{self.name}.{other.name} already makes {bars}, so {plan.name} cannot",
                    hint="one query makes each bar: merge the two, use other periods, or another context",
                    query=plan.name,
                )
        if plan.name in self._queries:
            raise DefinitionError(
                f"{self.name} already has another query {plan.name}",
                hint='name it: .to_query(name="...")',
                query=plan.name,
            )
