"""The plan of a query: frozen nodes that hold meaning and nothing else.

A plan says *what* a bar is. How it is written in Python is the business of `ashioto.dsl`, how it runs that of an
engine. One meaning has one representation: frames are sorted, `where` is a tuple of conditions that all hold, and every
expression is one of `Col`, `Lit`, `Op`, `Agg`, `Previous`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from ashioto.naming import topic

if TYPE_CHECKING:
    from ashioto.period import Period


TypeName = Literal["text", "int64", "float64", "decimal", "timestamp", "date", "bool"]
Role = Literal["key", "timestamp", "sequence", "value"]
EntityKind = Literal["stream", "table"]
AlignName = Literal["clock", "session"]
AggName = Literal["first", "last", "min", "max", "sum", "count", "avg"]

AGG_NAMES: tuple[AggName, ...] = ("first", "last", "min", "max", "sum", "count", "avg")
"""Every aggregate that merges, so that partial bars can be combined in any order."""

OPS: dict[str, int] = {
    "+": 2, "-": 2, "*": 2, "/": 2, "neg": 1,
    "==": 2, "!=": 2, "<": 2, "<=": 2, ">": 2, ">=": 2,
    "and": 2, "or": 2, "not": 1,
    "greatest": -1, "least": -1, "coalesce": -1,
}  # fmt: skip
"""Operators and how many arguments each takes; -1 is one or more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DataType:
    """Names the type of a column or expression.

    Args:
        name: The kind of value. Timestamps are int64 milliseconds UTC, dates are days.
        precision: Decimal digits in all; decimals only, at most 18.
        scale: Decimal digits after the point; decimals only.

    >>> str(DataType(name="decimal", precision=18, scale=5))
    'decimal(18, 5)'
    """

    name: TypeName
    precision: int = 0
    scale: int = 0

    def __str__(self) -> str:
        return f"decimal({self.precision}, {self.scale})" if self.name == "decimal" else self.name

    @property
    def is_numeric(self) -> bool:
        """Whether values of this type can be added."""
        return self.name in {"int64", "float64", "decimal"}


TEXT = DataType(name="text")
INT64 = DataType(name="int64")
FLOAT64 = DataType(name="float64")
TIMESTAMP = DataType(name="timestamp")
DATE = DataType(name="date")
BOOL = DataType(name="bool")


@dataclass(frozen=True, slots=True, kw_only=True)
class Lit:
    """Holds a constant.

    Args:
        type: Its type.
        value: Text, int, float or bool; decimals are scaled integers, timestamps ms, dates days; None is null.

    >>> Lit(type=INT64, value=3).value
    3
    """

    type: DataType
    value: str | int | float | bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Col:
    """Names a column of the query's entity.

    >>> Col(name="price").name
    'price'
    """

    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Previous:
    """Names a selected column of the previous bar that had ticks.

    >>> Previous(output="close").output
    'close'
    """

    output: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Agg:
    """Aggregates a tick expression over a bucket; `count` has no argument.

    >>> Agg(func="count", arg=None).func
    'count'
    """

    func: AggName
    arg: Expr | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Op:
    """Applies an operator of `OPS`.

    >>> Op(op="neg", args=(Col(name="price"),)).op
    'neg'
    """

    op: str
    args: tuple[Expr, ...]


Expr = Lit | Col | Previous | Agg | Op


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """Declares one column of an entity.

    Args:
        name: As the user wrote it.
        type: Its type.
        role: What it is for; exactly one `timestamp` and at most one `sequence` in a stream.
        default: The constant that stands in for a missing value, or None when the value is required.

    >>> Column(name="price", type=DataType(name="decimal", precision=18, scale=5)).role
    'value'
    """

    name: str
    type: DataType
    role: Role = "value"
    default: Lit | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Entity:
    """Declares a record type.

    >>> Entity(name="Rate", kind="stream", columns=()).keys
    ()
    """

    name: str
    kind: EntityKind
    columns: tuple[Column, ...]

    @property
    def keys(self) -> tuple[str, ...]:
        """Names of the key columns, in order."""
        return tuple(c.name for c in self.columns if c.role == "key")

    @property
    def timestamp(self) -> str | None:
        """Name of the event time column, if there is one."""
        return next((c.name for c in self.columns if c.role == "timestamp"), None)

    @property
    def sequence(self) -> str | None:
        """Name of the sequence column, if there is one."""
        return next((c.name for c in self.columns if c.role == "sequence"), None)

    def find(self, name: str) -> Column | None:
        """Return the column of this name, or None."""
        return next((c for c in self.columns if c.name == name), None)


ALWAYS_OPEN = Entity(
    name="AlwaysOpen",
    kind="table",
    columns=(
        Column(name="open", type=TIMESTAMP, role="key"),
        Column(name="close", type=TIMESTAMP),
        Column(name="market_date", type=DATE),
    ),
)
"""A schedule nobody writes: its sessions follow from the calendar, `[00:00, 24:00)` UTC of every day."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeFrame:
    """Joins ticks to the sessions of a schedule.

    Args:
        schedule: The schedule table.
        join: Pairs of (column of the ticks, column of the schedule) that must be equal.
        open_column: Session open, inclusive.
        close_column: Session close, exclusive.
        day_column: Market date.
    """

    schedule: Entity
    join: tuple[tuple[str, str], ...]
    open_column: str
    close_column: str
    day_column: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """Names a selected column and what it is made of: aggregates, constants and operators over them."""

    name: str
    expr: Expr


@dataclass(frozen=True, slots=True, kw_only=True)
class EmptyRule:
    """Says what a selected column holds in a bar without ticks: a `Lit` or `Previous`."""

    name: str
    expr: Lit | Previous


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """Says how the ticks of one entity become bars.

    Args:
        context: Namespace.
        name: Stable id of the query inside its context.
        entity: The ticks.
        where: Conditions that every counted tick meets.
        time_frame: The schedule; None for bars without sessions.
        frames: Lengths of the bars, ascending; the first is the base that all others are made of.
        align: Whether intraday buckets count from the epoch (`clock`) or from the session's open.
        continuous: Whether buckets without ticks get bars and buckets become final.
        grace_ms: How long after its end a bucket waits for late ticks before it is final.
        retention_ms: How long after that late ticks still revise it.
        group_by: Grouping columns.
        outputs: Selected columns, in order.
        when_empty: One rule a selected column, in the same order; empty unless continuous.
    """

    context: str
    name: str
    entity: Entity
    where: tuple[Expr, ...]
    time_frame: TimeFrame | None
    frames: tuple[Period, ...]
    align: AlignName
    continuous: bool
    grace_ms: int
    retention_ms: int
    group_by: tuple[str, ...]
    outputs: tuple[Output, ...]
    when_empty: tuple[EmptyRule, ...]

    @property
    def base(self) -> Period:
        """The smallest frame."""
        return self.frames[0]

    @property
    def schedule_topic(self) -> str | None:
        """Topic of the sessions; None without `time_frame`, and where they follow from the calendar."""
        frame = self.time_frame
        if frame is None or frame.schedule == ALWAYS_OPEN:
            return None
        return topic(self.context, frame.schedule.name)


def walk(expr: Expr) -> list[Expr]:
    """Return the expression and everything inside it, outermost first.

    >>> [type(e).__name__ for e in walk(Agg(func="sum", arg=Col(name="size")))]
    ['Agg', 'Col']
    """
    inner: tuple[Expr, ...] = ()
    if isinstance(expr, Op):
        inner = expr.args
    elif isinstance(expr, Agg) and expr.arg is not None:
        inner = (expr.arg,)
    return [expr, *(e for arg in inner for e in walk(arg))]
