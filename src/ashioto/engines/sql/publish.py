"""Publish: the columns of bars, read off folded rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ashioto import keys, naming
from ashioto.engines.sql import layout as cols
from ashioto.engines.sql.ast import Case, Cast, Const, Sql, call, column, infix
from ashioto.engines.sql.folded import FoldedReader
from ashioto.engines.sql.labels import bucket_end
from ashioto.engines.sql.numbers import settled
from ashioto.engines.sql.packs import sequence_in, time_in
from ashioto.engines.sql.types import BIGINT, BOOL, DATE, TEXT, TIMESTAMP, column_type
from ashioto.logical.nodes import INT64
from ashioto.period import DAY_MS

if TYPE_CHECKING:
    from ashioto.engines.sql.layout import Layout, Value
    from ashioto.engines.sql.types import SqlType
    from ashioto.period import Period

STREAM: Final = "stream"


@dataclass(frozen=True, slots=True, kw_only=True)
class Publication:
    """Says what the bars of a frame hold.

    Args:
        period: The frame.
        topic: Where they go.
        key: Text of their key: `1␟key…␟bucket start`.
        values: Their columns, those of the bars topic.
        where: Which rows are bars.
    """

    period: Period
    topic: str
    key: Sql
    values: tuple[Value, ...]
    where: Sql


def publications(layout: Layout, alias: str) -> tuple[Publication, ...]:
    """Return what is published of each frame.

    Args:
        layout: The query.
        alias: Of the folded rows.
    """
    query = layout.query
    return tuple(
        Publication(
            period=period,
            topic=naming.bars_topic(query.context, query.entity.name, period),
            key=_key(alias),
            values=tuple(_columns(layout, period, FoldedReader(layout=layout, alias=alias))),
            where=FoldedReader(layout=layout, alias=alias).exists,
        )
        for period in query.frames
    )


def _key(alias: str) -> Sql:
    start = call("lpad", Cast(column(alias, cols.BUCKET), TEXT), Const(keys.TIME_DIGITS), Const("0"))
    return call("concat_ws", call("char", Const(31)), column(alias, cols.KEY_TEXT), start)


def _columns(layout: Layout, period: Period, reader: FoldedReader) -> list[Value]:
    alias = reader.alias
    start = column(alias, cols.BUCKET)
    day = column(alias, cols.DAY) if period.is_intraday else infix("/", start, Const(DAY_MS))
    types = layout.compiled.output_types
    values = [_value(own, TEXT, column(alias, name)) for name, own in layout.groups()]
    values += [
        _value("bucket_start", TIMESTAMP, call("time_of_ms", start)),
        _value("bucket_end", TIMESTAMP, call("time_of_ms", bucket_end(period, start))),
        _value("market_date", DATE, call("date_of_days", day)),
    ]
    values += [_value(o.name, column_type(types[o.name]), reader.shown(o.name)) for o in layout.query.outputs]
    values += _envelope(layout, reader)
    return values + [_hidden(reader, name, slot) for name, slot in layout.compiled.hidden]


def _envelope(layout: Layout, reader: FoldedReader) -> list[Value]:
    alias, signed = reader.alias, layout.signed
    closed = Case(((infix("=", column(alias, cols.CLOSED), Const(1)), Const(True)),), Const(False))
    found = {name: _end(layout, reader, name) for name in ("first", "last")}
    values = [
        _value("final", BOOL, closed if layout.query.continuous else Const(False)),
        _value("synthetic", BOOL, infix("=", reader.ticks, Const(0))),
    ]
    for name, packed in found.items():
        at = call("time_of_ms", time_in(packed))
        values.append(_value(f"{name}_at", TIMESTAMP, Case(((reader.real, at),))))
        values.append(_value(f"{name}_seq", BIGINT, Case(((reader.real, sequence_in(packed, signed=signed)),))))
    values.append(_value("source_cut", BIGINT, column(alias, cols.CUT)))
    return [*values, _value("origin", TEXT, Const(STREAM))]


def _end(layout: Layout, reader: FoldedReader, func: str) -> Sql:
    """Return the place of the first or the last tick."""
    for number, slot in enumerate(layout.compiled.slots):
        if slot.func == func:
            return column(reader.alias, f"agg_{number}")
    return column(reader.alias, cols.FIRST if func == "first" else cols.LAST)


def _hidden(reader: FoldedReader, name: str, slot: int) -> Value:
    if slot < 0:
        return _value(name, column_type(INT64), Case(((reader.real, reader.ticks),)))
    held = settled(reader.slot(slot), reader.layout.dialect)
    return _value(name, column_type(held.type), Case(((reader.real, held.sql),)))


def _value(name: str, kind: SqlType, sql: Sql) -> Value:
    return cols.Value(name=name, type=kind, sql=sql)
