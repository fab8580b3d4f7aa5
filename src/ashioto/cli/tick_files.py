"""Reads files into the columns of a stream, by a mapping of names."""

from __future__ import annotations

from dataclasses import dataclass, field
from glob import glob
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pyarrow as pa
import pyarrow.compute as pc

from ashioto.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from ashioto.logical.nodes import Column, Entity

BATCH_ROWS: Final = 262_144
_TIME: Final = pa.timestamp("ms", tz="UTC")
_EPOCH_UNITS: Final = ((10**11, "s"), (10**14, "ms"), (10**17, "us"))


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnSource:
    """Says where the columns of a stream come from.

    Args:
        columns: Column of the file, by column of the stream; those not named keep their name.
        constants: Value by column of the stream, for columns that are not in the file.
    """

    columns: Mapping[str, str] = field(default_factory=dict)
    constants: Mapping[str, str] = field(default_factory=dict)


def expand(names: Sequence[str]) -> list[Path]:
    """Return the files that names and globs stand for, in order.

    Raises:
        InputError: Nothing matches a name, or a file is neither Parquet nor CSV.
    """
    found: list[Path] = []
    for name in names:
        matches = sorted(glob(name)) if any(c in name for c in "*?[") else [name]  # noqa: PTH207  # absolute globs too
        files = [Path(match) for match in matches if Path(match).is_file()]
        if not files:
            raise InputError(f"no such file: {name}", hint="give Parquet or CSV files", file=name)
        found += files
    for file in found:
        if file.suffix.lower() not in {".parquet", ".csv"}:
            raise InputError(f"{file} is neither .parquet nor .csv", hint="convert it, or rename it", file=str(file))
    return found


def read_batches(file: Path) -> Iterator[pa.Table]:
    """Yield the rows of a Parquet or CSV file, part by part; a file may be larger than memory.

    Raises:
        InputError: It cannot be read.
    """
    import pyarrow.csv
    import pyarrow.parquet

    try:
        if file.suffix.lower() == ".csv":
            if file.stat().st_size == 0:
                raise InputError(f"{file} is empty", hint="the first line names the columns", file=str(file))
            with pyarrow.csv.open_csv(file) as reader:
                for batch in reader:
                    yield pa.Table.from_batches([batch])
        else:
            with pyarrow.parquet.ParquetFile(file) as parquet:
                for batch in parquet.iter_batches(BATCH_ROWS):
                    yield pa.Table.from_batches([batch])
    except pa.ArrowInvalid as error:
        raise InputError(f"{file} cannot be read: {error}", hint="is it whole, and what its name says?") from error


def map_columns(entity: Entity, table: pa.Table, source: ColumnSource) -> pa.Table:
    """Return a file's rows with the columns of a stream; columns nobody asked for are dropped.

    Times without a zone are taken as UTC; whole numbers as s, ms, us or ns since 1970, by their size; text is read.

    Raises:
        InputError: A column is missing or cannot be read as what it should be; names those the file has.
    """
    for name in (*source.columns, *source.constants):
        if entity.find(name) is None:
            known = ", ".join(c.name for c in entity.columns)
            raise InputError(f"{entity.name} has no column {name!r}", hint=f"its columns are {known}", column=name)
    made: dict[str, pa.ChunkedArray] = {}
    for column in entity.columns:
        theirs = source.columns.get(column.name, column.name)
        if column.name in source.constants:
            made[column.name] = _constant(column, source.constants[column.name], table.num_rows)
        elif theirs in table.column_names:
            made[column.name] = _readable(entity, column, table[theirs])
        elif column.default is None:
            have = ", ".join(table.column_names)
            raise InputError(
                f"the file has no column {theirs!r}; it has {have}",
                hint=f"--map {column.name}=<one of them>" + (f" or --key {column.name}=..." * (column.role == "key")),
                column=theirs,
            )
    return pa.table(made)


def _constant(column: Column, value: str, rows: int) -> pa.ChunkedArray:
    array = pa.repeat(pa.scalar(value, pa.string()), rows)
    return pa.chunked_array([array if column.type.name == "text" else pc.cast(array, pa.int64())])


def _readable(entity: Entity, column: Column, values: pa.ChunkedArray) -> pa.ChunkedArray:
    try:
        if column.type.name == "timestamp":
            return read_times(values)
        if pa.types.is_string(values.type) or pa.types.is_large_string(values.type):
            return _parsed(column, values)
    except pa.ArrowInvalid as error:
        raise InputError(
            f"{entity.name}.{column.name} is {column.type}, the file has {values.type}: {error}",
            hint="clean the file, or map another column",
            column=column.name,
        ) from error
    if column.type.name == "text" and pa.types.is_integer(values.type):
        return pc.cast(values, pa.string())
    return values


def read_times(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return times in UTC milliseconds, from times, whole numbers since 1970, or text; others as they are.

    Raises:
        pa.ArrowInvalid: Text is no time.

    >>> str(read_times(pa.chunked_array([[1736155800]])).type)
    'timestamp[ms, tz=UTC]'
    """
    kind = values.type
    if pa.types.is_integer(kind):
        largest = pc.max(pc.abs(values)).as_py() or 0
        unit = next((u for bound, u in _EPOCH_UNITS if largest < bound), "ns")
        return pc.cast(pc.cast(pc.cast(values, pa.int64()), pa.timestamp(unit, tz="UTC")), _TIME, safe=False)
    if pa.types.is_timestamp(kind):
        return pc.cast(pc.assume_timezone(values, "UTC") if kind.tz is None else values, _TIME, safe=False)
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return pc.cast(pc.cast(values, pa.timestamp("ns", tz="UTC")), _TIME, safe=False)
    return values


def _parsed(column: Column, values: pa.ChunkedArray) -> pa.ChunkedArray:
    match column.type.name:
        case "decimal":
            return pc.cast(values, pa.decimal128(38, column.type.scale))
        case "int64":
            return pc.cast(values, pa.int64())
        case "float64":
            return pc.cast(values, pa.float64())
        case "date":
            return pc.cast(values, pa.date32())
        case _:
            return values
