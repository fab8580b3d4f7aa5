"""Runs the steps that SQL engines share in DuckDB, whole tables at a time, and repeats the carry until nothing changes.

It is another engine with another dialect, so what it says of a pipeline does not depend on one engine's ways. Windows
are `GROUP BY` the label here.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ClassVar, Final

import duckdb
import pyarrow as pa

from ashioto import naming
from ashioto.control.applied import Registration
from ashioto.control.schedules import LogSchedules
from ashioto.engines.sql import layout as cols
from ashioto.engines.sql.ast import (
    Call,
    Cast,
    Const,
    Field,
    Infix,
    IsNull,
    Item,
    Lambda,
    Sql,
    both,
    call,
    column,
    infix,
)
from ashioto.engines.sql.atoms import atom_at, atom_session_key, stamped_atoms
from ashioto.engines.sql.dialect import Dialect
from ashioto.engines.sql.pipeline import BEATS, FOLDED, TICKS, Pipeline, build_pipeline
from ashioto.engines.sql.printer import Printer
from ashioto.engines.sql.sessions import KEY, SESSIONS, day_rows, index_parts
from ashioto.engines.sql.stamp import TickSource, session_key, tick_column
from ashioto.engines.sql.statements import From, LeftJoin, Select
from ashioto.engines.sql.types import BIGINT, DATE, INT
from ashioto.logical.codec import encode_query

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.support_engine import Market, Row

    from ashioto.engines.sql.fold import Fold
    from ashioto.engines.sql.layout import Layout, Value
    from ashioto.engines.sql.stamp import Stamp
    from ashioto.logical.nodes import Query

ROW_KEY: Final = "_key"
_EPOCH: Final = Cast(Const("1970-01-01"), DATE)


def _date_of_days(value: Sql) -> Sql:
    return Infix("+", (_EPOCH, Cast(value, INT)))


def _days_of_date(value: Sql) -> Sql:
    return Cast(Call("date_diff", (Const("day"), _EPOCH, value)), BIGINT)


def _month_start(value: Sql) -> Sql:
    return _days_of_date(Cast(Call("date_trunc", (Const("month"), _date_of_days(value))), DATE))


DUCKDB: Final = Dialect(
    name="duckdb",
    quote='"',
    lambda_form="lambda {} : {}",
    types={
        "text": "VARCHAR", "int": "INTEGER", "bigint": "BIGINT", "double": "DOUBLE", "bool": "BOOLEAN",
        "decimal": "DECIMAL", "timestamp": "TIMESTAMP", "date": "DATE",
    },
    functions={
        name: name.upper() for name in (
            "count", "max", "min", "sum", "coalesce", "greatest", "least", "concat", "concat_ws", "lpad", "replace",
            "substring", "date_diff", "date_trunc",
        )
    } | {"char": "chr", "contains": "list_contains", "filter": "list_filter", "ms_of_time": "epoch_ms",
         "time_of_ms": "epoch_ms"},
    rewrites={"date_of_days": _date_of_days, "days_of_date": _days_of_date, "month_start": _month_start},
    greatest_skips_null=True,
)  # fmt: skip


def registration(query: Query, *, version: int = 1) -> Registration:
    """Return a query as version of a registered one."""
    return Registration(
        context=query.context, query=query.name, version=version, state="registered", engine="ksqldb", checksum="",
        plan=encode_query(query), begins="start", updated_ms=0,
    )  # fmt: skip


def _held(at: Sql) -> Sql:
    """Return the session that holds a moment, or null."""
    inside = both(infix(">=", at, Field(column("x"), "open_ms")), infix("<", at, Field(column("x"), "close_ms")))
    return Item(call("filter", column("s", SESSIONS), Lambda("x", inside)), 1)


def tick_source(layout: Layout) -> TickSource:
    """Read ticks by their columns, beside `rowoffset`."""
    held = _held(tick_column(layout, TICKS, layout.query.entity.timestamp or "").sql)
    if layout.join is None:
        return TickSource(alias=TICKS, offset=column(TICKS, "rowoffset"), session=None, held=None, key=None)
    return TickSource(
        alias=TICKS, offset=column(TICKS, "rowoffset"), session=lambda name: Field(held, name),
        held=IsNull(held, negated=True), key=None,
    )  # fmt: skip


def bare_source(layout: Layout) -> TickSource:
    """Read ticks of any time by their columns, beside `rowoffset`: their session is found when they are atoms."""
    return replace(tick_source(layout), session=None, held=None)


def build(query: Query, *, prefolds: bool = False) -> Pipeline:
    """Return the steps of a query in the dialect of DuckDB."""
    dialect = replace(DUCKDB, prefolds=prefolds)
    ticks = bare_source if prefolds else tick_source
    return build_pipeline(registration(query), dialect, ticks=ticks, beat_key=column(BEATS, ROW_KEY))


@dataclass
class SqlBars:
    """Holds the tables of one pipeline.

    Args:
        query: What runs.
    """

    prefolds: ClassVar[bool] = False
    query: Query
    line: Pipeline = field(init=False)
    _held_back: bool = False

    def __post_init__(self) -> None:
        self.line = build(self.query, prefolds=self.prefolds)
        self.printer = Printer(DUCKDB)
        self.db = duckdb.connect()
        self.db.execute("SET integer_division = true; SET TimeZone = 'UTC'")
        columns = ", ".join(f"{self.printer.name(n)} {self.printer.type(k)}" for n, k in self.line.layout.stamped())
        self.db.execute(f"CREATE TABLE stamped ({ROW_KEY} VARCHAR, {columns})")

    def feed(self, market: Market, rows: slice = slice(None), *, beats: bool = True) -> None:
        """Stamp some of the ticks of a market, its heartbeats if they are here, and carry on."""
        self._register("sessions", _sessions(market, self.query))
        offsets = range(len(market.sent))[rows]
        ticks = _records(market, naming.topic(self.query.context, self.query.entity.name))
        self._register("ticks", ticks.append_column("rowoffset", pa.array(range(ticks.num_rows))).slice(
            offsets.start, len(offsets)))  # fmt: skip
        self._stamp_ticks()
        if self.line.markers is not None and beats:
            found = _records(market, naming.heartbeat_topic(self.query.context, self.query.entity.name))
            self._register("beats", found)
            self._stamp(self.line.markers, From(source="beats", alias=BEATS))
        self._carry()

    def shuffle(self, market: Market, seed: int, *, parts: int = 9) -> None:
        """Stamp a market's ticks and heartbeats mixed up in parts, with one step of the carry between them."""
        self._held_back = True
        self.feed(market)
        self._held_back = False
        rows = self._count()
        self.db.execute("CREATE TABLE pending AS SELECT *, row_number() OVER () AS row_number FROM stamped")
        self.db.execute("DELETE FROM stamped")
        draw = random.Random(seed)  # noqa: S311  # the same order every time
        order = draw.sample(range(1, rows + 1), rows)
        for part in range(parts):
            numbers = ", ".join(map(str, order[part::parts]))
            taken = f"SELECT * EXCLUDE (row_number) FROM pending WHERE row_number IN ({numbers})"  # noqa: S608  # numbers
            self.db.execute(f"INSERT INTO stamped {taken}")
            self._step()
        self._carry()

    def bars(self, period: str) -> list[Row]:
        """Return the bars of a frame, by their key."""
        publication = next(p for p in self.line.publications if p.period.kind == period)
        fold = next(f for f in self.line.folds if f.name == period)
        values = _selected(publication.values, publication.key)
        source = f"({self._fold(fold)})"
        select = Select(columns=values, source=From(source="folded", alias=FOLDED), where=publication.where)
        text = self.printer.select(select).replace('"folded"', source)
        ordered = f"SELECT * FROM ({text}) ORDER BY {ROW_KEY}"  # noqa: S608  # the text is what is tested
        found = self.db.sql(ordered).to_arrow_table().to_pylist()
        return [{name: _aware(value) for name, value in row.items()} for row in found]

    def _carry(self) -> None:
        while self.line.carries and not self._held_back and self._step():
            pass

    def _step(self) -> int:
        """Hand on what all bars hold once; returns how many rows are new."""
        before = self._count()
        for name, rows in self.line.carries.items():
            fold = next(f for f in self.line.folds if f.name == name)
            self._stamp(rows, From(source="folded", alias=FOLDED), inside=f"({self._fold(fold)})")
        return self._count() - before

    def _count(self) -> int:
        return int(self.db.execute("SELECT count(*) FROM stamped").fetchall()[0][0])

    def _stamp(self, rows: Stamp, source: From, *, joined: bool = False, inside: str = "") -> None:
        join = None
        if joined:
            found = infix("=", session_key(self.line.layout, TICKS), column("s", KEY))
            join = LeftJoin(to=From(source="sessions", alias="s"), on=found)
        self._insert(rows, source, join=join, inside=inside)

    def _insert(self, rows: Stamp, source: From, *, join: LeftJoin | None = None, inside: str = "") -> None:
        select = Select(columns=_selected(rows.values, rows.key), source=source, join=join, where=rows.where)
        text = self.printer.select(select)
        if inside:
            text = text.replace('"folded"', inside)
        self.db.execute(f"INSERT INTO stamped ({text}) EXCEPT SELECT * FROM stamped")  # noqa: S608  # it is tested

    def _stamp_ticks(self) -> None:
        layout, made = self.line.layout, self.line.atoms
        if made is None:
            self._stamp(self.line.ticks, From(source="ticks", alias=TICKS), joined=layout.join is not None)
            return
        at = tick_column(layout, TICKS, self.query.entity.timestamp or "").sql
        rows = ((made.ticks.key, ROW_KEY), (atom_at(at), cols.ATOM), *((v.sql, v.name) for v in made.ticks.values))
        self._table("counted", Select(columns=rows, source=From(source="ticks", alias=TICKS), where=made.ticks.where))
        group = (column("i", ROW_KEY), column("i", cols.ATOM))
        folded = ((group[0], ROW_KEY), (group[1], cols.ATOM), *((v.sql, v.name) for v in made.values))
        source = From(source="counted", alias="i")
        self._table("atoms", Select(columns=folded, source=source, group_by=group))
        held = _held(column("a", cols.ATOM))
        session = None if layout.join is None else lambda name: Field(held, name)
        stamp = stamped_atoms(layout, "a", column("a", ROW_KEY), session)
        join = None
        if layout.join is not None:
            stamp = replace(stamp, where=IsNull(held, negated=True))
            found = infix("=", atom_session_key(layout, "a"), column("s", KEY))
            join = LeftJoin(to=From(source="sessions", alias="s"), on=found)
        self._insert(stamp, From(source="atoms", alias="a"), join=join)

    def _table(self, name: str, select: Select) -> None:
        self.db.execute(f"CREATE OR REPLACE TABLE {name} AS {self.printer.select(select)}")  # it is tested

    def _fold(self, fold: Fold) -> str:
        key, label = column(ROW_KEY), column(fold.grain.label)
        fixed = ((key, cols.KEY_TEXT), (label, cols.BUCKET))
        columns = (*fixed, *((value.sql, value.name) for value in fold.values))
        source = From(source="stamped", alias="i")
        return self.printer.select(Select(columns=columns, source=source, where=fold.where, group_by=(key, label)))

    def _register(self, name: str, table: pa.Table) -> None:
        self.db.register(f"{name}_arrow", table)
        self.db.execute(f"CREATE OR REPLACE TABLE {name} AS SELECT * FROM {name}_arrow")  # noqa: S608  # our own names


def _selected(values: Iterable[Value], key: Sql) -> tuple[tuple[Sql, str], ...]:
    return ((key, ROW_KEY), *((value.sql, value.name) for value in values))


def _aware(value: Any) -> Any:
    return value.replace(tzinfo=UTC) if isinstance(value, datetime) else value


def _records(market: Market, topic: str) -> pa.Table:
    """Return the records of a topic in types that DuckDB reads, with their key."""
    parts = []
    at = 0
    while (found := market.log.read(topic, 0, at)) is not None:
        keys = pa.array([None if key is None else key.decode() for key in found.keys.to_pylist()], pa.string())
        parts.append(pa.Table.from_batches([found.data]).append_column(ROW_KEY, keys))
        at = found.next_offset
    table = pa.concat_tables(parts)
    fields = [pa.field(f.name, _plain_type(f.type)) for f in table.schema]
    return pa.table([_cast(table[f.name], f.type) for f in fields], schema=pa.schema(fields))


def _plain_type(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_decimal(kind):
        return pa.decimal128(kind.precision, kind.scale)
    if pa.types.is_timestamp(kind):
        return pa.timestamp("us")
    return pa.string() if pa.types.is_dictionary(kind) else kind


def _cast(values: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray:
    if pa.types.is_decimal(kind):
        return pa.chunked_array([pa.array(values.to_pylist(), kind)])
    return values.cast(kind)


def _sessions(market: Market, query: Query) -> pa.Table:
    """Return the schedule index of a market."""
    frame = query.time_frame
    schedules = LogSchedules(market.log, query)
    found = {}
    if frame is not None and query.schedule_topic is not None:
        for parts in schedules.scheduled():
            found[index_parts(frame, parts)] = schedules._sessions[parts]
    rows = day_rows(found)
    fields = ("open_ms", "close_ms", "day", "week", "month")
    item = pa.struct([(name, pa.int64()) for name in fields])
    held = [[{name: getattr(s, name) for name in fields} for s in row.sessions] for row in rows]
    return pa.table(
        {KEY: pa.array([r.key.decode() for r in rows], pa.string()), SESSIONS: pa.array(held, pa.list_(item))}
    )
