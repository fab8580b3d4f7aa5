"""SQL as frozen trees: expressions and statements that say what is meant, not how a dialect writes it.

Functions go by the names of `FUNCTIONS`; a dialect says how each is written. There are no decimal literals: a decimal
is text cast to its type, which every dialect reads exactly.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from ashioto.engines.sql.types import SqlType

FUNCTIONS: Final = frozenset({
    "avg", "count", "max", "min", "sum",
    "coalesce", "greatest", "least",
    "char", "concat", "concat_ws", "lpad", "replace", "substring",
    "contains", "filter", "value_of",
    "date_of_days", "days_of_date", "month_start", "ms_of_time", "time_of_ms",
})  # fmt: skip
"""Names of functions in `Call`. `month_start` takes and gives days; `time_of_ms` and its like say what they do."""

InfixOp = Literal["+", "-", "*", "/", "=", "<>", "<", "<=", ">", ">=", "AND", "OR"]


@dataclass(frozen=True, slots=True)
class Name:
    """Names a column, perhaps of an alias.

    >>> Name(("t", "price")).parts
    ('t', 'price')
    """

    parts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Const:
    """Holds text, a whole number, a float, a truth or null.

    >>> Const("o'clock").value
    "o'clock"
    """

    value: str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class Call:
    """Calls a function of `FUNCTIONS`.

    >>> Call("min", (Name(("price",)),)).func
    'min'
    """

    func: str
    args: tuple[Sql, ...]


@dataclass(frozen=True, slots=True)
class Infix:
    """Joins two or more operands by an operator, from left to right.

    >>> Infix("AND", (Const(True), Const(False))).op
    'AND'
    """

    op: InfixOp
    args: tuple[Sql, ...]


@dataclass(frozen=True, slots=True)
class Negate:
    """Changes the sign of a number.

    >>> Negate(Const(1)).arg.value
    1
    """

    arg: Sql


@dataclass(frozen=True, slots=True)
class IsNull:
    """Asks whether there is no value, or with `negated` whether there is one.

    >>> IsNull(Name(("price",)), negated=True).negated
    True
    """

    arg: Sql
    negated: bool = False


@dataclass(frozen=True, slots=True)
class Case:
    """Takes the value of the first condition that holds, else `otherwise`; null when there is none.

    >>> Case(((Const(True), Const(1)),)).otherwise is None
    True
    """

    whens: tuple[tuple[Sql, Sql], ...]
    otherwise: Sql | None = None


@dataclass(frozen=True, slots=True)
class Cast:
    """Converts a value to a type.

    >>> from ashioto.engines.sql.types import BIGINT
    >>> Cast(Const("1"), BIGINT).type.word
    'bigint'
    """

    arg: Sql
    type: SqlType


@dataclass(frozen=True, slots=True)
class Field:
    """Takes a field of a struct.

    >>> Field(Name(("session",)), "open_ms").name
    'open_ms'
    """

    arg: Sql
    name: str


@dataclass(frozen=True, slots=True)
class Item:
    """Takes an item of an array, counted from 1.

    >>> Item(Name(("closes",)), 1).number
    1
    """

    arg: Sql
    number: int


@dataclass(frozen=True, slots=True)
class Lambda:
    """Is a function of one argument.

    >>> Lambda("x", Name(("x",))).arg
    'x'
    """

    arg: str
    body: Sql


@dataclass(frozen=True, slots=True)
class SoFar:
    """Aggregates the rows of a key up to each row, in the order of a column.

    >>> SoFar(Call("max", (Name(("at",)),)), key=Name(("k",)), order=Name(("came",))).key.parts
    ('k',)
    """

    arg: Call
    key: Sql
    order: Sql


Sql = Name | Const | Call | Infix | Negate | IsNull | Case | Cast | Field | Item | Lambda | SoFar


def column(*parts: str) -> Name:
    """Return a column by its name, or by an alias and its name.

    >>> column("t", "at").parts
    ('t', 'at')
    """
    return Name(parts)


def call(func: str, *args: Sql) -> Call:
    """Return a call of a function of `FUNCTIONS`.

    >>> call("max", column("price")).func
    'max'
    """
    if func not in FUNCTIONS:
        raise ValueError(f"{func!r} is no function of the tree")
    return Call(func, args)


def infix(op: InfixOp, *args: Sql) -> Sql:
    """Return operands under an operator; a single operand stays as it is.

    >>> infix("AND", Const(True)).value
    True
    """
    return args[0] if len(args) == 1 else Infix(op, args)


def both(*conditions: Sql) -> Sql:
    """Return the condition that all of these hold, those inside another `AND` side by side.

    >>> a, b, c = (column(name) for name in "abc")
    >>> both(a, both(b, c)) == infix("AND", a, b, c)
    True
    """
    flat: list[Sql] = []
    for condition in conditions:
        if isinstance(condition, Infix) and condition.op == "AND":
            flat += condition.args
        elif condition != Const(value=True):
            flat.append(condition)
        else:
            continue
    return infix("AND", *(dict.fromkeys(flat))) if flat else Const(value=True)
