"""The one form that a column takes on both sides of a comparison, so that equal means equal by value.

Decimals and integers become integers of one scale, times integers of one unit, text numbers of one vocabulary. Where
one side is floating point, the other becomes the nearest double.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Final, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ashioto.errors import InputError
from ashioto.files.parsed import is_text, plain
from ashioto.schema.arrow import int64_view

if TYPE_CHECKING:
    import numpy.typing as npt

    Numbers = npt.NDArray[np.int64] | npt.NDArray[np.float64]

Kind = Literal["decimal", "float", "time", "date", "bool", "text"]

_UNITS: Final = ("s", "ms", "us", "ns")
_PER_SECOND: Final = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_EXACT: Final = 2**53
_MOST: Final = 2**63 - 1
_DIGITS: Final = 18


class Form:
    """Brings one column of both sides into one form.

    Args:
        name: The column.
        expected: Its type on one side.
        actual: Its type on the other.
        moment: Whether integers are times, UTC milliseconds.

    Raises:
        InputError: Values of these types cannot be equal.

    >>> form = Form("open", pa.decimal128(18, 2), pa.decimal128(18, 5))
    >>> form.read(pa.array([Decimal("1.5")], pa.decimal128(18, 2))).to_pylist()
    [150000]
    """

    def __init__(self, name: str, expected: pa.DataType, actual: pa.DataType, *, moment: bool = False) -> None:
        self.name = name
        one, other = (_kind(name, kind, moment=moment) for kind in (expected, actual))
        self.kind = _common(one, other)
        if self.kind is None:
            raise InputError(
                f"column {name!r} is {expected} on the expected side and {actual} on the actual one",
                hint="convert it, or leave it out by ignore",
                column=name,
            )
        self.scale = max(_scale(expected), _scale(actual))
        self.unit = max(_unit(expected), _unit(actual), key=_UNITS.index)
        self._words: dict[str, int] = {}

    @property
    def stored(self) -> pa.DataType:
        """What values are kept as."""
        return pa.float64() if self.kind == "float" else pa.int64()

    def read(self, values: pa.Array) -> pa.Array:
        """Return a column in this form, with nulls where it has them.

        Raises:
            InputError: A number has more than 64 bits.
        """
        if pa.types.is_null(values.type):
            return pa.nulls(len(values), self.stored)
        values = plain(values)
        null = np.asarray(values.is_null().to_numpy(zero_copy_only=False)) if values.null_count else None
        return pa.array(self._numbers(values), self.stored, mask=null)

    def show(self, value: float) -> object:
        """Return a value of this form as people know it."""
        if self.kind == "float":
            return float(value)
        number = int(value)
        match self.kind:
            case "decimal":
                return Decimal(number).scaleb(-self.scale) if self.scale else number
            case "time":
                return _EPOCH + timedelta(microseconds=number * 1_000_000 // _PER_SECOND[self.unit])
            case "date":
                return date(1970, 1, 1) + timedelta(days=number)
            case "bool":
                return bool(number)
            case _:
                return list(self._words)[number]

    def distance(self, tolerance: Decimal | float) -> float:
        """Return a tolerance in numbers of this form; 0 where it has no meaning."""
        if self.kind == "float":
            return float(tolerance)
        return int(Decimal(str(tolerance)).scaleb(self.scale)) if self.kind == "decimal" else 0

    def _numbers(self, values: pa.Array) -> Numbers:
        match self.kind:
            case "decimal":
                return self._scaled(values)
            case "float":
                return _doubles(self.name, values)
            case "time":
                return self._times(values)
            case "text":
                return self._codes(values)
            case _:
                days = pa.types.is_date(values.type)
                return int64_view(values.cast(pa.date32()) if days else values.cast(pa.int64()))

    def _scaled(self, values: pa.Array) -> npt.NDArray[np.int64]:
        units = _units(self.name, values)
        factor = 10 ** (self.scale - _scale(values.type))
        if factor > 1 and len(units) and max(int(units.max()), -int(units.min())) > _MOST // factor:
            raise _too_wide(self.name)
        return units * factor if factor > 1 else units

    def _times(self, values: pa.Array) -> npt.NDArray[np.int64]:
        if pa.types.is_date(values.type):
            values = values.cast(pa.timestamp("s"))
        unit = values.type.unit if pa.types.is_timestamp(values.type) else "ms"
        whole = values if pa.types.is_timestamp(values.type) else values.cast(pa.int64())
        return int64_view(whole) * (_PER_SECOND[self.unit] // _PER_SECOND[unit])

    def _codes(self, values: pa.Array) -> npt.NDArray[np.int64]:
        texts = values.dictionary_encode()
        codes = [self._words.setdefault(str(text), len(self._words)) for text in texts.dictionary.to_pylist()]
        indices = texts.indices.fill_null(-1).to_numpy(zero_copy_only=False)
        found: npt.NDArray[np.int64] = np.array([*codes, 0], dtype=np.int64)[indices]
        return found


def _kind(name: str, kind: pa.DataType, *, moment: bool) -> Kind | None:
    """Return what a column holds; None is nothing at all, which is like everything."""
    if pa.types.is_dictionary(kind):
        return _kind(name, kind.value_type, moment=moment)
    if pa.types.is_null(kind):
        return None
    if is_text(kind):
        return "text"
    found: dict[Kind, bool] = {
        "time": pa.types.is_timestamp(kind) or (moment and pa.types.is_integer(kind)),
        "date": pa.types.is_date(kind),
        "bool": pa.types.is_boolean(kind),
        "float": pa.types.is_floating(kind),
        "decimal": pa.types.is_integer(kind) or pa.types.is_decimal(kind),
    }
    for one, holds in found.items():
        if holds:
            return one
    raise InputError(f"column {name!r} is {kind}, which cannot be compared", hint="leave it out by ignore", column=name)


def _common(one: Kind | None, other: Kind | None) -> Kind | None:
    if one is None or other is None or one == other:
        return one or other or "bool"
    both = {one, other}
    if both == {"decimal", "float"}:
        return "float"
    return "time" if both == {"time", "date"} else None


def _scale(kind: pa.DataType) -> int:
    return int(kind.scale) if pa.types.is_decimal(kind) else 0


def _unit(kind: pa.DataType) -> str:
    return str(kind.unit) if pa.types.is_timestamp(kind) else "ms" if pa.types.is_integer(kind) else "s"


def _units(name: str, values: pa.Array) -> npt.NDArray[np.int64]:
    """Return integers, or those under decimals of whatever width."""
    kind = values.type
    if pa.types.is_integer(kind):
        try:
            return int64_view(values.cast(pa.int64()))
        except pa.ArrowInvalid as error:
            raise _too_wide(name) from error
    if pa.types.is_decimal64(kind):
        return int64_view(values)
    if not pa.types.is_decimal128(kind):
        try:
            return int64_view(values.cast(pa.decimal64(_DIGITS, kind.scale)))
        except pa.ArrowInvalid as error:
            raise _too_wide(name) from error
    if not len(values):
        return np.zeros(0, dtype=np.int64)
    words = np.frombuffer(values.buffers()[1], dtype=np.int64, count=2 * len(values), offset=16 * values.offset)
    low, high = words[0::2], words[1::2]
    wide = high != low >> 63
    if values.null_count:
        held = np.asarray(values.is_valid().to_numpy(zero_copy_only=False))
        low, wide = np.where(held, low, 0), wide & held
    if wide.any():
        raise _too_wide(name)
    return np.ascontiguousarray(low)


def _doubles(name: str, values: pa.Array) -> npt.NDArray[np.float64]:
    """Return numbers as the nearest doubles."""
    if pa.types.is_floating(values.type):
        return np.asarray(values.cast(pa.float64()).fill_null(0.0).to_numpy(zero_copy_only=False), dtype=np.float64)
    units, scale = _units(name, values), _scale(values.type)
    found = units / 10.0**scale
    for row in np.flatnonzero(np.abs(units) > _EXACT).tolist():  # beyond, a quotient of doubles may lie beside it
        found[row] = float(Decimal(int(units[row])).scaleb(-scale))
    return np.asarray(found, dtype=np.float64)


def _too_wide(name: str) -> InputError:
    return InputError(f"column {name!r} has numbers beyond 64 bits", hint="leave it out by ignore", column=name)


def has_nulls(values: pa.Array) -> bool:
    """Return whether a column has nothing somewhere, be it in its dictionary.

    >>> has_nulls(pa.array([1, None]))
    True
    """
    return bool(values.null_count) or bool(pc.any(pc.is_null(plain(values))).as_py())
