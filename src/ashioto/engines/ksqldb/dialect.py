"""What ksqlDB does differently, as tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ashioto.engines.sql.ast import Call, Cast, Const, Sql, call
from ashioto.engines.sql.dialect import Dialect, Gap
from ashioto.engines.sql.types import BIGINT, INT

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ashioto.engines.sql.types import TypeWord

_TYPES: Final[Mapping[TypeWord, str]] = {
    "text": "VARCHAR",
    "int": "INTEGER",
    "bigint": "BIGINT",
    "double": "DOUBLE",
    "bool": "BOOLEAN",
    "decimal": "DECIMAL",
    "timestamp": "TIMESTAMP",
    "date": "DATE",
    "array": "ARRAY",
    "struct": "STRUCT",
}
_FUNCTIONS: Final = {
    "count": "COUNT",
    "max": "MAX",
    "min": "MIN",
    "sum": "SUM",
    "coalesce": "COALESCE",
    "greatest": "GREATEST",
    "least": "LEAST",
    "char": "CHR",
    "concat": "CONCAT",
    "concat_ws": "CONCAT_WS",
    "lpad": "LPAD",
    "replace": "REPLACE",
    "substring": "SUBSTRING",
    "contains": "ARRAY_CONTAINS",
    "filter": "FILTER",
    "value_of": "AS_VALUE",
    "ms_of_time": "UNIX_TIMESTAMP",
    "time_of_ms": "FROM_UNIXTIME",
    "unix_date": "UNIX_DATE",
    "from_days": "FROM_DAYS",
    "format_date": "FORMAT_DATE",
    "parse_date": "PARSE_DATE",
}
SYSTEM_COLUMNS: Final = frozenset({"ROWTIME", "ROWPARTITION", "ROWOFFSET", "WINDOWSTART", "WINDOWEND"})
"""Names that the server keeps for itself, also in backticks."""


def _days_of_date(value: Sql) -> Sql:
    return Cast(Call("unix_date", (value,)), BIGINT)


def _date_of_days(value: Sql) -> Sql:
    return Call("from_days", (Cast(value, INT),))


def _month_start(value: Sql) -> Sql:
    """Go by way of text, which has no time zone: `2024-03`, and then its first."""
    month = Call("format_date", (_date_of_days(value), Const("yyyy-MM")))
    return _days_of_date(Call("parse_date", (call("concat", month, Const("-01")), Const("yyyy-MM-dd"))))


def _no_variable(value: str) -> Sql | None:
    """Cut text at `${`, where the server would put in a variable."""
    first, *rest = value.split("${")
    if not rest:
        return None
    parts = [f"{first}$", *(f"{{{part}$" for part in rest[:-1]), f"{{{rest[-1]}"]
    return call("concat", *map(Const, parts))


KSQLDB: Final = Dialect(
    name="ksqldb",
    types=_TYPES,
    functions=_FUNCTIONS,
    rewrites={"days_of_date": _days_of_date, "date_of_days": _date_of_days, "month_start": _month_start},
    text=_no_variable,
    struct_field="->",
    stream="STREAM",
    inline_keys=True,
    quoted_options=False,
    emit="EMIT CHANGES",
    null_arithmetic=False,
    casts_fail=True,
    greatest_skips_null=True,
    gaps={
        "text_order": Gap(
            what="an order of text",
            reason="it orders text by halves of characters beyond U+FFFF, so two engines could count different ticks",
            hint="compare text by == or !=, or use engine.kind = 'embedded'",
        ),
        "system_columns": Gap(
            what="a column of that name",
            reason="the server keeps such names for itself",
            hint="rename the column, e.g. in lower case",
        ),
    },
)
"""The dialect of ksqlDB."""
