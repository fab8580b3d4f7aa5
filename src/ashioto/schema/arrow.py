"""How entities and bars are laid out as Arrow columns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ashioto import keys

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from ashioto.logical.nodes import DataType, Entity

TIME: Final = pa.timestamp("ms", tz="UTC")
_TYPES: Final = {
    "text": pa.dictionary(pa.int32(), pa.string()),
    "int64": pa.int64(),
    "float64": pa.float64(),
    "bool": pa.bool_(),
    "timestamp": TIME,
    "date": pa.date32(),
}
_BITS: Final = 64


def arrow_type(kind: DataType) -> pa.DataType:
    """Return the Arrow type that stores values of a type; decimals are 64 bits wide.

    >>> from ashioto.logical.nodes import DataType
    >>> str(arrow_type(DataType(name="decimal", precision=18, scale=5)))
    'decimal64(18, 5)'
    """
    if kind.name == "decimal":
        return pa.decimal64(kind.precision, kind.scale)
    return _TYPES[kind.name]


def storage_schema(entity: Entity) -> pa.Schema:
    """Return the columns an entity is stored in."""
    return pa.schema([pa.field(c.name, arrow_type(c.type)) for c in entity.columns])


def plain(kind: pa.DataType) -> pa.DataType:
    """Return the type of the values under a dictionary, or the type itself.

    >>> str(plain(pa.dictionary(pa.int32(), pa.string())))
    'string'
    """
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def rows_type(names: Sequence[str]) -> pa.ListType:
    """Return the type of lists of records of int64.

    >>> str(rows_type(["open_ms"]))
    'list<item: struct<open_ms: int64>>'
    """
    return pa.list_(pa.struct([(name, pa.int64()) for name in names]))


def is_rows(kind: pa.DataType) -> bool:
    """Return whether values of a type are lists of records of int64.

    >>> is_rows(rows_type(["open_ms"])), is_rows(pa.list_(pa.string()))
    (True, False)
    """
    if not pa.types.is_list(kind) or not pa.types.is_struct(kind.value_type):
        return False
    inside = kind.value_type
    return inside.num_fields > 0 and all(inside.field(n).type == pa.int64() for n in range(inside.num_fields))


def numbers_of(lists: pa.ListArray) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return what lists of records of int64 hold.

    Args:
        lists: The column; lists may be null, what is in them not.

    Returns:
        The numbers, shape (fields, items), and where the items of each row begin, and where the last end, shape
        (n + 1,).

    Raises:
        ValueError: An item or a number is null.

    >>> numbers, bounds = numbers_of(pa.array([[{"a": 1}, {"a": 2}], None], rows_type(["a"])))
    >>> numbers.tolist(), bounds.tolist()
    ([[1, 2]], [0, 2, 2])
    """
    counts = pc.fill_null(pc.list_value_length(lists), 0).to_numpy(zero_copy_only=False)
    items = lists.flatten()
    fields = items.flatten()
    if items.null_count or any(field.null_count for field in fields):
        raise ValueError("a null inside a list of records")
    numbers = np.stack([int64_view(field) for field in fields]) if len(items) else np.zeros((len(fields), 0), np.int64)
    return numbers, np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)


def rows_of_numbers(
    numbers: npt.NDArray[np.int64], bounds: npt.NDArray[np.integer], kind: pa.DataType, *, null: npt.NDArray[np.bool_]
) -> pa.ListArray:
    """Return numbers as lists of records: what `numbers_of` takes apart.

    Args:
        numbers: The numbers; shape (fields, items).
        bounds: Where the items of each row begin, and where the last end; shape (n + 1,).
        kind: Type of the lists.
        null: Where there is no list; shape (n,).
    """
    fields = [kind.value_type.field(n) for n in range(kind.value_type.num_fields)]
    items = pa.StructArray.from_arrays([pa.array(values, pa.int64()) for values in numbers], fields=fields)
    mask = pa.array(null) if null.any() else None
    made = pa.ListArray.from_arrays(pa.array(bounds.astype(np.int32)), items, mask=mask)
    return made if made.type == kind else made.cast(kind)


def int64_view(array: pa.Array) -> npt.NDArray[np.int64]:
    """Return the integers under a column: scaled decimals, ms, days; 0 where there is no value.

    Args:
        array: 64 bits wide, or dates. Without nulls nothing is copied where they are 64 bits wide.

    Raises:
        TypeError: It has another width.

    >>> int64_view(pa.array([3, None, 4])).tolist()
    [3, 0, 4]
    """
    if isinstance(array, pa.ChunkedArray):
        array = array.combine_chunks()
    if pa.types.is_date32(array.type):
        return np.asarray(array.view(pa.int32()).fill_null(0).to_numpy(zero_copy_only=False), dtype=np.int64)
    if not (pa.types.is_primitive(array.type) or pa.types.is_decimal(array.type)) or array.type.bit_width != _BITS:
        raise TypeError(f"a column of {array.type} has no int64 under it")
    if not len(array):
        return np.zeros(0, dtype=np.int64)
    data = np.frombuffer(array.buffers()[1], dtype=np.int64, count=len(array), offset=8 * array.offset)
    if not array.null_count:
        return data
    held = np.asarray(array.is_valid().to_numpy(zero_copy_only=False), dtype=np.bool_)
    return np.where(held, data, 0)


def mask_of(flags: pa.Array, *, null: bool = False) -> npt.NDArray[np.bool_]:
    """Return a column of yes and no as a mask; shape (n,).

    Args:
        flags: The column.
        null: What stands where there is no value.

    >>> mask_of(pa.array([True, None])).tolist()
    [True, False]
    """
    return np.asarray(pc.fill_null(flags, null).to_numpy(zero_copy_only=False), dtype=np.bool_)


def from_numpy(
    data: npt.NDArray[np.generic], kind: pa.DataType, *, null: npt.NDArray[np.bool_] | None = None
) -> pa.Array:
    """Return numbers as a column of a type: scaled integers as decimals, ms as times, days as dates.

    Args:
        data: The numbers; shape (n,).
        kind: Type of the column.
        null: Where there is no value; None means nowhere.
    """
    mask = None if null is None or not null.any() else null
    if pa.types.is_decimal64(kind) or pa.types.is_timestamp(kind):
        plain = pa.array(np.ascontiguousarray(data, dtype=np.int64), mask=mask)
        return pa.Array.from_buffers(kind, len(plain), plain.buffers())
    if pa.types.is_date32(kind):
        return pa.array(np.ascontiguousarray(data, dtype=np.int32), mask=mask).view(kind)
    return pa.array(np.ascontiguousarray(data), type=kind, mask=mask)


def key_column(names: Sequence[str], batch: pa.RecordBatch) -> pa.DictionaryArray:
    """Return the key bytes of every row, `1␟part␟part…`, as a dictionary column.

    Args:
        names: The key columns, in order: text, integers or times, without nulls; with none, all rows share one key.
        batch: The rows.

    Raises:
        InputError: A time lies before 1970 or after 2286.

    >>> key_column([], pa.record_batch({"price": [1, 2]})).to_pylist()
    [b'1', b'1']
    """
    if not names:
        indices = pa.array(np.zeros(batch.num_rows, dtype=np.int32))
        return pa.DictionaryArray.from_arrays(indices, pa.array([keys.encode([])], pa.binary()))
    parts = [_text(batch.column(name)) for name in names]
    joined = pc.binary_join_element_wise(pa.scalar(keys.VERSION), *parts, keys.SEPARATOR)
    encoded = joined.dictionary_encode()
    return pa.DictionaryArray.from_arrays(encoded.indices, encoded.dictionary.cast(pa.binary()))


def _text(column: pa.Array) -> pa.Array:
    if pa.types.is_timestamp(column.type):
        return _time_text(pc.cast(column, pa.int64()))
    if isinstance(column, pa.DictionaryArray):
        escaped = pa.array([keys.escape(v) for v in column.dictionary.cast(pa.string()).to_pylist()], pa.string())
        return pc.take(escaped, column.indices)
    text = pc.cast(column, pa.string())
    if pc.any(pc.match_substring_regex(text, r"[\\\x1f]")).as_py():
        return pa.array([keys.escape(v) for v in text.to_pylist()], pa.string())
    return text


def _time_text(ms: pa.Array) -> pa.Array:
    for bound in pc.min_max(ms).as_py().values() if len(ms) else ():
        keys.time_part(bound)  # raises where it does not fit
    return pc.utf8_lpad(pc.cast(ms, pa.string()), keys.TIME_DIGITS, padding="0")


def user_table(table: pa.Table, *, computed: Collection[str] = ()) -> pa.Table:
    """Return a table as users get it: decimals 128 bits wide, hidden partials left out.

    Args:
        table: As it is stored.
        computed: Columns that may have more digits than their inputs, as sums have; they get 38.
    """
    names = [n for n in table.schema.names if not n.startswith("__")]
    columns = {n: _wide(table[n], 38 if n in computed else None) for n in names}
    return pa.table(columns)


def _wide(column: pa.ChunkedArray, precision: int | None) -> pa.ChunkedArray:
    kind = column.type
    if not pa.types.is_decimal64(kind):
        return column
    if precision is None:
        return column.cast(pa.decimal128(kind.precision, kind.scale))
    wide = pa.decimal128(precision, kind.scale)
    chunks = [_from_units(int64_view(c), wide, np.asarray(c.is_null())) for c in column.chunks]
    return pa.chunked_array(chunks, type=wide)


def _from_units(units: npt.NDArray[np.int64], kind: pa.Decimal128Type, null: npt.NDArray[np.bool_]) -> pa.Array:
    words = np.empty((units.shape[0], 2), dtype=np.int64)
    words[:, 0], words[:, 1] = units, units >> 63
    valid = pa.array(~null).buffers()[1] if null.any() else None
    return pa.Array.from_buffers(kind, units.shape[0], [valid, pa.py_buffer(words)])
