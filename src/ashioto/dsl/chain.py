"""The chain from events to bars. Each step is a class of its own, so that type checkers see the order too."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn, overload

from ashioto.dsl.columns import Column
from ashioto.dsl.entity import AlwaysOpen, Table, is_class_of
from ashioto.dsl.literals import literal
from ashioto.dsl.sessions import read_condition
from ashioto.errors import ChainError, DefinitionError, UsageError
from ashioto.logical.empty import empty_rules
from ashioto.logical.nodes import Col, EmptyRule, Lit, Output, Previous, Query
from ashioto.logical.outputs import check_output_names, output_types
from ashioto.logical.schedules import always_open
from ashioto.logical.validate import (
    check_condition,
    check_frames,
    check_group_by,
    check_time_frame,
    check_timing,
)
from ashioto.naming import snake

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import date, datetime
    from decimal import Decimal

    from ashioto.dsl.context import Context
    from ashioto.dsl.entity import Record
    from ashioto.dsl.query import BarQuery
    from ashioto.logical.nodes import AlignName, DataType, Entity
    from ashioto.period import Period

STEPS = ("events", "where", "time_frame", "tumbling", "group_by", "select", "when_empty", "to_query")
"""Every step of the chain, in order."""

DEFAULT_RETENTION = timedelta(days=7)


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """Holds what the chain has said so far."""

    context: Context
    query: Query
    used: tuple[type[Record], ...]


class Step:
    """Refuses steps that are not legal here, and names those that are.

    >>> Step.legal
    ()
    """

    legal: ClassVar[tuple[str, ...]] = ()
    after: ClassVar[str] = ""

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> NoReturn:
            if name in STEPS:
                raise ChainError(
                    f"{name} cannot follow {self.after}",
                    hint=f"legal here: {', '.join(self.legal) or 'nothing, the query is complete'}",
                    step=name,
                )
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")


class _Chain(Step):
    __slots__ = ("_draft",)

    def __init__(self, draft: Draft) -> None:
        self._draft = draft

    def __repr__(self) -> str:
        entity = self._draft.query.entity.name
        return f"<{self._draft.context.name}: {entity} after {self.after}, next {', '.join(self.legal)}>"

    def _with(self, **changes: Any) -> Draft:
        return replace(self._draft, query=replace(self._draft.query, **changes))


class Windowing(_Chain):
    """Knows `tumbling`; the common part of the steps before it."""

    __slots__ = ()

    def tumbling(
        self,
        at: Column[datetime],
        *periods: Period,
        ensure_continuous: bool = False,
        grace: timedelta = timedelta(0),
        align: AlignName = "clock",
        retention: timedelta = DEFAULT_RETENTION,
        frames: Iterable[Period] = (),
    ) -> Windowed:
        """Cut events into buckets of every given period.

        Args:
            at: The event time.
            periods: Lengths of the bars; the smallest divides all others.
            ensure_continuous: Whether buckets without ticks get bars, and bars become final.
            grace: How long after its end a bucket waits for late ticks before it is final.
            align: Count intraday buckets from the epoch (`clock`) or from the session's open (`session`).
            retention: How long after that late ticks still revise a bar.
            frames: More periods, e.g. a named set.

        Raises:
            PeriodError: The periods do not nest.
            DefinitionError: `at` is not the event time, or continuous bars have no sessions.
        """
        query = self._draft.query
        if _column_name(at, query.entity, "tumbling") != query.entity.timestamp:
            raise DefinitionError(
                f"tumbling needs the event time, not {at!r}", hint=f"use {query.entity.name}.{query.entity.timestamp}"
            )
        draft = self._with(
            frames=check_frames((*periods, *frames)),
            continuous=ensure_continuous,
            grace_ms=_millis(grace),
            retention_ms=_millis(retention),
            align=align,
        )
        check_timing(draft.query)
        return Windowed(draft)


class Events(Windowing):
    """Stands after `events` or `where`."""

    __slots__ = ()
    legal: ClassVar[tuple[str, ...]] = ("where", "time_frame", "tumbling")
    after: ClassVar[str] = "events"

    def where(self, condition: Column[bool]) -> Filtered:
        """Count only ticks that meet a condition; several hold together.

        Raises:
            DefinitionError: It is no condition over this entity's columns.
        """
        query = self._draft.query
        node = _own(condition, query.entity, "where").node
        check_condition(node, query.entity)
        return Filtered(self._with(where=(*query.where, node)))

    @overload
    def time_frame(self, schedule: type[AlwaysOpen]) -> Framed: ...
    @overload
    def time_frame(self, schedule: type[Table], condition: Column[bool], *, day_key: Column[date]) -> Framed: ...
    def time_frame(
        self,
        schedule: type[Table],
        condition: Column[bool] | None = None,
        *,
        day_key: Column[date] | None = None,
    ) -> Framed:
        """Join ticks to the sessions of a schedule; ticks outside them do not count.

        Args:
            schedule: The table of sessions, or `ao.AlwaysOpen` alone.
            condition: Equal columns, `schedule.open <= at` and `at < schedule.close`, joined by `&`.
            day_key: The schedule's market date.

        Raises:
            DefinitionError: The condition says something else.
        """
        entity = self._draft.query.entity
        if schedule is AlwaysOpen and condition is None and day_key is None:
            return Framed(self._with(time_frame=always_open()))
        if not is_class_of(schedule, Table):
            raise UsageError(
                f"time_frame takes a Table class, not {schedule!r}", hint="declare the schedule as a Table"
            )
        if condition is None or day_key is None:
            raise UsageError(
                f"time_frame({schedule.__name__}) needs a condition and a day_key",
                hint="only ao.AlwaysOpen stands alone",
            )
        found = read_condition(condition, ticks=entity, schedule=schedule.__entity__, day=day_key)
        draft = self._with(time_frame=check_time_frame(found, entity))
        return Framed(replace(draft, used=(*draft.used, schedule)))


class Filtered(Events):
    """Stands after `where`."""

    __slots__ = ()
    after: ClassVar[str] = "where"


class Framed(Windowing):
    """Stands after `time_frame`."""

    __slots__ = ()
    legal: ClassVar[tuple[str, ...]] = ("tumbling",)
    after: ClassVar[str] = "time_frame"


class Grouped(_Chain):
    """Stands after `group_by`."""

    __slots__ = ()
    legal: ClassVar[tuple[str, ...]] = ("select",)
    after: ClassVar[str] = "group_by"

    def select(self, /, **outputs: Column[Any]) -> Selected:
        """Say what each bar holds: aggregates and arithmetic over them, by name.

        Raises:
            DefinitionError: A column does not hold together.
        """
        query = self._draft.query
        check_group_by(query.group_by, query.entity, query.time_frame)
        for name, column in outputs.items():
            if not isinstance(column, Column):
                raise UsageError(f"{name} is {column!r}, no aggregate", hint=f"e.g. {name}=ao.last(Rate.price)")
            _own(column, query.entity, name)
        chosen = tuple(Output(name=name, expr=column.node) for name, column in outputs.items())
        output_types(chosen, query.entity)
        check_output_names(chosen, query.group_by)
        return Selected(self._with(outputs=chosen))


class Windowed(Grouped):
    """Stands after `tumbling`."""

    __slots__ = ()
    legal: ClassVar[tuple[str, ...]] = ("group_by", "select")
    after: ClassVar[str] = "tumbling"

    def group_by(self, *columns: Column[str]) -> Grouped:
        """Make one series of bars for each combination of these columns; without it, for each key.

        Raises:
            DefinitionError: A join column of the schedule is missing, or a column is no text.
        """
        query = self._draft.query
        names = tuple(_column_name(c, query.entity, "group_by") for c in columns)
        check_group_by(names, query.entity, query.time_frame)
        return Grouped(self._with(group_by=names))


class Filled(_Chain):
    """Stands after `when_empty`."""

    __slots__ = ()
    legal: ClassVar[tuple[str, ...]] = ("to_query",)
    after: ClassVar[str] = "when_empty"

    def to_query(self, name: str | None = None) -> BarQuery:
        """Complete the query and register it with its context.

        Args:
            name: Its name inside the context; from the entity when not given, e.g. `rate_bars`.

        Raises:
            DefinitionError: The query does not hold together, or its bars collide with another's.
        """
        query = self._draft.query
        named = replace(query, name=name or f"{snake(query.entity.name)}_bars")
        return self._draft.context.register(named, self._draft.used)


class Selected(Filled):
    """Stands after `select`."""

    __slots__ = ()
    legal: ClassVar[tuple[str, ...]] = ("when_empty", "to_query")
    after: ClassVar[str] = "select"

    def when_empty(self, /, **rules: Column[Any] | Decimal | float | None) -> Filled:
        """Say what selected columns hold in a bar without ticks: a constant, `ao.previous(...)`, or None.

        Raises:
            DefinitionError: A rule names no selected column or does not fit it.
        """
        query = self._draft.query
        types = output_types(query.outputs, query.entity)
        made = tuple(EmptyRule(name=n, expr=_rule(n, value, types)) for n, value in rules.items())
        empty_rules(replace(query, when_empty=made), types)
        return Filled(self._with(when_empty=made))


def _rule(name: str, value: object, types: dict[str, DataType]) -> Lit | Previous:
    if isinstance(value, Column):
        if not isinstance(value.node, Previous):
            raise DefinitionError(
                f"when_empty of {name} is {value!r}", hint='a constant, None, or ao.previous("close")', column=name
            )
        return value.node
    kind = types.get(name)
    if value is None and kind is not None:
        return Lit(type=kind, value=None)
    return literal(value, kind)


def _own(column: Column[Any], entity: Entity, step: str) -> Column[Any]:
    if not isinstance(column, Column):
        raise UsageError(f"{step} takes columns of {entity.name}, not {column!r}", hint="e.g. Rate.size > 0")
    strangers = [e.name for e in column.entities if e != entity]
    if strangers:
        raise DefinitionError(
            f"{step} uses a column of {', '.join(strangers)}", hint=f"only columns of {entity.name} are known here"
        )
    return column


def _column_name(column: Column[Any], entity: Entity, step: str) -> str:
    node = _own(column, entity, step).node
    if not isinstance(node, Col):
        raise DefinitionError(f"{step} takes a plain column, not {column!r}", hint=f"a column of {entity.name}")
    return node.name


def _millis(duration: timedelta) -> int:
    if not isinstance(duration, timedelta):
        raise UsageError(f"{duration!r} is no duration", hint="e.g. timedelta(seconds=5)")
    return duration // timedelta(milliseconds=1)
