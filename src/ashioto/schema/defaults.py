"""Defaults of columns, as values that are stored."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from ashioto.schema.arrow import arrow_type, from_numpy

if TYPE_CHECKING:
    from ashioto.logical.nodes import Column, Entity


def default_of(column: Column) -> pa.Array:
    """Return the default of a column, as a column of one row; null where there is none.

    >>> from ashioto.logical.nodes import INT64, Column, Lit
    >>> default_of(Column(name="size", type=INT64, default=Lit(type=INT64, value=0))).to_pylist()
    [0]
    """
    kind = arrow_type(column.type)
    value = None if column.default is None else column.default.value
    if value is None or isinstance(value, str):
        is_text = column.type.name == "text"
        return pa.array([value], pa.string()).dictionary_encode().cast(kind) if is_text else pa.nulls(1, kind)
    if column.type.name in {"decimal", "timestamp", "date"}:
        return from_numpy(np.array([value], dtype=np.int64), kind)
    return pa.array([value], kind)


def or_default(values: pa.Array, null: np.ndarray[tuple[int], np.dtype[np.bool_]], default: pa.Array) -> pa.Array:
    """Return a column with a default in some of its rows.

    Args:
        values: The column; shape (n,).
        null: Where it has nothing; shape (n,).
        default: A column of one row.

    >>> or_default(pa.array([1, None]), np.array([False, True]), pa.array([7])).to_pylist()
    [1, 7]
    """
    both = pa.chunked_array([values, default]).unify_dictionaries()
    return both.take(pa.array(np.where(null, len(values), np.arange(len(values))))).combine_chunks()


def with_defaults(entity: Entity, batch: pa.RecordBatch) -> pa.RecordBatch:
    """Return records with the defaults of columns that they lack, as those that are older than a column do.

    Args:
        entity: Declares the columns.
        batch: Records in its storage schema.
    """
    for column in entity.columns:
        at = batch.schema.get_field_index(column.name)
        if column.default is not None and at >= 0 and batch.column(at).null_count:
            values = batch.column(at)
            null = np.asarray(values.is_null().to_numpy(zero_copy_only=False))
            batch = batch.set_column(at, batch.schema.field(at), or_default(values, null, default_of(column)))
    return batch
