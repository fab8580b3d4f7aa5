"""Constants in expressions, converted to the type of the other side."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from ashioto.dsl.values import to_stored
from ashioto.errors import DefinitionError, InputError
from ashioto.logical.nodes import BOOL, DATE, FLOAT64, INT64, TEXT, TIMESTAMP, DataType, Lit
from ashioto.logical.types import MAX_PRECISION

if TYPE_CHECKING:
    from collections.abc import Sequence


def literal(value: object, like: DataType | None, *, op: str = "") -> Lit:
    """Return a constant that fits the other side of an operator.

    Beside a decimal, an integer stays one under `*` and `/`, where a scale would only grow the result's.

    Args:
        value: What the user wrote.
        like: Type of the other side; None when it is not known yet.
        op: The operator.

    Raises:
        DefinitionError: The value does not go with that type.

    >>> literal(3, DataType(name="decimal", precision=18, scale=2), op=">").value
    300
    """
    own = _own_type(value)
    kind = own if like is None else _fit(value, own, like, op)
    try:
        return Lit(type=kind, value=to_stored(value, kind, column="a constant"))
    except InputError as error:
        raise DefinitionError(
            f"{value!r} does not go with {kind}", hint=error.hint or "use a constant of that type", value=value
        ) from error


def _own_type(value: object) -> DataType:
    if value is None:
        raise DefinitionError("None is no constant: no column of a tick is ever empty", hint="leave the condition out")
    if isinstance(value, Decimal):
        return _decimal_type(value)
    for python, kind in _TYPES:
        if isinstance(value, python):
            return kind
    raise DefinitionError(
        f"{value!r} is no constant a query can hold", hint="use str, int, float, Decimal, datetime, date or bool"
    )


_TYPES: Sequence[tuple[type, DataType]] = (
    (bool, BOOL),
    (str, TEXT),
    (int, INT64),
    (float, FLOAT64),
    (datetime, TIMESTAMP),
    (date, DATE),
)


def _decimal_type(value: Decimal) -> DataType:
    _, digits, exponent = value.as_tuple()
    scale = max(0, -exponent) if isinstance(exponent, int) and value else 0
    trailing = next((i for i, digit in enumerate(reversed(digits)) if digit), 0)
    scale = max(0, scale - trailing)
    if scale > MAX_PRECISION:
        raise DefinitionError(f"{value} has more than {MAX_PRECISION} digits after the point", hint="round it")
    return DataType(name="decimal", precision=MAX_PRECISION, scale=scale)


def _fit(value: object, own: DataType, like: DataType, op: str) -> DataType:
    if like.name == "decimal" and own.name in {"int64", "decimal"}:
        if op in {"*", "/"}:
            return own
        wider = own.name == "decimal" and own.scale > like.scale
        return own if wider else DataType(name="decimal", precision=MAX_PRECISION, scale=like.scale)
    if like == INT64 and own.name in {"decimal", "float64"} and op in {"+", "-", "*", "/"}:
        return own
    if like.name == "float64" and own.name in {"int64", "float64"}:
        return like
    if own != like:
        hint = {
            "decimal": 'write Decimal("1.5"), a float is not exact',
            "timestamp": "write a datetime with a time zone",
            "date": "write a date",
        }.get(like.name, f"write a constant of type {like}")
        raise DefinitionError(f"{value!r} does not go with {like}", hint=hint, value=value)
    return own
