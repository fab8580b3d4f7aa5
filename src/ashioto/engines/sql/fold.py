"""Fold: one row a bucket, made of all its stamped rows in whatever order they came."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ashioto.engines.sql import layout as cols
from ashioto.engines.sql.ast import Case, Cast, Const, Sql, both, call, column, infix
from ashioto.engines.sql.packs import as_text, pack, place, reversed_rank
from ashioto.engines.sql.types import BIGINT, TEXT, column_type, total_type
from ashioto.logical.nodes import Agg, walk
from ashioto.period import DAY_MS

if TYPE_CHECKING:
    from ashioto.engines.sql.layout import Grain, Layout, Value
    from ashioto.engines.sql.types import SqlType
    from ashioto.period import Period

_AHEAD_MS: Final = 7 * DAY_MS
"""How far the midnight of a market date may lie before the sessions of that date, or behind them."""
_PICKS: Final = {"first": "min", "last": "max", "min": "min", "max": "max"}
_LENGTHS: Final = {"d": DAY_MS, "w": 7 * DAY_MS, "mo": 31 * DAY_MS}


@dataclass(frozen=True, slots=True, kw_only=True)
class Fold:
    """Says how stamped rows are folded.

    Args:
        name: The kind of its bars, or `own` and `empty` for what is handed on.
        grain: What rows are folded by.
        values: Its columns beside key and label, each an aggregate.
        where: Which rows it reads; None means all.
        late_ms: How much older than the newest label a label may be when its last ticks come.
    """

    name: str
    grain: Grain
    values: tuple[Value, ...]
    where: Sql | None
    late_ms: int


def folds(layout: Layout) -> tuple[Fold, ...]:
    """Return the folds of a query: one a frame, and two of what is handed on."""
    frames = [grain for grain in layout.grains if grain.period is not None]
    found = [
        Fold(
            name=grain.name,
            grain=grain,
            values=tuple(_bar_values(layout, grain)),
            where=None,
            late_ms=_late(layout, grain.period),
        )
        for grain in frames
    ]
    return (*found, *(handing_folds(layout, layout.carrier) if layout.carrier is not None else ()))


def handing_folds(layout: Layout, grain: Grain) -> tuple[Fold, Fold]:
    """Return the folds of what is handed on: of rows with ticks, and of rows without.

    They are two, so that a value that is handed to a bar with ticks goes no further: the first does not read what is
    handed on, and what the second says of bars with ticks is not passed. With one, each change would run through every
    later bar. Neither reads final markers, which change nothing that is handed on.

    Args:
        layout: The query.
        grain: By what values are handed on.
    """
    late = _late(layout, grain.period)
    common = [*_groups(layout), _ticks(layout)]
    handing = _handing(layout, grain)
    own = [*common, *_aggregates(layout, _carried_slots(layout)), *handing]
    empty = [*common, *_handed(layout, grain), *handing]
    return (
        Fold(name="own", grain=grain, values=tuple(own), where=_kinds(cols.TICK, cols.LIVE), late_ms=late),
        Fold(
            name="empty", grain=grain, values=tuple(empty), where=_kinds(cols.TICK, cols.LIVE, cols.CARRY), late_ms=late
        ),
    )


def _late(layout: Layout, period: Period | None) -> int:
    query = layout.query
    waits = query.grace_ms + query.retention_ms
    if period is None or period.is_intraday:
        return waits + (period or query.base).millis
    return waits + period.count * _LENGTHS[period.unit] + _AHEAD_MS


def _bar_values(layout: Layout, grain: Grain) -> list[Value]:
    values = [*_groups(layout), _ticks(layout)]
    values += _aggregates(layout, set(range(len(layout.compiled.slots))))
    values += _ends(layout)
    values.append(_value(cols.CUT, BIGINT, call("max", column(cols.CUT))))
    if grain.period is not None and grain.period.is_intraday:
        values.append(_value(cols.DAY, BIGINT, call("min", column(cols.DAY))))
    if layout.query.continuous:
        values.append(_value(cols.CLOSED, BIGINT, call("max", _of(cols.FINAL, column(grain.mark)))))
        values += _handed(layout, grain)
    return values


def _groups(layout: Layout) -> list[Value]:
    return [_value(name, TEXT, call("max", column(name))) for name, _ in layout.groups()]


def _ticks(layout: Layout) -> Value:
    counted = call("sum", column(cols.TICKS)) if layout.dialect.prefolds else call("count", *_tick_rows(layout))
    return _value(cols.TICKS, BIGINT, counted)


def _kinds(*kinds: str) -> Sql:
    return infix("OR", *(infix("=", column(cols.KIND), Const(kind)) for kind in kinds))


def _tick_rows(layout: Layout) -> tuple[Sql, ...]:
    return (_of(cols.TICK, Const(1)),) if layout.query.continuous else ()


def _of(kind: str, value: Sql) -> Sql:
    return Case(((infix("=", column(cols.KIND), Const(kind)), value),))


def _aggregates(layout: Layout, wanted: set[int]) -> list[Value]:
    made = _merges(layout) if layout.dialect.prefolds else _of_ticks(layout, mixed=layout.query.continuous)
    return [value for number, value in enumerate(made) if number in wanted]


def _of_ticks(layout: Layout, *, mixed: bool) -> list[Value]:
    """Return every aggregate, of rows that are ticks, or that are mixed with others."""
    found = []
    for number, slot in enumerate(layout.compiled.slots):
        kind = layout.compiled.slot_type(number)
        held = column(f"in_{slot.arg}")
        if slot.func in {"first", "last"}:
            packed = pack(column(cols.PLACE), as_text(held))
            picked = call(_PICKS[slot.func], _of(cols.TICK, packed) if mixed else packed)
            found.append(_value(f"agg_{number}", TEXT, picked))
        elif slot.func == "sum":
            found.append(_value(f"agg_{number}", total_type(kind), _sum(layout, held, total_type(kind))))
        else:
            found.append(_value(f"agg_{number}", column_type(kind), call(slot.func, held)))
    return found


def _merges(layout: Layout) -> list[Value]:
    """Return every aggregate, of rows that are ticks folded before."""
    found = []
    for number, slot in enumerate(layout.compiled.slots):
        name = f"agg_{number}"
        kind = dict(layout.partials())[name]
        merged = _sum(layout, column(name), kind) if slot.func == "sum" else call(_PICKS[slot.func], column(name))
        found.append(_value(name, kind, merged))
    return found


def _sum(layout: Layout, held: Sql, kind: SqlType) -> Sql:
    """Return a sum in the type that it is kept in, whatever an engine makes of it on the way."""
    total = call("sum", Cast(held, kind))
    return Cast(total, kind) if layout.dialect.sums_widen else total


def before_sessions(layout: Layout) -> tuple[Value, ...]:
    """Return the aggregates of ticks that are folded before their session is known: all that folds merge then."""
    ends = [_value(name, TEXT, call(pick, column(cols.PLACE))) for name, pick in layout.ends()]
    counted = [_value(cols.TICKS, BIGINT, call("count")), _value(cols.CUT, BIGINT, call("max", column(cols.CUT)))]
    return (*_groups(layout), *counted, *_of_ticks(layout, mixed=False), *ends)


def _carried_slots(layout: Layout) -> set[int]:
    inside = [e for name in layout.carried for e in walk(layout.output(name).expr)]
    return {layout.compiled.slot_of(e) for e in inside if isinstance(e, Agg) and e.func != "count"}


def _ends(layout: Layout) -> list[Value]:
    """Return the places of the first and the last tick, where no first or last value tells them."""
    held = (lambda name: name) if layout.dialect.prefolds else (lambda _: cols.PLACE)
    return [_value(name, TEXT, call(pick, column(held(name)))) for name, pick in layout.ends()]


def _handed(layout: Layout, grain: Grain) -> list[Value]:
    """Return what the bar before handed on: of the carry that enters the bucket first its newest version."""
    enters = both(
        infix("=", column(cols.KIND), Const(cols.CARRY)), infix("<>", column(grain.mark), column(grain.label))
    )
    where = place(column(cols.AT), reversed_rank(column(cols.VERSION)))
    return [
        _value(f"before_{n}", TEXT, call("min", Case(((enters, pack(where, column(name))),))))
        for n, name in enumerate(layout.carries)
    ]


def _handing(layout: Layout, grain: Grain) -> list[Value]:
    """Return what a carry is made of: how many rows there were, and where the next segment belongs."""
    leaves = both(infix("=", column(cols.KIND), Const(cols.LIVE)), infix("<>", column(grain.mark), column(grain.label)))

    def of_next(name: str, held: str) -> Value:
        return _value(name, BIGINT, call("max", Case(((leaves, column(held)),))))

    counted = call("sum", column(cols.WEIGHT)) if layout.dialect.prefolds else call("count")
    values = [_value(cols.VERSION, BIGINT, counted)]
    values += [of_next(cols.NEXT_AT, cols.NEXT_AT), of_next(cols.NEXT_DAY, cols.NEXT_DAY)]
    for each in layout.grains:
        values += [of_next(each.next_label, each.mark), of_next(each.own_label, each.label)]
    return values


def _value(name: str, kind: SqlType, sql: Sql) -> Value:
    return cols.Value(name=name, type=kind, sql=sql)
