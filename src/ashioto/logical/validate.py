"""Checks that a query holds together, and returns it complete and in canonical form."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, get_args

from ashioto.errors import DefinitionError, PeriodError
from ashioto.logical.canonical import canonical
from ashioto.logical.empty import empty_rules
from ashioto.logical.entities import check_entity, check_name
from ashioto.logical.nodes import BOOL, DATE, TEXT, TIMESTAMP, Agg, AlignName, Col, Previous, Query, walk
from ashioto.logical.outputs import MARKER_COLUMNS, RESERVED, check_output_names, output_types
from ashioto.logical.types import type_of
from ashioto.naming import check_context

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ashioto.logical.nodes import Entity, Expr, TimeFrame
    from ashioto.period import Period


def check_query(query: Query) -> Query:
    """Return the query in canonical form, if it holds together.

    Raises:
        DefinitionError: Something in it does not fit; the message says what, the hint how to put it right.
        PeriodError: Its frames do not nest.

    >>> from ashioto.logical.nodes import Column, Entity, Output
    >>> from ashioto.period import Period
    >>> rate = Entity(name="Rate", kind="stream", columns=(Column(name="at", type=TIMESTAMP, role="timestamp"),))
    >>> query = Query(context="trading", name="rate_bars", entity=rate, where=(), time_frame=None,
    ...     frames=(Period.hours(1), Period.minutes(5)), align="clock", continuous=False, grace_ms=0, retention_ms=0,
    ...     group_by=(), outputs=(Output(name="ticks", expr=Agg(func="count", arg=None)),), when_empty=())
    >>> check_query(query).base
    Period('5m')
    """
    check_context(query.context)
    check_name(query.name, "query")
    check_entity(query.entity)
    if query.entity.kind != "stream":
        raise DefinitionError(f"{query.entity.name} is a table", hint="bars are made of the events of a Stream")
    check_frames(query.frames)
    for condition in query.where:
        check_condition(condition, query.entity)
    if query.time_frame is not None:
        check_time_frame(query.time_frame, query.entity)
    check_group_by(query.group_by, query.entity, query.time_frame)
    check_heartbeat_names(query)
    check_timing(query)
    types = output_types(query.outputs, query.entity)
    check_output_names(query.outputs, query.group_by)
    rules = empty_rules(query, types)
    return canonical(replace(query, when_empty=rules))


def check_frames(frames: Iterable[Period]) -> tuple[Period, ...]:
    """Return the frames ascending, if each is a whole number of the smallest.

    Raises:
        PeriodError: There is none, one is named twice, or one does not hold the smallest.

    >>> from ashioto.period import Period
    >>> check_frames([Period.hours(1), Period.minutes(5)])
    (Period('5m'), Period('1h'))
    """
    given = tuple(frames)
    if not given:
        raise PeriodError("there is no period", hint="name at least one, e.g. Period.minutes(1)")
    ordered = tuple(sorted(set(given)))
    if len(ordered) != len(given):
        twice = next(p for p in given if given.count(p) > 1)
        raise PeriodError(f"the period {twice} is named twice", hint="name each period once", period=twice.kind)
    base = ordered[0]
    for frame in ordered[1:]:
        if not frame.holds(base):
            raise PeriodError(
                f"{frame} is not a whole number of {base}, the smallest period",
                hint=_nesting_hint(frame, base),
                period=frame.kind,
                base=base.kind,
            )
    return ordered


def check_condition(condition: Expr, entity: Entity) -> None:
    """Check a condition of `where`: a truth about one tick.

    Raises:
        DefinitionError: It is no condition, or it looks beyond one tick.

    >>> from ashioto.logical.nodes import Entity, Lit
    >>> check_condition(Lit(type=BOOL, value=True), Entity(name="Rate", kind="stream", columns=()))
    """
    for part in walk(condition):
        if isinstance(part, Agg | Previous):
            what = f"{part.func}()" if isinstance(part, Agg) else "previous()"
            raise DefinitionError(f"{what} stands outside select", hint="where looks at one tick at a time")
    found = type_of(condition, entity)
    if found != BOOL:
        raise DefinitionError(f"where needs a condition, not {found}", hint="compare, e.g. Rate.size > 0")


def check_time_frame(frame: TimeFrame, entity: Entity) -> TimeFrame:
    """Return the time frame, if it ties ticks to exactly one list of sessions.

    Raises:
        DefinitionError: A column is missing or of the wrong type, or a key of the schedule is not joined.

    >>> from ashioto.logical.nodes import Entity
    >>> from ashioto.logical.schedules import always_open
    >>> check_time_frame(always_open(), Entity(name="Rate", kind="stream", columns=())).open_column
    'open'
    """
    schedule = frame.schedule
    check_entity(schedule)
    for name, wanted in ((frame.open_column, TIMESTAMP), (frame.close_column, TIMESTAMP), (frame.day_column, DATE)):
        found = type_of(Col(name=name), schedule)
        if found != wanted:
            raise DefinitionError(
                f"{schedule.name}.{name} is {found}, the schedule needs {wanted} here",
                hint="open and close are datetime columns, the day_key is a date column",
                column=name,
            )
    for ours, theirs in frame.join:
        left, right = type_of(Col(name=ours), entity), type_of(Col(name=theirs), schedule)
        if left != right:
            raise DefinitionError(
                f"{entity.name}.{ours} is {left}, {schedule.name}.{theirs} is {right}",
                hint="join columns must be of one type",
            )
    _check_keys(frame)
    return frame


def check_group_by(group_by: tuple[str, ...], entity: Entity, frame: TimeFrame | None) -> None:
    """Check that grouping columns exist, are text, and contain what the schedule is joined by.

    Raises:
        DefinitionError: One does not fit.

    >>> from ashioto.logical.nodes import Entity
    >>> check_group_by((), Entity(name="Rate", kind="stream", columns=()), None)
    """
    for name in group_by:
        found = type_of(Col(name=name), entity)
        if found != TEXT:
            raise DefinitionError(
                f"{entity.name}.{name} is {found}, bars are grouped by text",
                hint="declare keys as Field[str]",
                column=name,
            )
        if name in RESERVED:
            raise DefinitionError(
                f"{entity.name}.{name} has a name that every bar needs for itself",
                hint=f"rename it; taken are {', '.join(sorted(RESERVED))}",
                column=name,
            )
    if len(set(group_by)) != len(group_by):
        raise DefinitionError(f"group_by names a column twice: {', '.join(group_by)}", hint="name each column once")
    missing = [ours for ours, _ in frame.join if ours not in group_by] if frame else []
    if missing:
        raise DefinitionError(
            f"group_by lacks {', '.join(missing)}, by which ticks find their sessions",
            hint=f"group by {', '.join([*group_by, *missing])}",
        )


def check_heartbeat_names(query: Query) -> None:
    """Check that no grouping column is called like a column that heartbeats have; only continuous bars have heartbeats.

    Raises:
        DefinitionError: One is.

    >>> from ashioto.logical.nodes import Entity
    >>> check_heartbeat_names(Query(context="trading", name="q", entity=Entity(name="Rate", kind="stream", columns=()),
    ...     where=(), time_frame=None, frames=(), align="clock", continuous=True, grace_ms=0, retention_ms=0,
    ...     group_by=("kind",), outputs=(), when_empty=()))  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ...
    ashioto.errors.DefinitionError: Rate.kind groups continuous bars, but heartbeats have a column kind of their own
    ...
    """
    for name in query.group_by if query.continuous else ():
        if name in MARKER_COLUMNS:
            raise DefinitionError(
                f"{query.entity.name}.{name} groups continuous bars, but heartbeats have a column {name} of their own",
                hint=f"rename it in {query.entity.name}, or group by other columns; taken are "
                f"{', '.join(sorted(MARKER_COLUMNS))}",
                column=name,
            )


def check_timing(query: Query) -> None:
    """Check alignment, grace, retention and what continuous bars need.

    Raises:
        DefinitionError: They contradict each other.

    >>> from ashioto.logical.nodes import Entity
    >>> check_timing(Query(context="trading", name="q", entity=Entity(name="Rate", kind="stream", columns=()),
    ...     where=(), time_frame=None, frames=(), align="clock", continuous=False, grace_ms=0, retention_ms=0,
    ...     group_by=(), outputs=(), when_empty=()))
    """
    if query.align not in get_args(AlignName):
        raise DefinitionError(f"no such alignment: {query.align!r}", hint="'clock' or 'session'")
    if query.time_frame is None and query.continuous:
        raise DefinitionError(
            "ensure_continuous needs a time_frame: without sessions nothing says which bars must exist",
            hint="for a market that never closes add .time_frame(ao.AlwaysOpen) before .tumbling(...)",
        )
    if query.time_frame is None and query.align == "session":
        raise DefinitionError("align='session' needs a time_frame", hint="add .time_frame(...) or use align='clock'")
    for name, value in (("grace", query.grace_ms), ("retention", query.retention_ms)):
        if value < 0:
            raise DefinitionError(f"{name} is negative: {value} ms", hint=f"e.g. {name}=timedelta(seconds=5)")


def _nesting_hint(frame: Period, base: Period) -> str:
    if base.is_intraday and frame.is_intraday:
        step = base.millis // 1000
        below = frame.millis // 1000 // step
        near = [type(frame).seconds(n * step) for n in (below, below + 1) if n > 1]
        return f"{' or '.join(map(str, near))} would fit {base}; or add a smaller period that divides both"
    return f"make the smallest period 1d or an intraday one; {base} buckets do not fill {frame} buckets"


def _check_keys(frame: TimeFrame) -> None:
    schedule = frame.schedule
    if frame.open_column not in schedule.keys:
        raise DefinitionError(
            f"{schedule.name}.{frame.open_column} is no key, so a key could hold one session only",
            hint=f"declare {frame.open_column}: Field[datetime] = ao.key()",
            column=frame.open_column,
        )
    joined = {theirs for _, theirs in frame.join}
    for name in schedule.keys:
        if name != frame.open_column and name not in joined:
            raise DefinitionError(
                f"{schedule.name}.{name} is a key of the schedule but the condition does not join it",
                hint=f"add & (... == {schedule.name}.{name})",
                column=name,
            )
