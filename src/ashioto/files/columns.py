"""How a column of a file is read as a column of a stream: one reader a type."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ashioto.files.decimals import is_number, numbers_of, scaled
from ashioto.files.parsed import Parsed, is_text, matching, nulls, parse, plain, reasons
from ashioto.files.times import TimeReader, is_time
from ashioto.schema.arrow import arrow_type
from ashioto.schema.defaults import or_default

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    from ashioto.logical.nodes import Column, DataType

_WHOLE: Final = r"^\s*[+-]?\d+\s*$"
_DAY: Final = r"^\s*\d{4}-\d\d-\d\d\s*$"
_BOOL: Final = r"^\s*(?i:true|false|1|0)\s*$"
_TRUE: Final = r"^\s*(?i:true|1)\s*$"


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnReader:
    """Reads columns of one type.

    Args:
        takes: Whether a type of a file can be read at all.
        wants: What it should be, in words.
        read: Reads a column as a type; times as the reader says.
    """

    takes: Callable[[pa.DataType], bool]
    wants: str
    read: Callable[[pa.Array, DataType, TimeReader], Parsed]


def constant(column: Column, text: str, times: TimeReader) -> Parsed:
    """Return the one value that a text says, as a column of one row; it may be bad.

    >>> from ashioto.logical.nodes import TEXT, Column
    >>> constant(Column(name="symbol", type=TEXT), "A", TimeReader()).values.to_pylist()
    ['A']
    """
    return READERS[column.type.name].read(pa.array([text], pa.string()), column.type, times)


def repeated(value: pa.Array, rows: int) -> pa.Array:
    """Return a column of one value.

    Args:
        value: A column of one row.
        rows: How many rows it shall have.

    >>> repeated(pa.array([7]), 2).to_pylist()
    [7, 7]
    """
    if pa.types.is_dictionary(value.type):
        return pa.DictionaryArray.from_arrays(pa.array(np.zeros(rows, dtype=np.int32)), value.dictionary)
    return value.take(pa.array(np.zeros(rows, dtype=np.int32)))


def instead_of_null(parsed: Parsed, default: pa.Array) -> Parsed:
    """Return a column with a default in the rows that have nothing."""
    if parsed.null is None:
        return parsed
    values = or_default(parsed.values, parsed.null, default)
    return Parsed(values=values, bad=parsed.bad, rounded=parsed.rounded)


def _text(values: pa.Array, kind: DataType, _times: TimeReader) -> Parsed:
    null = nulls(values)
    if not is_text(values.type):
        values = plain(values).cast(pa.string())
    if not pa.types.is_dictionary(values.type):
        values = values.dictionary_encode()
    raw = values.dictionary.cast(pa.binary()).to_pylist()
    odd = [number for number, text in enumerate(raw) if text is not None and not _is_utf8(text)]
    bad = None
    if odd:
        bad = np.isin(values.indices.fill_null(-1).to_numpy(zero_copy_only=False), odd)
        raw = [b"" if number in odd else text for number, text in enumerate(raw)]
    if values.dictionary.null_count:
        empty = pc.is_null(values.dictionary).take(values.indices).fill_null(True)
        null = np.asarray(empty.to_numpy(zero_copy_only=False))
    words = pa.array(raw, pa.binary()).cast(pa.string())
    made = pa.DictionaryArray.from_arrays(values.indices.cast(pa.int32()), words)
    return Parsed(values=made.cast(arrow_type(kind)), null=null, bad=reasons(("is no UTF-8 text", bad)))


def _is_utf8(text: bytes) -> bool:
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True


def _decimal(values: pa.Array, kind: DataType, _times: TimeReader) -> Parsed:
    return scaled(values, kind.scale, precision=kind.precision)


def _timestamp(values: pa.Array, _kind: DataType, times: TimeReader) -> Parsed:
    return times.read(values)


def _float64(values: pa.Array, _kind: DataType, _times: TimeReader) -> Parsed:
    values = plain(values)
    numbers, bad = numbers_of(values)
    null = nulls(values)
    infinite = ~np.isfinite(numbers)
    if null is not None:
        infinite &= ~null
    return Parsed(
        values=pa.array(numbers), null=null, bad=reasons(("is no number", bad), ("is NaN or infinite", infinite))
    )


def _int64(values: pa.Array, _kind: DataType, _times: TimeReader) -> Parsed:
    values = plain(values)
    null = nulls(values)
    out = np.zeros(len(values), dtype=np.int64)
    shaped = matching(values, _WHOLE) if is_text(values.type) else np.asarray(values.is_valid())
    bad = ~shaped
    bad[parse(_trimmed(values), np.flatnonzero(shaped), [_whole], out)] = True
    if null is not None:
        bad &= ~null
    return Parsed(values=pa.array(out), null=null, bad=reasons(("is no whole number of 64 bits", bad)))


def _date(values: pa.Array, _kind: DataType, _times: TimeReader) -> Parsed:
    values = plain(values)
    null = nulls(values)
    out = np.zeros(len(values), dtype=np.int32)
    shaped = matching(values, _DAY) if is_text(values.type) else np.asarray(values.is_valid())
    bad = ~shaped
    bad[parse(_trimmed(values), np.flatnonzero(shaped), [_days], out)] = True
    if null is not None:
        bad &= ~null
    return Parsed(values=pa.array(out).view(pa.date32()), null=null, bad=reasons(("is no date", bad)))


def _bool(values: pa.Array, _kind: DataType, _times: TimeReader) -> Parsed:
    values = plain(values)
    null = nulls(values)
    if not is_text(values.type):
        return Parsed(values=values.cast(pa.bool_()).fill_null(False), null=null)
    bad = ~matching(values, _BOOL)
    if null is not None:
        bad &= ~null
    return Parsed(values=pa.array(matching(values, _TRUE)), null=null, bad=reasons(("is neither true nor false", bad)))


def _trimmed(values: pa.Array) -> pa.Array:
    return pc.ascii_trim_whitespace(values) if is_text(values.type) else values


def _whole(values: pa.Array) -> npt.NDArray[np.generic]:
    return np.asarray(values.cast(pa.int64()))


def _days(values: pa.Array) -> npt.NDArray[np.generic]:
    return np.asarray(values.cast(pa.date32()).cast(pa.int32()))


def _takes_text(kind: pa.DataType) -> bool:
    return is_text(kind) or bool(pa.types.is_integer(kind))


def _takes_dates(kind: pa.DataType) -> bool:
    return is_text(kind) or bool(pa.types.is_date(kind))


def _takes_bools(kind: pa.DataType) -> bool:
    return is_text(kind) or bool(pa.types.is_boolean(kind) or pa.types.is_integer(kind))


READERS: Final[dict[str, ColumnReader]] = {
    "text": ColumnReader(takes=_takes_text, wants="text or whole numbers", read=_text),
    "int64": ColumnReader(takes=is_number, wants="numbers", read=_int64),
    "float64": ColumnReader(takes=is_number, wants="numbers", read=_float64),
    "decimal": ColumnReader(takes=is_number, wants="numbers", read=_decimal),
    "timestamp": ColumnReader(
        takes=is_time, wants="times: timestamps, ISO 8601 text, or numbers since 1970", read=_timestamp
    ),
    "date": ColumnReader(takes=_takes_dates, wants="dates", read=_date),
    "bool": ColumnReader(takes=_takes_bools, wants="true or false", read=_bool),
}
"""The reader of each type a column of a stream can have."""
