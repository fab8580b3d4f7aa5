"""Turns records and Arrow data into the columns an entity is stored in, and refuses what does not fit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ashioto.dsl.entity import Record
from ashioto.dsl.values import to_stored
from ashioto.errors import InputError
from ashioto.schema.arrow import arrow_type, from_numpy, storage_schema
from ashioto.schema.defaults import default_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy.typing as npt

    from ashioto.logical.nodes import Column, DataType, Entity

_OFF_GRID: Final = 0.01
_EXACT: Final = 2.0**53
_WIDE: Final = {"decimal", "timestamp", "date"}


def batch_of_records(entity: Entity, records: Iterable[object]) -> pa.RecordBatch:
    """Return records as columns.

    Args:
        entity: What they must be.
        records: In the order to write them.

    Raises:
        InputError: One is something else; names its row.
    """
    rows = list(records)
    for at, row in enumerate(rows):
        if not isinstance(row, Record) or type(row).__entity__ != entity:
            raise InputError(f"row {at} is {row!r}, no {entity.name}", hint=f"make it: {entity.name}(...)", row=at)
    return pa.RecordBatch.from_arrays(
        [_stored_column(c, [getattr(row, c.name) for row in rows]) for c in entity.columns],
        schema=storage_schema(entity),
    )


def _stored_column(column: Column, values: list[object]) -> pa.Array:
    stored = [to_stored(value, column.type, column=column.name) for value in values]
    kind = arrow_type(column.type)
    if column.type.name in _WIDE:
        return from_numpy(np.array(stored, dtype=np.int64), kind)
    if column.type.name == "text":
        return pa.array(stored, pa.string()).dictionary_encode().cast(kind)
    return pa.array(stored, kind)


def batch_of_arrow(entity: Entity, data: object) -> pa.RecordBatch:
    """Return Arrow data as stored columns; missing columns take their defaults.

    Args:
        entity: What its rows must be.
        data: Anything with `__arrow_c_stream__`: pyarrow, polars, pandas, duckdb.

    Raises:
        InputError: A column is unknown, missing or of a type that cannot be turned; or a value does not fit, is null or
            no finite number; names column and row.

    >>> from ashioto.logical.nodes import FLOAT64, Column, Entity
    >>> entity = Entity(name="Tick", kind="stream", columns=(Column(name="price", type=FLOAT64),))
    >>> batch_of_arrow(entity, pa.table({"price": [1, 2]})).column("price").type
    DataType(double)
    """
    table = pa.RecordBatchReader.from_stream(data).read_all()
    unknown = [name for name in table.column_names if entity.find(name) is None]
    if unknown:
        names = ", ".join(c.name for c in entity.columns)
        raise InputError(f"{entity.name} has no column {unknown[0]!r}", hint=f"its columns are {names}")
    columns = [_column(entity, column, table) for column in entity.columns]
    return pa.RecordBatch.from_arrays(columns, schema=storage_schema(entity))


def _column(entity: Entity, column: Column, table: pa.Table) -> pa.Array:
    where = f"{entity.name}.{column.name}"
    default = None if column.default is None else _plain(default_of(column))[0]
    if column.name not in table.column_names:
        if default is None:
            raise InputError(f"{where} was not given", hint=f"add a column {column.name}", column=column.name)
        return _dictionary_safe(pa.repeat(default, table.num_rows), column.type)
    values = table[column.name]
    values = values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values
    made = _cast(values, column.type, where)
    if made.null_count and default is not None:
        made = _dictionary_safe(pc.coalesce(_plain(made), default), column.type)
    _refuse_first(where, pc.is_null(made), values, "is null", "give it a value, or leave the row out")
    if column.type.name == "float64":
        odd = pc.invert(pc.is_finite(made))
        _refuse_first(where, odd, values, "is no finite number", "leave rows without a price out")
    return made


def _cast(values: pa.Array, kind: DataType, where: str) -> pa.Array:
    target = arrow_type(kind)
    try:
        if kind.name == "text":
            return _dictionary_safe(pc.cast(_plain(values), pa.string()) if _is_text(values.type) else None, kind)
        if kind.name == "decimal":
            return _decimal(values, kind, where)
        if kind.name == "timestamp":
            return _timestamp(values, target)
        return pc.cast(_number(values) if kind.is_numeric else values, target)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, TypeError) as error:
        raise InputError(
            f"{where} is {kind}, it cannot be made from {values.type}: {error}",
            hint="cast the column before handing it in",
            column=where.rpartition(".")[2],
        ) from error


def _timestamp(values: pa.Array, target: pa.DataType) -> pa.Array:
    if not pa.types.is_timestamp(values.type) or values.type.tz is None:
        raise TypeError("it has no time zone; for UTC cast it to timestamp('ms', tz='UTC')")
    return pc.cast(values, target, safe=False)


def _decimal(values: pa.Array, kind: DataType, where: str) -> pa.Array:
    if pa.types.is_floating(values.type):
        return _decimal_of_floats(values, kind, where)
    values = _number(values)
    if pa.types.is_integer(values.type):
        values = pc.cast(values, pa.decimal128(20, 0))
    wide = pc.cast(values, pa.decimal128(38, kind.scale))
    return pc.cast(wide, arrow_type(kind))


def _decimal_of_floats(values: pa.Array, kind: DataType, where: str) -> pa.Array:
    numbers = np.asarray(pc.cast(values, pa.float64()).to_numpy(zero_copy_only=False), dtype=np.float64)
    null = np.asarray(pc.is_null(values).to_numpy(zero_copy_only=False))
    _refuse_first(where, ~np.isfinite(numbers) & ~null, values, "is no finite number", "leave rows without a price out")
    scaled = np.where(null, 0.0, numbers) * 10.0**kind.scale
    whole = np.rint(scaled)
    off = np.abs(scaled - whole) > _OFF_GRID
    _refuse_first(where, off, values, f"has more than {kind.scale} digits after the point", "round it first")
    big = np.abs(whole) >= min(10.0**kind.precision, _EXACT)
    _refuse_first(where, big, values, f"is too big for {kind}", "hand in decimals, or declare a smaller scale")
    return from_numpy(whole.astype(np.int64), arrow_type(kind), null=null)


def _refuse_first(where: str, bad: pa.Array | npt.NDArray[np.bool_], values: pa.Array, problem: str, hint: str) -> None:
    rows = np.flatnonzero(np.asarray(bad))
    if rows.size:
        row = int(rows[0])
        raise InputError(
            f"{where} of row {row} {problem}: {values[row].as_py()!r}",
            hint=hint,
            column=where.rpartition(".")[2],
            row=row,
        )


def _dictionary_safe(values: Any, kind: DataType) -> pa.Array:
    if values is None:
        raise TypeError("it is no text")
    return values.dictionary_encode().cast(arrow_type(kind)) if kind.name == "text" else values


def _plain(values: pa.Array) -> pa.Array:
    return values.dictionary_decode() if pa.types.is_dictionary(values.type) else values


def _is_text(kind: pa.DataType) -> bool:
    inner = kind.value_type if pa.types.is_dictionary(kind) else kind
    return bool(pa.types.is_string(inner) or pa.types.is_large_string(inner) or pa.types.is_string_view(inner))


def _number(values: pa.Array) -> pa.Array:
    kind = values.type
    if not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)):
        raise TypeError("it is no number")
    return values
