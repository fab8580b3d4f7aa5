"""Turns records and Arrow data into the columns an entity is stored in, and refuses what does not fit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ashioto.dsl.entity import Record
from ashioto.dsl.values import to_stored
from ashioto.errors import InputError
from ashioto.schema.arrow import arrow_type, from_numpy, storage_schema
from ashioto.schema.casting import Cells, cast_column, coded_text, undictionaried
from ashioto.schema.defaults import default_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ashioto.logical.nodes import Column, DataType, Entity

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
    cells = Cells(where=f"{entity.name}.{column.name}")
    default = None if column.default is None else undictionaried(default_of(column))[0]
    if column.name not in table.column_names:
        if default is None:
            raise InputError(f"{cells.where} was not given", hint=f"add a column {column.name}", column=column.name)
        return _stored(pa.repeat(default, table.num_rows), column.type)
    values = table[column.name]
    values = values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values
    made = cast_column(values, column.type, cells)
    if made.null_count and default is not None:
        made = _stored(pc.coalesce(undictionaried(made), default), column.type)
    cells.refuse(pc.is_null(made), values, "is null", "give it a value, or leave the row out")
    if column.type.name == "float64":
        odd = pc.invert(pc.is_finite(made))
        cells.refuse(odd, values, "is no finite number", "leave rows without a price out")
    return made


def _stored(values: pa.Array, kind: DataType) -> pa.Array:
    return coded_text(values) if kind.name == "text" else values
