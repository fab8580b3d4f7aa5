"""Compares bars and says in words where they differ."""

from __future__ import annotations

import math
import reprlib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa

from ashioto.dsl.bar import Bar
from ashioto.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

Row = dict[str, Any]
Key = tuple[Any, ...]

_START: Final = "bucket_start"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)
_LATEST: Final = 10**14
"""More milliseconds than a date can have, nearly."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Bars:
    """One side of a comparison."""

    side: str
    rows: list[Row]
    columns: list[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Difference:
    """One bar that is not as expected: which, in what way, and the words for it."""

    bar: str
    way: str
    words: str


def assert_bars(
    actual: object,
    expected: object,
    *,
    keys: Sequence[str] | None = None,
    ignore: Collection[str] = (),
    rel_tol: float = 0.0,
    limit: int = 10,
) -> None:
    """Raise unless bars are as expected: the same buckets of the same keys with equal columns, in any order.

    Only the columns that `expected` has are compared, so that a test names what it is about. Numbers are equal by value
    and times by instant, whatever their types.

    Args:
        actual: Bars: `ao.Bar` objects, dicts, or a table with `__arrow_c_stream__` (pyarrow, polars, pandas, duckdb).
        expected: Bars, as above.
        keys: Columns that say which series a bar belongs to; else those of `actual` that stand before `bucket_start`.
        ignore: Columns to leave out.
        rel_tol: How far floats may be apart, relative to the larger.
        limit: How many bars the message names.

    Raises:
        AssertionError: They differ; names the first bars that do, and in which columns.
        UsageError: One side is no bars, or lacks a key column.

    >>> bars = pa.table({"symbol": ["A"], "bucket_start": [60_000], "close": [1.5], "ticks": [3]})
    >>> assert_bars(bars, [{"symbol": "A", "bucket_start": 60_000, "close": Decimal("1.5")}])
    >>> assert_bars(bars, [{"symbol": "A", "bucket_start": 60_000, "close": 1.25, "ticks": 3}])
    Traceback (most recent call last):
    ...
    AssertionError: the bars are not as expected: of 1, 1 with other values
      A 1970-01-01 00:01:00Z: close is 1.5, not 1.25
    """
    __tracebackhide__ = True
    got, wanted = _bars(actual, "actual"), _bars(expected, "expected")
    named = list(keys) if keys is not None else _before_start(got if got.columns else wanted)
    for bars in (got, wanted):
        _check_keys(bars, named)
    compared = [n for n in wanted.columns if n not in {*named, _START, *ignore} and not n.startswith("__")]
    absent = [name for name in compared if got.columns and name not in got.columns]
    if absent:
        raise AssertionError(f"the bars have no column {', '.join(absent)}, only {', '.join(got.columns)}")
    found = _differences(got, wanted, named, compared, rel_tol)
    if found:
        raise AssertionError(_message(found, len(wanted.rows), limit))


def _bars(found: object, side: str) -> _Bars:
    if hasattr(found, "__arrow_c_stream__"):
        table = pa.RecordBatchReader.from_stream(found).read_all()
        return _Bars(side=side, rows=table.to_pylist(), columns=table.column_names)
    rows = list(found) if isinstance(found, Iterable) and not isinstance(found, Mapping) else [None]
    if not all(isinstance(row, Bar | Mapping) for row in rows):
        raise UsageError(
            f"{side} is no bars: {reprlib.repr(found)}", hint="hand in a table, or a list of bars or dicts"
        )
    made = [dict(row) if isinstance(row, Mapping) else dict(vars(row)) for row in rows]
    return _Bars(side=side, rows=made, columns=list(dict.fromkeys(name for row in made for name in row)))


def _before_start(bars: _Bars) -> list[str]:
    return bars.columns[: bars.columns.index(_START)] if _START in bars.columns else []


def _check_keys(bars: _Bars, named: list[str]) -> None:
    absent = [name for name in (*named, _START) if bars.columns and name not in bars.columns]
    if absent:
        raise UsageError(
            f"{bars.side} has no column {absent[0]!r}, only {', '.join(bars.columns)}",
            hint="say which columns are the keys: assert_bars(..., keys=[...])",
            column=absent[0],
        )


def _differences(got: _Bars, wanted: _Bars, named: list[str], compared: list[str], rel_tol: float) -> list[_Difference]:
    mine, theirs = ({_key(row, named): row for row in bars.rows} for bars in (got, wanted))
    found = [*_twice(got, named), *_twice(wanted, named)]
    for key, row in theirs.items():
        if key not in mine:
            found.append(_Difference(bar=_name(row, named), way="missing", words="is missing"))
        elif words := _unequal(mine[key], row, compared, rel_tol):
            found.append(_Difference(bar=_name(row, named), way="with other values", words=words))
    surplus = [row for key, row in mine.items() if key not in theirs]
    return found + [_Difference(bar=_name(row, named), way="unexpected", words="was not expected") for row in surplus]


def _twice(bars: _Bars, named: list[str]) -> list[_Difference]:
    counts = Counter(_key(row, named) for row in bars.rows)
    last = {_key(row, named): row for row in bars.rows}
    return [
        _Difference(bar=_name(last[key], named), way="more than once", words=f"stands {count} times in {bars.side}")
        for key, count in counts.items()
        if count > 1
    ]


def _unequal(mine: Row, theirs: Row, compared: list[str], rel_tol: float) -> str:
    return "; ".join(
        f"{name} is {_said(mine.get(name))}, not {_said(theirs.get(name))}"
        for name in compared
        if not _equal(mine.get(name), theirs.get(name), rel_tol)
    )


def _equal(mine: Any, theirs: Any, rel_tol: float) -> bool:
    if isinstance(mine, float) or isinstance(theirs, float):
        if not (_is_number(mine) and _is_number(theirs)):
            return False
        left, right = float(mine), float(theirs)
        return math.isclose(left, right, rel_tol=rel_tol) or (math.isnan(left) and math.isnan(right))
    return bool(_instant(mine, theirs) == _instant(theirs, mine))


def _is_number(value: object) -> bool:
    return isinstance(value, int | float | Decimal) and not isinstance(value, bool)


def _instant(value: Any, other: Any) -> Any:
    """Return a time as the other side has it: as ms beside a number, as a midnight beside another time."""
    if isinstance(value, datetime) and value.tzinfo is not None and isinstance(other, int):
        return (value - _EPOCH) / _MILLISECOND
    if isinstance(value, date) and not isinstance(value, datetime) and isinstance(other, datetime):
        return datetime(value.year, value.month, value.day, tzinfo=other.tzinfo)
    return value


def _key(row: Row, named: list[str]) -> Key:
    return (*(row.get(name) for name in named), _instant(row.get(_START), 0))


def _name(row: Row, named: list[str]) -> str:
    start = row.get(_START)
    moment = _EPOCH + start * _MILLISECOND if isinstance(start, int) and abs(start) < _LATEST else start
    return " ".join([*(str(row.get(name)) for name in named), _said(moment)])


def _said(value: Any) -> str:
    if isinstance(value, datetime):
        return str(value.astimezone(UTC) if value.tzinfo is not None else value).replace("+00:00", "Z")
    if value is None:
        return "null"
    return repr(value) if isinstance(value, str) else str(value)


def _message(found: list[_Difference], expected: int, limit: int) -> str:
    ways = Counter(difference.way for difference in found)
    said = ", ".join(f"{count} {way}" for way, count in ways.items())
    lines = [f"  {difference.bar}: {difference.words}" for difference in found[:limit]]
    more = [f"  and {len(found) - limit} more"] if len(found) > limit else []
    return "\n".join([f"the bars are not as expected: of {expected}, {said}", *lines, *more])
