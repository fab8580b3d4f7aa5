"""Turns columns of any Arrow type into the types that are stored, and refuses what does not fit by row and value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ashioto.errors import InputError
from ashioto.schema.arrow import arrow_type, from_numpy, int64_view, mask_of

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    from ashioto.logical.nodes import DataType

    Flags = npt.NDArray[np.bool_]
    Ints = npt.NDArray[np.int64]
    Cast = Callable[[pa.Array], pa.Array]

_OFF_GRID: Final = 0.01
_EXACT: Final = 2.0**53
_FINE: Final = {"us", "ns"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Cells:
    """Names the cells of a column in messages.

    Args:
        where: The column, e.g. `Rate.price`.
        first_row: Number of its first row in what the user handed in.

    >>> Cells(where="Rate.price").refuse(np.array([False, True]), pa.array([1, None]), "is null", "give it a value")
    Traceback (most recent call last):
    ...
    ashioto.errors.InputError: Rate.price of row 1 is null: None
    Hint: give it a value
    """

    where: str
    first_row: int = 0

    @property
    def column(self) -> str:
        """The name of the column alone."""
        return self.where.rpartition(".")[2]

    def refuse(self, bad: pa.Array | Flags, values: pa.Array, problem: str, hint: str) -> None:
        """Raise where a mask is set.

        Args:
            bad: The mask; shape (n,).
            values: The values as they were handed in; shape (n,).
            problem: What is wrong with them.
            hint: The way out.

        Raises:
            InputError: It is set somewhere; names the first row, the problem and the value.
        """
        at = np.flatnonzero(np.asarray(bad))
        if at.size:
            first, row = int(at[0]), self.first_row + int(at[0])
            value = values[first].as_py()
            raise InputError(
                f"{self.where} of row {row} {problem}: {value!r}", hint=hint, column=self.column, row=row, value=value
            )


def cast_column(values: pa.Array, kind: DataType, cells: Cells, *, wide: bool = False) -> pa.Array:
    """Return a column in the type that stores a data type; nulls stay.

    Args:
        values: The column.
        kind: What it holds.
        cells: Names it in messages.
        wide: Decimals may use all 64 bits, as sums do, and not only the digits that are declared.

    Raises:
        InputError: The type cannot be turned, or a value does not fit; names column, row and value.

    >>> from ashioto.logical.nodes import INT64
    >>> cast_column(pa.array([1.0]), INT64, Cells(where="Rate.size")).type
    DataType(int64)
    """
    if pa.types.is_null(values.type):
        return pa.nulls(len(values), arrow_type(kind))
    if kind.name == "decimal" and pa.types.is_floating(values.type):
        return _decimal_of_floats(values, kind, cells)
    try:
        if kind.name == "decimal":
            return _decimal(values, kind, cells, wide=wide)
        return _cast_by(kind)(values)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, TypeError) as error:
        raise _unfit(values, kind, cells, error) from error


def coded_text(values: pa.Array) -> pa.Array:
    """Return text as the dictionary it is stored in."""
    return values.dictionary_encode().cast(pa.dictionary(pa.int32(), pa.string()))


def undictionaried(values: pa.Array) -> pa.Array:
    """Return a column without its dictionary.

    >>> undictionaried(pa.array(["A"]).dictionary_encode()).type
    DataType(string)
    """
    if not pa.types.is_dictionary(values.type):
        return values
    if pa.types.is_string_view(values.type.value_type):  # Arrow cannot take from views of text
        values = pa.DictionaryArray.from_arrays(values.indices, values.dictionary.cast(pa.string()))
    return values.dictionary_decode()


def _cast_by(kind: DataType) -> Cast:
    target = arrow_type(kind)
    if kind.name == "text":
        return lambda part: coded_text(pc.cast(undictionaried(_text(part)), pa.string()))
    if kind.name == "timestamp":
        return lambda part: _timestamp(part, target)
    return lambda part: pc.cast(_number(part) if kind.is_numeric else part, target)


def _unfit(values: pa.Array, kind: DataType, cells: Cells, error: Exception) -> InputError:
    message = f"{cells.where} is {kind}, it cannot be made from {values.type}"
    hint = "cast the column before handing it in"
    if not isinstance(error, pa.ArrowInvalid):
        return InputError(f"{message}: {error}", hint=hint, column=cells.column)
    cast = (lambda part: _units(part, kind)) if kind.name == "decimal" else _cast_by(kind)
    at = _first_failing(values, cast)
    row, value = cells.first_row + at, values[at].as_py()
    if kind.name == "decimal":
        hint = f"it has room for {kind.scale} digits after the point; round it first, or leave the row out"
    return InputError(
        f"{message}: row {row} is {value!r}: {error}", hint=hint, column=cells.column, row=row, value=value
    )


def _first_failing(values: pa.Array, cast: Cast) -> int:
    """Return the first row that cannot be cast, by halving; one of them cannot."""
    first, end = 0, len(values)
    while end - first > 1:
        middle = (first + end) // 2
        try:
            cast(values.slice(first, middle - first))
        except pa.ArrowInvalid:
            end = middle
        else:
            first = middle
    return first


def _timestamp(values: pa.Array, target: pa.DataType) -> pa.Array:
    if not pa.types.is_timestamp(values.type) or values.type.tz is None:
        raise TypeError("it has no time zone; for UTC cast it to timestamp('ms', tz='UTC')")
    return pc.cast(values, target, safe=values.type.unit not in _FINE)


def _decimal(values: pa.Array, kind: DataType, cells: Cells, *, wide: bool) -> pa.Array:
    null = mask_of(pc.is_null(values))
    target = arrow_type(kind)
    if not len(values):
        return pa.nulls(0, target)
    if values.type == target:
        units = int64_view(values)
    else:
        made = _units(values, kind)
        count = len(made)
        words = np.frombuffer(made.buffers()[1], dtype=np.int64, count=2 * count, offset=16 * made.offset)
        units, high = words.reshape(count, 2).T
        over = (high != units >> 63) & ~null
        cells.refuse(over, values, f"does not fit 64 bits at the scale {kind.scale}", "declare a smaller scale")
    if not wide:
        most = 10**kind.precision
        over = ((units >= most) | (units <= -most)) & ~null
        cells.refuse(over, values, f"is too big for {kind}", "declare a smaller scale")
    return values if values.type == target else from_numpy(units, target, null=null)


def _units(values: pa.Array, kind: DataType) -> pa.Array:
    values = _number(values)
    if pa.types.is_integer(values.type):
        values = pc.cast(values, pa.decimal128(20, 0))
    return pc.cast(values, pa.decimal128(38, kind.scale))


def _decimal_of_floats(values: pa.Array, kind: DataType, cells: Cells) -> pa.Array:
    numbers = np.asarray(pc.cast(values, pa.float64()).to_numpy(zero_copy_only=False), dtype=np.float64)
    null = mask_of(pc.is_null(values))
    cells.refuse(~np.isfinite(numbers) & ~null, values, "is no finite number", "leave rows without a price out")
    scaled = np.where(null, 0.0, numbers) * 10.0**kind.scale
    whole = np.rint(scaled)
    off = np.abs(scaled - whole) > _OFF_GRID
    cells.refuse(off, values, f"has more than {kind.scale} digits after the point", "round it first")
    big = np.abs(whole) >= min(10.0**kind.precision, _EXACT)
    cells.refuse(big, values, f"is too big for {kind}", "hand in decimals, or declare a smaller scale")
    return from_numpy(whole.astype(np.int64), arrow_type(kind), null=null)


def _text(values: pa.Array) -> Any:
    kind = values.type.value_type if pa.types.is_dictionary(values.type) else values.type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return values
    raise TypeError("it is no text")


def _number(values: pa.Array) -> pa.Array:
    kind = values.type
    if not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)):
        raise TypeError("it is no number")
    return values
