"""Undo files: bars as they were and as they became, in Parquet, whole or not there at all."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Final, Self

import numpy as np
import pyarrow as pa

from ashioto.errors import InputError
from ashioto.files.writing import TableWriter
from ashioto.migration.changes import Difference
from ashioto.period import Period

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from types import TracebackType

    from ashioto.engines.embedded.plan import CompiledQuery

FORMAT: Final = 1
_META: Final = b"ashioto.undo"
_NOTES: Final = pa.schema(
    [("__frame", pa.string()), ("__key", pa.binary()), ("__after", pa.bool_()), ("__present", pa.bool_())]
)
"""What stands before the columns of a bar; no column of a bar has such a name."""
_ROWS: Final = 250_000


@dataclass(frozen=True, slots=True, kw_only=True)
class UndoLabel:
    """Says what an undo file belongs to.

    Args:
        job: Id of the migration that wrote it.
        env: Environment and cluster.
        context: Of the query.
        query: Name of the query.
        checksum: Of the query.
        written_ms: When, ms.
    """

    job: str
    env: tuple[str, str]
    context: str
    query: str
    checksum: str
    written_ms: int


class UndoWriter:
    """Writes an undo file; a context manager that keeps nothing of a failed one.

    Args:
        path: The file; it is not there yet.
        label: What it belongs to.
        schema: Columns of the bars.

    Raises:
        InputError: The file is there already, or its folder is not.
    """

    def __init__(self, path: Path, label: UndoLabel, schema: pa.Schema) -> None:
        if path.exists():
            raise InputError(f"{path} is there already", hint="undo files are never overwritten", file=str(path))
        self._path, self._bars = path, schema
        text = json.dumps({"format": FORMAT, **asdict(label)}, sort_keys=True)
        self._schema = pa.schema([*_NOTES, *schema], metadata={_META: text.encode()})
        self._writer = TableWriter(path, self._schema)
        self.rows = 0

    def write(self, found: Difference) -> None:
        """Add what differs in some bars."""
        for first in range(0, found.rows, _ROWS):
            at = np.arange(found.rows)
            part = found.where((at >= first) & (at < first + _ROWS))
            sides = [self._side(part, part.before, part.there, after=False)]
            sides.append(self._side(part, part.after, ~part.gone, after=True))
            self._writer.write(pa.concat_tables(sides).combine_chunks())
        self.rows += found.rows

    def _side(self, found: Difference, bars: pa.RecordBatch, present: np.ndarray, *, after: bool) -> pa.Table:
        notes = [
            pa.repeat(pa.scalar(found.period.kind), found.rows),
            found.keys,
            pa.repeat(pa.scalar(after), found.rows),
            pa.array(present),
        ]
        return pa.Table.from_arrays([*notes, *bars.columns], schema=self._schema)

    def __enter__(self) -> Self:
        self._writer.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._writer.__exit__(kind, error, trace)
        if kind is None:
            _sync(self._path.absolute().parent)


class UndoFile:
    """Reads an undo file.

    Args:
        path: The file.

    Raises:
        InputError: It is no undo file, or not whole.
    """

    def __init__(self, path: Path) -> None:
        import pyarrow.parquet

        self.path = path
        if not path.is_file():
            raise InputError(f"no such file: {path}", hint="rc migrate swap says what it writes", file=str(path))
        try:
            schema = pyarrow.parquet.read_schema(path)
        except (pa.ArrowException, OSError) as error:
            raise self._broken(str(error)) from error
        text = (schema.metadata or {}).get(_META)
        if text is None:
            raise self._broken("it is another kind of Parquet file")
        found = json.loads(text)
        if found.pop("format") != FORMAT:
            raise self._broken("another version of ashioto wrote it")
        self.label = UndoLabel(**{**found, "env": tuple(found["env"])})

    def read(self, plan: CompiledQuery, schema: pa.Schema) -> Iterator[Difference]:
        """Yield what differs, some bars of one frame at a time.

        Args:
            plan: The query.
            schema: Columns of its bars.

        Raises:
            InputError: The file is not whole, or its bars have other columns.
        """
        import pyarrow.parquet

        try:
            with pyarrow.parquet.ParquetFile(self.path) as parquet:
                for number in range(parquet.num_row_groups):
                    yield self._difference(parquet.read_row_group(number), plan, schema)
        except (pa.ArrowException, OSError) as error:
            raise self._broken(str(error)) from error

    def _difference(self, rows: pa.Table, plan: CompiledQuery, schema: pa.Schema) -> Difference:
        if rows.schema.names != [*_NOTES.names, *schema.names]:
            raise InputError(
                f"{self.path} has bars with other columns than {plan.query.name} makes now",
                hint="bring the query back as it was, rc infra apply, and run this again",
                file=str(self.path),
            )
        before, after = (rows.filter(rows["__after"] if side else _not(rows["__after"])) for side in (False, True))
        sides = []
        for side in (before, after):
            columns = [side[field.name].cast(field.type).combine_chunks() for field in schema]
            parts = [c if isinstance(c, pa.Array) else pa.concat_arrays(c.chunks) for c in columns]
            sides.append(pa.RecordBatch.from_arrays(parts, schema=schema))
        return Difference(
            period=Period.parse(before["__frame"][0].as_py()),
            keys=before["__key"].combine_chunks(),
            before=sides[0],
            after=sides[1],
            there=np.asarray(before["__present"]),
            gone=~np.asarray(after["__present"]),
            equal=0,
        )

    def _broken(self, why: str) -> InputError:
        return InputError(
            f"{self.path} cannot be used: {why}", hint="give the file that rc migrate swap named", file=str(self.path)
        )


def _not(column: pa.ChunkedArray) -> pa.ChunkedArray:
    import pyarrow.compute as pc

    return pc.invert(column)


def _sync(folder: Path) -> None:
    """Make the names in a folder last."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
