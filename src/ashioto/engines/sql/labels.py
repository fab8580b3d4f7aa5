"""Labels: the start of the bucket that holds a moment, computed in SQL; the same numbers as `schedule.buckets`.

Intraday buckets are cut on the clock or from the session's open. Days, weeks and months go by market date: where a
session is at hand its labels are read off it, else they follow from the date.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ashioto.engines.sql.ast import Const, call, infix
from ashioto.period import DAY_MS, Period

if TYPE_CHECKING:
    from ashioto.engines.sql.ast import Sql
    from ashioto.engines.sql.dialect import Dialect
    from ashioto.logical.nodes import Query

_MONDAY: Final = 4
"""1970-01-05, the first Monday, in days."""
_DAY: Final = Const(DAY_MS)
_LONGEST_MONTH: Final = 31


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """Says what is known about a moment, as expressions.

    Args:
        at: When, ms.
        date: Market date of its session, days.
        day: Midnight UTC of that date, ms.
        opened: Open of its session, ms; None where nobody says.
        week: Monday of the market date, ms; None to compute it.
        month: First of its month, ms; None to compute it.
        base: Start of its base bucket, ms; None to compute it.

    >>> from ashioto.engines.sql.ast import column
    >>> Moment(at=column("at"), date=column("date"), day=column("day")).opened is None
    True
    """

    at: Sql
    date: Sql
    day: Sql
    opened: Sql | None = None
    week: Sql | None = None
    month: Sql | None = None
    base: Sql | None = None


def check_labels(query: Query, dialect: Dialect) -> None:
    """Check that every bucket of a query can be named in SQL.

    Args:
        query: The query.
        dialect: What the engine does differently.

    Raises:
        UnsupportedError: One cannot; says which, and why.
    """
    for period in query.frames:
        if period.unit == "mo" and period.count > 1:
            dialect.need("months", f"{query.name}, period {period},")


def label(query: Query, period: Period, moment: Moment) -> Sql:
    """Return the start of the bucket of a period that holds a moment, ms.

    Args:
        query: Says the base period and the alignment.
        period: One of its frames.
        moment: What is known.

    >>> from ashioto.engines.sql.ast import column
    >>> from ashioto.logical.nodes import Entity, Query
    >>> query = Query(context="t", name="q", entity=Entity(name="Rate", kind="stream", columns=()), where=(),
    ...     time_frame=None, frames=(Period.minutes(1),), align="clock", continuous=False, grace_ms=0, retention_ms=0,
    ...     group_by=(), outputs=(), when_empty=())
    >>> label(query, Period.minutes(1), Moment(at=column("at"), date=column("date"), day=column("day"))).op
    '*'
    """
    if period == query.base and moment.base is not None:
        return moment.base
    if not period.is_intraday:
        return _date_label(period, moment)
    if query.align == "clock":
        return floored(moment.at, period.millis)
    opened = moment.day if moment.opened is None else moment.opened
    return infix("+", opened, floored(infix("-", moment.at, opened), period.millis))


def floored(number: Sql, size: int) -> Sql:
    """Return a number that is not negative, rounded down to a whole multiple; size in the number's unit."""
    return infix("*", infix("/", number, Const(size)), Const(size))


def bucket_end(period: Period, start: Sql) -> Sql:
    """Return the end of the bucket with a start, ms."""
    if period.is_intraday:
        return infix("+", start, Const(period.millis))
    if period.unit == "mo":
        return first_of_month(infix("+", infix("/", start, _DAY), Const(_LONGEST_MONTH)))
    return infix("+", start, Const(period.count * (7 if period.unit == "w" else 1) * DAY_MS))


def monday(date: Sql) -> Sql:
    """Return midnight of the Monday of a date's week, ms; the date in days."""
    week = floored(infix("+", date, Const(7 - _MONDAY)), 7)
    return infix("*", infix("-", week, Const(7 - _MONDAY)), _DAY)


def first_of_month(date: Sql) -> Sql:
    """Return midnight of the first of a date's month, ms; the date in days."""
    return infix("*", call("month_start", date), _DAY)


def _date_label(period: Period, moment: Moment) -> Sql:
    if period.unit == "d":
        return moment.day if period.count == 1 else floored(moment.day, period.count * DAY_MS)
    if period.unit == "mo":
        return first_of_month(moment.date) if moment.month is None else moment.month
    week = monday(moment.date) if moment.week is None else moment.week
    if period.count == 1:
        return week
    first = Const(_MONDAY * DAY_MS)
    return infix("+", floored(infix("-", week, first), 7 * period.count * DAY_MS), first)
