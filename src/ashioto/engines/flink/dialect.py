"""What Flink does differently, as tables.

Times of ticks and heartbeats are read as the long integers that they are in Avro, so they cross into SQL as
milliseconds by themselves. Bars are written with the schema that their topic has, so there a time is a `TIMESTAMP(3)`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ashioto.engines.sql.ast import Call, Cast, Const, Sql, infix
from ashioto.engines.sql.dialect import Dialect, Gap
from ashioto.engines.sql.types import BIGINT, DATE, TIMESTAMP
from ashioto.period import DAY_MS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ashioto.engines.sql.types import TypeWord

_TYPES: Final[Mapping[TypeWord, str]] = {
    "text": "STRING",
    "int": "INT",
    "bigint": "BIGINT",
    "double": "DOUBLE",
    "bool": "BOOLEAN",
    "decimal": "DECIMAL",
    "timestamp": "TIMESTAMP(3)",
    "date": "DATE",
    "array": "ARRAY",
    "struct": "ROW",
}
_FUNCTIONS: Final = {
    "count": "COUNT",
    "max": "MAX",
    "min": "MIN",
    "sum": "SUM",
    "coalesce": "COALESCE",
    "greatest": "GREATEST",
    "least": "LEAST",
    "concat": "CONCAT",
    "concat_ws": "CONCAT_WS",
    "lpad": "LPAD",
    "replace": "REPLACE",
    "substring": "SUBSTRING",
    "contains": "ARRAY_CONTAINS",
    "length": "CHAR_LENGTH",
    "day_of_month": "DAYOFMONTH",
    "instant": "TO_TIMESTAMP_LTZ",
    "now_s": "UNIX_TIMESTAMP",
    "when_read": "PROCTIME",
}
_MILLIS: Final = Const(3)


def instant(ms: Sql) -> Sql:
    """Return milliseconds as a point in time.

    >>> instant(Const(0)).func
    'instant'
    """
    return Call("instant", (ms, _MILLIS))


def _time_of_ms(ms: Sql) -> Sql:
    return Cast(instant(ms), TIMESTAMP)


def _date_of_days(days: Sql) -> Sql:
    return Cast(_time_of_ms(infix("*", days, Const(DAY_MS))), DATE)


def _month_start(days: Sql) -> Sql:
    """Take off the days of the month that have passed."""
    passed = infix("-", Call("day_of_month", (_date_of_days(days),)), Const(1))
    return infix("-", days, passed)


def _literal(value: str) -> str:
    """Write text with everything beyond printable ASCII by its code, since plain literals are of one code page."""
    if value.isascii() and value.isprintable():
        return "'" + value.replace("'", "''") + "'"
    halves = value.encode("utf-16-be")
    units = [int.from_bytes(halves[at : at + 2], "big") for at in range(0, len(halves), 2)]
    return "U&'" + "".join(map(_unit, units)) + "'"


def _unit(code: int) -> str:
    char = chr(code)
    if char == "'":
        return "''"
    return char if 32 <= code < 127 and char != "\\" else f"\\{code:04X}"


FLINK: Final = Dialect(
    name="flink",
    types=_TYPES,
    functions=_FUNCTIONS,
    rewrites={
        "char": lambda code: Const(chr(code.value)),
        "ms_of_time": lambda time: time,
        "time_of_ms": _time_of_ms,
        "days_of_date": lambda date: Cast(date, BIGINT),
        "date_of_days": _date_of_days,
        "month_start": _month_start,
    },
    literal=_literal,
    stream="TEMPORARY TABLE",
    view="TEMPORARY VIEW",
    prefolds=True,
    times_as_numbers=True,
    sums_widen=True,
    gaps={
        "text_order": Gap(
            what="an order of text",
            reason="it orders text by bytes or by halves of characters beyond U+FFFF, as it happens to hold them",
            hint="compare text by == or !=, or use engine.kind = 'embedded'",
        ),
    },
)
"""The dialect of Flink."""
