"""Turns rows of files into the columns of a stream, and sets bad rows aside with their reasons."""

from __future__ import annotations

import difflib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from ashioto.errors import InputError, UsageError
from ashioto.files.columns import READERS, constant, instead_of_null, repeated
from ashioto.files.parsed import Parsed
from ashioto.files.rejected import Rejected
from ashioto.files.times import TimeReader
from ashioto.schema.arrow import storage_schema
from ashioto.schema.defaults import default_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ashioto.files.reading import Part, TableFile
    from ashioto.logical.nodes import Column, Entity


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnSource:
    """Says where the columns of a stream come from.

    Args:
        columns: Column of the file, by column of the stream; those not named keep their name.
        constants: Value by column of the stream, for columns that are not in the file.
        options: What a user writes to name the column of the file, by column of the stream; for hints.
    """

    columns: Mapping[str, str] = field(default_factory=dict)
    constants: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, str] = field(default_factory=dict)

    def of(self, column: Column) -> str:
        """Return the column of the file that a column of the stream is read from."""
        return self.columns.get(column.name, column.name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """Holds what a part of a file comes down to.

    Args:
        batch: The good rows, in the storage schema of the stream.
        rejected: The bad rows; None when there are none.
        rounded: How many values had more digits than are kept, by column of the file.
    """

    batch: pa.RecordBatch
    rejected: Rejected | None = None
    rounded: Mapping[str, int] = field(default_factory=dict)


class RowReader:
    """Reads the rows of files as those of a stream.

    Args:
        entity: The stream.
        source: Where its columns come from.
        times: How times are to be understood; as UTC when not given.

    Raises:
        InputError: The source names a column the stream has not.
        UsageError: A constant cannot be read as what it should be.
    """

    def __init__(self, entity: Entity, source: ColumnSource, times: TimeReader | None = None) -> None:
        self.entity, self.source = entity, source
        self._times = times or TimeReader()
        self._schema = storage_schema(entity)
        for name in (*source.columns, *source.constants):
            if entity.find(name) is None:
                known = ", ".join(c.name for c in entity.columns)
                raise InputError(f"{entity.name} has no column {name!r}", hint=f"its columns are {known}", column=name)
        self._constants = {c.name: self._constant(c) for c in entity.columns if c.name in source.constants}

    def wanted(self, file: TableFile) -> list[str]:
        """Return the columns to read from a file.

        Raises:
            InputError: One is missing, there twice, or of a type that cannot be read as what it should be.
        """
        names = [self._check(file, column) for column in self.entity.columns if column.name not in self._constants]
        return list(dict.fromkeys(name for name in names if name is not None))

    def read(self, part: Part) -> Rows:
        """Return the good rows of a part, and its bad ones."""
        made: list[pa.Array] = []
        reasons: list[tuple[str, str]] = []
        code = np.full(part.rows.num_rows, -1, dtype=np.int64)
        rounded: dict[str, int] = {}
        for column in self.entity.columns:
            parsed, theirs = self._column(column, part.rows), self.source.of(column)
            made.append(parsed.values)
            for reason, mask in (*parsed.bad, *([] if parsed.null is None else [("is null", parsed.null)])):
                code[mask & (code < 0)] = len(reasons)
                reasons.append((theirs, reason))
            if parsed.rounded:
                rounded[theirs] = parsed.rounded
        batch = pa.RecordBatch.from_arrays(made, schema=self._schema)
        if not reasons and not part.broken:
            return Rows(batch=batch, rounded=rounded)
        bad = np.flatnonzero(code >= 0)
        kept = batch.take(pa.array(np.flatnonzero(code < 0))) if bad.shape[0] else batch
        rejected = Rejected(part=part, rows=bad, why=code[bad], reasons=tuple(reasons))
        return Rows(batch=kept, rejected=rejected if len(rejected) else None, rounded=rounded)

    def _check(self, file: TableFile, column: Column) -> str | None:
        theirs, reader = self.source.of(column), READERS[column.type.name]
        count = file.schema.names.count(theirs)
        if count == 0 and column.default is not None and column.name not in self.source.columns:
            return None
        if count != 1:
            have = ", ".join(file.schema.names)
            what = f"{count} columns" if count else "no column"
            hint = "rename one of them" if count else self._hint(file, column)
            raise InputError(f"{file.path} has {what} {theirs!r}; it has {have}", hint=hint, column=theirs)
        kind = file.schema.field(theirs).type
        if not reader.takes(kind):
            raise InputError(
                f"column {theirs!r} of {file.path} is {kind}, it should be {reader.wants}",
                hint="convert the column, or name another one",
                column=theirs,
            )
        return theirs

    def _hint(self, file: TableFile, column: Column) -> str:
        option = self.source.options.get(column.name, f"--map {column.name}=")
        near = difflib.get_close_matches(self.source.of(column), file.schema.names, 1)
        hint = f"did you mean {option}{near[0]}?" if near else f"{option}<one of them>"
        return hint if column.role != "key" else f"{hint} or --key {column.name}=..."

    def _column(self, column: Column, rows: pa.RecordBatch) -> Parsed:
        theirs = self.source.of(column)
        if column.name in self._constants:
            return Parsed(values=repeated(self._constants[column.name], rows.num_rows))
        if theirs not in rows.schema.names:
            return Parsed(values=repeated(default_of(column), rows.num_rows))
        parsed = READERS[column.type.name].read(rows.column(theirs), column.type, self._times)
        return parsed if column.default is None else instead_of_null(parsed, default_of(column))

    def _constant(self, column: Column) -> pa.Array:
        text = self.source.constants[column.name]
        found = constant(column, text, TimeReader())
        for reason, _ in found.bad:
            raise UsageError(f"{column.name}={text}: {text!r} {reason}", hint=f"{column.name} is {column.type}")
        return found.values
