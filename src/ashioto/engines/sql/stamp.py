"""Stamp: the rows that folds read. Ticks that count, markers, and what bars hand on, all with the same columns."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ashioto.engines.sql import layout as cols
from ashioto.engines.sql.ast import Case, Cast, Const, IsNull, Sql, both, call, column, infix
from ashioto.engines.sql.expressions import Translator
from ashioto.engines.sql.folded import FoldedReader
from ashioto.engines.sql.labels import Moment, floored, label
from ashioto.engines.sql.numbers import Term, stored
from ashioto.engines.sql.packs import place, rank_of, text_in
from ashioto.engines.sql.types import BIGINT, INT, TEXT
from ashioto.logical.nodes import DATE, FLOAT64, TIMESTAMP, Col, walk
from ashioto.period import DAY_MS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ashioto.engines.sql.layout import Grain, Layout, Value
    from ashioto.engines.sql.types import SqlType
    from ashioto.logical.nodes import Column, Expr

    Session = Callable[[str], Sql]

_HUGE: Final = sys.float_info.max
_DAY: Final = Const(DAY_MS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stamp:
    """Says which rows go into the stamped stream.

    Args:
        values: Their columns, those of `Layout.stamped`.
        where: Which rows of the source count.
        key: Text of the key: `1␟key…`.
    """

    values: tuple[Value, ...]
    where: Sql
    key: Sql


@dataclass(frozen=True, slots=True, kw_only=True)
class TickSource:
    """Says how the ticks are read.

    Args:
        alias: Of the ticks.
        offset: Offset of the record.
        session: Gives a field of the session that holds the tick; None where the market is always open.
        held: The condition that a session holds the tick.
        key: Text of the key, if the record has it already.
    """

    alias: str
    offset: Sql
    session: Session | None
    held: Sql | None
    key: Sql | None


def key_of(parts: list[Sql]) -> Sql:
    """Return the text of a key with these parts, escaped as `ashioto.keys` does."""
    return call("concat_ws", call("char", Const(31)), Const("1"), *parts)


def escaped(part: Sql) -> Sql:
    """Return a text part of a key with backslash and separator escaped."""
    doubled = call("replace", part, Const("\\"), Const("\\\\"))
    return call("replace", doubled, call("char", Const(31)), Const("\\u001f"))


def session_key(layout: Layout, alias: str) -> Sql:
    """Return the key of the row of the index that holds the sessions of a tick's day."""
    at = tick_column(layout, alias, layout.query.entity.timestamp or "").sql
    day = call("lpad", Cast(floored(at, DAY_MS), TEXT), Const(13), Const("0"))
    return key_of([*(escaped(column(alias, name)) for name in layout.join or ()), day])


def tick_column(layout: Layout, alias: str, name: str) -> Term:
    """Return a column of the ticks, its default in place of null; times as ms, dates as days."""
    declared = layout.query.entity.find(name)
    if declared is None:
        raise KeyError(name)
    value: Sql = column(alias, name)
    if declared.default is not None:
        value = call("coalesce", value, _default(layout, declared))
    if declared.type == TIMESTAMP:
        value = call("ms_of_time", value)
    if declared.type == DATE:
        value = call("days_of_date", value)
    return Term(value, declared.type)


def stamped_ticks(layout: Layout, source: TickSource) -> Stamp:
    """Return the rows of ticks that count: in a session, with every value there, and meeting `where`."""
    at = tick_column(layout, source.alias, layout.query.entity.timestamp or "").sql
    moment = tick_moment(at, source.session)
    plain = counted_ticks(layout, source)
    values = {value.name: value.sql for value in plain.values}
    values |= {cols.DAY: moment.date, cols.KIND: Const(cols.TICK)}
    values |= {grain.label: grain_label(layout, grain, moment) for grain in layout.grains}
    return Stamp(values=laid_out(layout, values), where=plain.where, key=plain.key)


def counted_ticks(layout: Layout, source: TickSource) -> Stamp:
    """Return the ticks that count, with what is aggregated; those of any time where the source names no session."""
    query = layout.query
    at = tick_column(layout, source.alias, query.entity.timestamp or "").sql
    translate = _translator(layout, source.alias)
    inputs = [translate.value(expr) for expr in layout.compiled.inputs]
    sequence = source.offset if query.entity.sequence is None else column(source.alias, query.entity.sequence)
    values = [cols.Value(name=name, type=TEXT, sql=column(source.alias, own)) for name, own in layout.groups()]
    values += [
        cols.Value(name=cols.AT, type=BIGINT, sql=at),
        cols.Value(name=cols.PLACE, type=TEXT, sql=place(at, rank_of(sequence, signed=layout.signed))),
        cols.Value(name=cols.CUT, type=BIGINT, sql=source.offset),
    ]
    pairs = zip(layout.inputs(), inputs, strict=True)
    values += [cols.Value(name=name, type=kind, sql=term.sql) for (name, kind), term in pairs]
    held = [] if source.held is None else [source.held]
    where = both(*_there(layout, source.alias, at), *held, *_counted(layout, translate, source.alias, inputs))
    key = key_of([escaped(column(source.alias, name)) for name in query.group_by]) if source.key is None else source.key
    return Stamp(values=tuple(values), where=where, key=key)


def stamped_markers(layout: Layout, alias: str, key: Sql) -> Stamp:
    """Return the rows of markers of the query's base period.

    Args:
        layout: The query.
        alias: Of the heartbeats.
        key: Text of their key, which is that of the bars.
    """
    is_live = infix("=", column(alias, cols.KIND), Const(cols.LIVE))
    is_final = infix("=", column(alias, cols.KIND), Const(cols.FINAL))
    here, after = _marker_moment(layout, alias, ""), _marker_moment(layout, alias, "next_")
    values: dict[str, Sql] = {name: column(alias, own) for name, own in layout.groups()}
    values |= {cols.AT: here.at, cols.DAY: here.date, cols.KIND: column(alias, cols.KIND)}
    values |= {cols.NEXT_AT: Case(((is_live, after.at),)), cols.NEXT_DAY: Case(((is_live, after.date),))}
    for grain in layout.grains:
        values[grain.label] = _segment_label(layout, grain, here)
        ends = both(is_final, call("contains", column(alias, "closes"), Const(grain.name)))
        closes = [(ends, Cast(Const(1), BIGINT))] if grain.period is not None else []
        values[grain.mark] = Case(((is_live, _segment_label(layout, grain, after)), *closes))
    base = infix("=", column(alias, "base"), Const(layout.query.base.kind))
    return Stamp(values=laid_out(layout, values), where=both(base, infix("OR", is_live, is_final)), key=key)


def stamped_own(layout: Layout, alias: str) -> Stamp:
    """Return what bars with ticks hand on to the segment that follows: their own values, before any handed to them.

    Args:
        layout: The query.
        alias: Of the rows of the fold `own`.
    """
    reader = FoldedReader(layout=layout, alias=alias)
    version = infix("+", Const(cols.OWN), column(alias, cols.VERSION))
    carried = [reader.said(name) for name in layout.carried] or [Const("")]
    return _handed_on(layout, alias, reader.real, version, carried)


def stamped_empty(layout: Layout, alias: str) -> Stamp:
    """Return what bars without ticks hand on to the segment that follows: what was handed to them.

    Args:
        layout: The query.
        alias: Of the rows of the fold `empty`.
    """
    reader = FoldedReader(layout=layout, alias=alias)
    empty = both(infix("=", reader.ticks, Const(0)), IsNull(reader.handed(0), negated=True))
    carried = [text_in(reader.handed(n)) for n in range(len(layout.carries))]
    return _handed_on(layout, alias, empty, column(alias, cols.VERSION), carried)


def _handed_on(layout: Layout, alias: str, where: Sql, version: Sql, carried: list[Sql]) -> Stamp:
    values: dict[str, Sql] = {name: column(alias, name) for name, _ in layout.groups()}
    values |= {cols.AT: column(alias, cols.NEXT_AT), cols.DAY: column(alias, cols.NEXT_DAY)}
    values |= {cols.KIND: Const(cols.CARRY), cols.VERSION: version}
    values |= dict(zip(layout.carries, carried, strict=True))
    for grain in layout.grains:
        values[grain.label] = column(alias, grain.next_label)
        values[grain.mark] = column(alias, grain.own_label)
    known = IsNull(column(alias, cols.NEXT_AT), negated=True)
    return Stamp(values=laid_out(layout, values), where=both(known, where), key=column(alias, cols.KEY_TEXT))


def laid_out(layout: Layout, values: Mapping[str, Sql]) -> tuple[Value, ...]:
    """Return values as the columns of stamped rows; those that are not named are null."""
    return tuple(
        cols.Value(name=name, type=kind, sql=_typed(values.get(name), kind)) for name, kind in layout.stamped()
    )


def _typed(value: Sql | None, kind: SqlType) -> Sql:
    return value if value is not None and kind == TEXT else Cast(Const(None) if value is None else value, kind)


def _default(layout: Layout, declared: Column) -> Sql:
    """Return the default of a column, as the type the column is read in."""
    if declared.default is None:
        raise KeyError(declared.name)
    value = stored(declared.default)
    if layout.dialect.times_as_numbers:
        return Cast(value, INT if declared.type == DATE else BIGINT) if declared.type in {DATE, TIMESTAMP} else value
    if declared.type == TIMESTAMP:
        return call("time_of_ms", value)
    return call("date_of_days", value) if declared.type == DATE else value


def _translator(layout: Layout, alias: str) -> Translator:
    def leaf(expr: Expr) -> Term:
        if not isinstance(expr, Col):
            raise TypeError(f"{expr} is no tick expression")
        return tick_column(layout, alias, expr.name)

    return Translator(dialect=layout.dialect, leaf=leaf, where=layout.query.name)


def _there(layout: Layout, alias: str, at: Sql) -> list[Sql]:
    """Return the conditions that every column of a tick has a value, and that its time can stand in a key."""
    needed = [c.name for c in layout.query.entity.columns if c.default is None]
    return [*(IsNull(column(alias, name), negated=True) for name in needed), infix(">=", at, Const(0))]


def _counted(layout: Layout, translate: Translator, alias: str, inputs: list[Term]) -> list[Sql]:
    """Return the conditions of `where`, and that what is aggregated is there and finite."""
    found = [translate.holds(condition) for condition in layout.query.where]
    read = {e.name for condition in layout.query.where for e in walk(condition) if isinstance(e, Col)}
    terms = [tick_column(layout, alias, name) for name in sorted(read)]
    for term in [*inputs, *terms]:
        if term.type == FLOAT64:
            found += [infix("<=", term.sql, Const(_HUGE)), infix(">=", term.sql, Const(-_HUGE))]
        elif term.nullable or term.fails:
            found.append(IsNull(term.sql, negated=True))
    return found


def tick_moment(at: Sql, session: Session | None) -> Moment:
    """Return what is known about the moment of a tick.

    Args:
        at: When, ms.
        session: Gives a field of the session that holds it; None where the market is always open.
    """
    if session is None:
        return Moment(at=at, date=infix("/", at, _DAY), day=floored(at, DAY_MS))
    return Moment(
        at=at,
        date=infix("/", session("day"), _DAY),
        day=session("day"),
        opened=session("open_ms"),
        week=session("week"),
        month=session("month"),
    )


def _marker_moment(layout: Layout, alias: str, which: str) -> Moment:
    opened = cols.OPENED if not which else cols.NEXT_OPENED
    date = call("days_of_date", column(alias, f"{which}market_date"))
    return Moment(
        at=call("ms_of_time", column(alias, f"{which}at")),
        date=date,
        day=infix("*", date, _DAY),
        opened=call("ms_of_time", column(alias, opened)) if layout.join is not None else None,
        base=call("ms_of_time", column(alias, f"{which}bucket_start")),
    )


def grain_label(layout: Layout, grain: Grain, moment: Moment) -> Sql:
    """Return the label of a tick: a segment is named by its start, which the session's open may lie behind."""
    if grain.period is not None:
        return label(layout.query, grain.period, moment)
    base = label(layout.query, layout.query.base, moment)
    opened = moment.day if moment.opened is None else moment.opened
    return Case(((infix(">", opened, base), opened),), base)


def _segment_label(layout: Layout, grain: Grain, moment: Moment) -> Sql:
    """Return the label of a moment that a segment begins at."""
    return moment.at if grain.period is None else label(layout.query, grain.period, moment)
