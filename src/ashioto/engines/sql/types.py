"""Types of SQL columns, and which of them holds what the plan calls by its own types.

Decimals stay decimals of their scale, 18 digits wide like the columns of entities and bars; sums of numbers are kept 30
digits wide, so that adding up never wraps. Times cross into SQL as epoch milliseconds, dates as days.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from ashioto.logical.nodes import DataType

TypeWord = Literal[
    "text", "int", "bigint", "double", "bool", "decimal", "timestamp", "date", "array", "struct"
]  # fmt: skip
DIGITS: Final = 18
"""Digits of a decimal column."""
WIDE: Final = 38
"""Digits that every SQL engine computes with."""
TOTAL: Final = 30
"""Digits of the largest sum there can be: of 10^11 numbers as large as they get."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SqlType:
    """Names the type of a column.

    Args:
        word: What kind of values.
        precision: Digits in all; decimals only.
        scale: Digits after the point; decimals only.
        item: Type of the items; arrays only.
        fields: Names and types of the fields; structs only.

    >>> decimal(5).precision
    18
    """

    word: TypeWord
    precision: int = 0
    scale: int = 0
    item: SqlType | None = None
    fields: tuple[tuple[str, SqlType], ...] = ()


TEXT: Final = SqlType(word="text")
INT: Final = SqlType(word="int")
BIGINT: Final = SqlType(word="bigint")
DOUBLE: Final = SqlType(word="double")
BOOL: Final = SqlType(word="bool")
TIMESTAMP: Final = SqlType(word="timestamp")
DATE: Final = SqlType(word="date")
_PLAIN: Final = {
    "text": TEXT, "int64": BIGINT, "float64": DOUBLE, "bool": BOOL, "timestamp": TIMESTAMP, "date": DATE,
}  # fmt: skip


def decimal(scale: int, precision: int = DIGITS) -> SqlType:
    """Return the type of decimals of a scale.

    >>> decimal(2, WIDE).precision
    38
    """
    return SqlType(word="decimal", precision=precision, scale=scale)


def array(item: SqlType) -> SqlType:
    """Return the type of arrays of a type.

    >>> array(TEXT).item == TEXT
    True
    """
    return SqlType(word="array", item=item)


def struct(**fields: SqlType) -> SqlType:
    """Return the type of structs of these fields.

    >>> struct(open_ms=BIGINT).fields[0][0]
    'open_ms'
    """
    return SqlType(word="struct", fields=tuple(fields.items()))


def column_type(kind: DataType) -> SqlType:
    """Return the type of a column of an entity or of bars.

    >>> from ashioto.logical.nodes import INT64
    >>> column_type(INT64).word
    'bigint'
    """
    return decimal(kind.scale) if kind.name == "decimal" else _PLAIN[kind.name]


def total_type(kind: DataType) -> SqlType:
    """Return the type that sums of values of a type are kept in.

    >>> from ashioto.logical.nodes import FLOAT64, INT64
    >>> total_type(INT64).precision, total_type(FLOAT64).word
    (30, 'double')
    """
    return DOUBLE if kind.name == "float64" else decimal(kind.scale, TOTAL)
