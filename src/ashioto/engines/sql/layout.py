"""Which columns the steps between ticks and bars have, by name: one place, so that writers and readers agree.

Rows of three kinds share one stream: ticks, markers (`live` and `final`), and what bars hand on (`carry`). A row has
for each grain a label, the bucket it belongs to, and a mark, whose meaning depends on its kind: of a live marker it is
the label of the segment that begins, of a final one 1 where the bucket ends, of a carry the label it comes from.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ashioto.engines.embedded.plan import CompiledQuery, compile_query
from ashioto.engines.sql.labels import check_labels
from ashioto.engines.sql.sessions import index_join
from ashioto.engines.sql.types import BIGINT, TEXT, column_type, total_type
from ashioto.logical.nodes import Agg, Previous, walk
from ashioto.logical.schedules import is_always_open
from ashioto.period import DAY_MS

if TYPE_CHECKING:
    from ashioto.engines.sql.ast import Sql
    from ashioto.engines.sql.dialect import Dialect
    from ashioto.engines.sql.types import SqlType
    from ashioto.logical.nodes import Output, Query
    from ashioto.period import Period

KIND: Final = "kind"
TICK, LIVE, FINAL, CARRY = "tick", "live", "final", "carry"
AT, PLACE, CUT, DAY, VERSION = "at", "place", "cut", "day", "version"
NEXT_AT, NEXT_DAY = "next_at", "next_day"
TICKS, FIRST, LAST, CLOSED = "ticks", "first_place", "last_place", "closed"
BUCKET, KEY_TEXT = "bucket_start", "key_text"
ATOM, WEIGHT = "atom", "weight"
SEGMENT: Final = "segment"
OWN: Final = 10**17
"""Added to the versions of what bars with ticks hand on, so that those of bars without ticks give way to them."""
OPENED, NEXT_OPENED = "session_open", "next_session_open"
"""Columns of heartbeats: when the sessions of their segments opened."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    """Holds a column: its name, its type, and what it is made of.

    >>> from ashioto.engines.sql.ast import Const
    >>> Value(name="at", type=BIGINT, sql=Const(1)).name
    'at'
    """

    name: str
    type: SqlType
    sql: Sql


@dataclass(frozen=True, slots=True, kw_only=True)
class Grain:
    """Names what rows are folded by: the buckets of a period, or segments.

    >>> Grain(name="5m", period=None).label
    'label_5m'
    """

    name: str
    period: Period | None

    @property
    def label(self) -> str:
        """Column of the label."""
        return f"label_{self.name}"

    @property
    def mark(self) -> str:
        """Column of the mark."""
        return f"mark_{self.name}"

    @property
    def next_label(self) -> str:
        """Column of a carrying fold: the label of the segment that follows."""
        return f"next_{self.name}"

    @property
    def own_label(self) -> str:
        """Column of a carrying fold: its own label, of this grain."""
        return f"own_{self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Says what a query comes down to in SQL.

    Args:
        compiled: The query, its inputs and its aggregates.
        dialect: What the engine does differently.
        carried: Names of the selected columns that bars hand on.
        grains: What rows are folded by: the frames, and segments if bars hand on by them.
        carrier: By what values are handed on: base buckets, or segments; None if nothing is.
        join: The columns of the ticks that name a session; None where the market is always open.
    """

    compiled: CompiledQuery
    dialect: Dialect
    carried: tuple[str, ...]
    grains: tuple[Grain, ...]
    carrier: Grain | None
    join: tuple[str, ...] | None

    @property
    def query(self) -> Query:
        """The query."""
        return self.compiled.query

    @property
    def signed(self) -> bool:
        """Whether sequences may be negative."""
        return self.query.entity.sequence is not None

    @property
    def carries(self) -> tuple[str, ...]:
        """Columns of carry rows, one at least, so that a row says that there was a bar."""
        return tuple(f"carried_{n}" for n in range(len(self.carried) or 1))

    def output(self, name: str) -> Output:
        """Return a selected column."""
        return next(o for o in self.query.outputs if o.name == name)

    def groups(self) -> list[tuple[str, str]]:
        """Return the name of each grouping column in between, and its own."""
        return [(f"group_{n}", name) for n, name in enumerate(self.query.group_by)]

    def inputs(self) -> list[tuple[str, SqlType]]:
        """Return the columns of what is aggregated."""
        return [(f"in_{n}", column_type(kind)) for n, kind in enumerate(self.compiled.input_types)]

    def partials(self) -> list[tuple[str, SqlType]]:
        """Return the columns of what ticks come to that were folded before their session is known."""
        found = [(TICKS, BIGINT), (CUT, BIGINT)]
        for number, slot in enumerate(self.compiled.slots):
            kind = self.compiled.slot_type(number)
            packed = slot.func in {"first", "last"}
            found.append(
                (f"agg_{number}", TEXT if packed else total_type(kind) if slot.func == "sum" else column_type(kind))
            )
        return [*found, *((name, TEXT) for name, _ in self.ends())]

    def ends(self) -> list[tuple[str, str]]:
        """Return the columns for places of the first and the last tick that no first or last value tells, and how."""
        funcs = {slot.func for slot in self.compiled.slots}
        wanted = (("first", FIRST, "min"), ("last", LAST, "max"))
        return [(name, pick) for func, name, pick in wanted if func not in funcs]

    def stamped(self) -> list[tuple[str, SqlType]]:
        """Return the columns of stamped rows beside the key, in order."""
        columns = [(name, TEXT) for name, _ in self.groups()]
        if self.dialect.prefolds:
            columns += [(AT, BIGINT), (DAY, BIGINT), *self.partials()]
        else:
            columns += [(AT, BIGINT), (PLACE, TEXT), (CUT, BIGINT), (DAY, BIGINT), *self.inputs()]
        columns += [(grain.label, BIGINT) for grain in self.grains]
        if self.query.continuous and self.dialect.prefolds:
            columns.append((WEIGHT, BIGINT))
        if self.query.continuous:
            columns += [(KIND, TEXT), (NEXT_AT, BIGINT), (NEXT_DAY, BIGINT), (VERSION, BIGINT)]
            columns += [(grain.mark, BIGINT) for grain in self.grains]
            columns += [(name, TEXT) for name in self.carries]
        return columns

    def read_by(self, grain: Grain) -> list[tuple[str, SqlType]]:
        """Return the columns of stamped rows that the fold of a grain reads."""
        if grain == self.carrier:
            return self.stamped()
        others = {name for g in self.grains if g != grain for name in (g.label, g.mark)} | {NEXT_AT, NEXT_DAY}
        return [(name, kind) for name, kind in self.stamped() if name not in others]


def lay_out(query: Query, dialect: Dialect) -> Layout:
    """Lay out a query for an engine that speaks SQL.

    Args:
        query: The query.
        dialect: What the engine does differently.

    Raises:
        UnsupportedError: The engine cannot run it; says why, and the way out.
    """
    check_labels(query, dialect)
    frames = [Grain(name=period.kind, period=period) for period in query.frames]
    segment = Grain(name=SEGMENT, period=None)
    by_segment = query.continuous and _spans_dates(query)
    return Layout(
        compiled=compile_query(query),
        dialect=dialect,
        carried=_carried(query, dialect),
        grains=(*frames, *([segment] if by_segment else [])),
        carrier=None if not query.continuous else segment if by_segment else frames[0],
        join=_join(query, dialect),
    )


def _always(query: Query) -> bool:
    return query.time_frame is None or is_always_open(query.time_frame)


def _spans_dates(query: Query) -> bool:
    """Return whether a base bucket may hold time of two market dates, so that base bars are too coarse to hand on."""
    if query.align == "session" or not query.base.is_intraday or query.frames[-1].is_intraday:
        return False
    return not (_always(query) and DAY_MS % query.base.millis == 0)


def _join(query: Query, dialect: Dialect) -> tuple[str, ...] | None:
    frame = query.time_frame
    if frame is None or is_always_open(frame):
        return None
    found = index_join(frame)
    if found is None:
        dialect.need("schedule_columns", query.name)
    return found


def _carried(query: Query, dialect: Dialect) -> tuple[str, ...]:
    named = {e.output for o in query.outputs for e in walk(o.expr) if isinstance(e, Previous)}
    if named and not query.continuous:
        dialect.need("previous_alone", query.name)
    named |= {rule.expr.output for rule in query.when_empty if isinstance(rule.expr, Previous)}
    found = [o for o in query.outputs if o.name in named]
    if len(query.frames) > 1:
        for output in found:
            if any(isinstance(e, Agg) and e.func != "last" for e in walk(output.expr)):
                dialect.need("previous_of_frames", f"{query.name}, column {output.name},")
    return tuple(o.name for o in found)
