"""What bars may be handed in as: objects, tables of any library, and iterators of either."""

from __future__ import annotations

from collections.abc import Iterable, Sized
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa

from ashioto.dsl.bar import Bar
from ashioto.dsl.values import to_stored
from ashioto.errors import InputError, UsageError
from ashioto.schema.arrow import arrow_type, from_numpy

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ashioto.dsl.bar import BarBinding
    from ashioto.logical.nodes import DataType

_WIDE: Final = {"decimal", "timestamp", "date"}
_TAKEN: Final = "hand in bars, a table of pyarrow, polars, pandas or duckdb, or an iterator of either"


def is_table(item: object) -> bool:
    """Return whether something is Arrow data.

    >>> is_table(pa.table({})), is_table(3)
    (True, False)
    """
    return hasattr(item, "__arrow_c_stream__")


def whole_input(binding: BarBinding, given: object) -> pa.Table | None:
    """Return everything that was handed in as one table, or None when it comes piece by piece.

    Args:
        binding: Whose bars they must be.
        given: A bar, a sequence of bars, a table; or an iterable of bars or tables, or a reader of record batches.

    Raises:
        InputError: A row is something else; names it.
        UsageError: It is nothing that holds bars.
    """
    if isinstance(given, Bar):
        given = [given]
    if is_table(given):
        streams = isinstance(given, pa.RecordBatchReader)
        return None if streams else pa.RecordBatchReader.from_stream(given).read_all()
    if not isinstance(given, Iterable) or isinstance(given, str | bytes):
        raise UsageError(f"cannot add {given!r}", hint=_TAKEN)
    if isinstance(given, Sized) and not any(is_table(item) for item in given):
        return pa.Table.from_batches([bars_batch(binding, list(given), 0)])
    return None


def takeable(table: pa.Table) -> pa.Table:
    """Return a table of which rows can be taken, quickly: in one chunk, without views of text."""
    for at, field in enumerate(table.schema):
        if pa.types.is_string_view(field.type):
            table = table.set_column(at, field.name, table.column(at).cast(pa.string()))
    return table.combine_chunks() if any(column.num_chunks > 1 for column in table.columns) else table


def bars_batch(binding: BarBinding, bars: Sequence[object], first_row: int) -> pa.RecordBatch:
    """Return bar objects as columns.

    Args:
        binding: Whose bars they must be.
        bars: The objects.
        first_row: Number of the first of them.

    Raises:
        InputError: One is something else, or of another period; names its row.
    """
    for at, bar in enumerate(bars, first_row):
        known = type(bar).__binding__ if isinstance(bar, Bar) else None
        if known is None or (known.topic, known.columns) != (binding.topic, binding.columns):
            what = f"a {type(bar).__name__}, which belongs in {known.topic}" if known is not None else f"{bar!r}"
            raise InputError(
                f"row {at} is {what}, not a bar of {binding.topic}", hint="use the class that TimeBucket.set was given",
                row=at, rule="bar_class",
            )  # fmt: skip
    return pa.record_batch({name: _column(name, kind, bars) for name, kind in binding.columns.items()})


def _column(name: str, kind: DataType, bars: Sequence[Any]) -> pa.Array:
    values = [getattr(bar, name) for bar in bars]
    stored = [None if value is None else to_stored(value, kind, column=name) for value in values]
    if kind.name not in _WIDE:
        return pa.array(stored, pa.string() if kind.name == "text" else arrow_type(kind))
    null = np.array([value is None for value in stored], dtype=np.bool_)
    numbers = np.array([0 if value is None else value for value in stored], dtype=np.int64)
    return from_numpy(numbers, arrow_type(kind), null=null)
