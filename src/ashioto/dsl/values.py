"""Turns Python values into what plans and logs hold, and refuses what does not fit.

Decimals become scaled integers, datetimes UTC milliseconds, dates days since 1970.
"""

from __future__ import annotations

import math
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from ashioto.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable

    from ashioto.logical.nodes import DataType, Lit

Value = str | int | float | bool | Decimal | datetime | date
Stored = str | int | float | bool

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_DAY: Final = date(1970, 1, 1)
_MILLISECOND: Final = timedelta(milliseconds=1)
_INT64: Final = 2**63


def check_value(value: object, kind: DataType, *, column: str) -> Value:
    """Return the value as a record of this type holds it: decimals as `Decimal`, times in UTC to the millisecond.

    Args:
        value: What the user gave.
        kind: The type of the column.
        column: Its name, for the message.

    Raises:
        InputError: The value is of another type, does not fit, is no finite number, or is a time without zone.

    >>> from ashioto.logical.nodes import DataType
    >>> check_value(3, DataType(name="float64"), column="price")
    3.0
    """
    return _CHECKS[kind.name](value, kind, column)


def to_stored(value: object, kind: DataType, *, column: str) -> Stored:
    """Return the value as plans and logs hold it.

    Raises:
        InputError: As `check_value`.

    >>> from ashioto.logical.nodes import DataType
    >>> to_stored(Decimal("1.5"), DataType(name="decimal", precision=18, scale=5), column="price")
    150000
    """
    checked = check_value(value, kind, column=column)
    if isinstance(checked, Decimal):
        sign, digits, _ = checked.as_tuple()
        return _whole(digits) * (-1 if sign else 1)
    if isinstance(checked, datetime):
        return (checked - _EPOCH) // _MILLISECOND
    if isinstance(checked, date):
        return (checked - _EPOCH_DAY).days
    return checked


def from_stored(lit: Lit) -> Value | None:
    """Return the Python value of a constant.

    >>> from ashioto.logical.nodes import DataType, Lit
    >>> from_stored(Lit(type=DataType(name="decimal", precision=18, scale=2), value=150))
    Decimal('1.50')
    """
    value, name = lit.value, lit.type.name
    if isinstance(value, int) and not isinstance(value, bool):
        if name == "decimal":
            return scaled(value, lit.type.scale)
        if name == "timestamp":
            return _EPOCH + value * _MILLISECOND
        if name == "date":
            return _EPOCH_DAY + timedelta(days=value)
    return value


def scaled(units: int, scale: int) -> Decimal:
    """Return `units * 10**-scale`, exactly, whatever precision the decimal context has.

    >>> scaled(150, 2)
    Decimal('1.50')
    """
    return Decimal(f"{units}E-{scale}")


def _whole(digits: tuple[int, ...]) -> int:
    return int("".join(map(str, digits)))


def _refuse(value: object, kind: DataType, column: str, hint: str) -> InputError:
    return InputError(f"{column} is {kind}, it cannot hold {value!r}", hint=hint, column=column, value=value)


def _text(value: object, kind: DataType, column: str) -> str:
    if not isinstance(value, str):
        raise _refuse(value, kind, column, "give it a str")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise _refuse(value, kind, column, "the text holds half a character (a lone surrogate)") from error
    return value


def _int(value: object, kind: DataType, column: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise _refuse(value, kind, column, "give it an int")
    if not -_INT64 <= value < _INT64:
        raise _refuse(value, kind, column, "it must fit 64 bits")
    return value


def _float(value: object, kind: DataType, column: str) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise _refuse(value, kind, column, "give it a float")
    try:
        number = float(value)
    except OverflowError as error:
        raise _refuse(value, kind, column, "it must fit a float") from error
    if not math.isfinite(number):
        raise _refuse(value, kind, column, "numbers must be finite; leave records without a price out")
    return number


def _decimal(value: object, kind: DataType, column: str) -> Decimal:
    if isinstance(value, int) and not isinstance(value, bool):
        value = Decimal(value)
    if not isinstance(value, Decimal):
        raise _refuse(value, kind, column, 'give it a Decimal, made from text: Decimal("1.5")')
    if not value.is_finite():
        raise _refuse(value, kind, column, "numbers must be finite; leave records without a price out")
    sign, digits, exponent = value.as_tuple()
    whole = _whole(digits)
    assert isinstance(exponent, int)  # noqa: S101  # finite numbers have one
    if whole == 0:
        return scaled(0, kind.scale)
    shift = exponent + kind.scale
    if shift > kind.precision or -shift > len(digits):
        raise _refuse(value, kind, column, f"it has room for {kind.precision} digits, {kind.scale} after the point")
    units, rest = (whole * 10**shift, 0) if shift >= 0 else divmod(whole, 10**-shift)
    if rest:
        raise _refuse(value, kind, column, f"at most {kind.scale} digits after the point; round it first")
    if units >= 10**kind.precision:
        raise _refuse(value, kind, column, f"at most {kind.precision - kind.scale} digits before the point")
    return scaled(-units if sign else units, kind.scale)


def _timestamp(value: object, kind: DataType, column: str) -> datetime:
    if not isinstance(value, datetime):
        raise _refuse(value, kind, column, "give it a datetime with a time zone")
    if value.tzinfo is None or value.utcoffset() is None:
        raise _refuse(value, kind, column, "it has no time zone; for UTC add tzinfo=timezone.utc")
    try:
        utc = value.astimezone(UTC)
    except OverflowError as error:
        raise _refuse(value, kind, column, "its UTC time lies outside the years 1 to 9999") from error
    return utc.replace(microsecond=utc.microsecond // 1000 * 1000)


def _date(value: object, kind: DataType, column: str) -> date:
    if not isinstance(value, date) or isinstance(value, datetime):
        raise _refuse(value, kind, column, "give it a date")
    return value


def _bool(value: object, kind: DataType, column: str) -> bool:
    if not isinstance(value, bool):
        raise _refuse(value, kind, column, "give it True or False")
    return value


_CHECKS: Final[dict[str, Callable[[object, DataType, str], Value]]] = {
    "text": _text,
    "int64": _int,
    "float64": _float,
    "decimal": _decimal,
    "timestamp": _timestamp,
    "date": _date,
    "bool": _bool,
}
