"""Writes tables into Parquet or CSV files that are there whole, or not at all."""

from __future__ import annotations

import csv
import io
import os
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, Self

import pyarrow as pa
import pyarrow.compute as pc

from ashioto.errors import InputError, UsageError
from ashioto.files.parsed import is_text

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType
    from typing import BinaryIO

ROW_GROUP: Final = 1 << 20
_SPECIAL: Final = r'[",\r\n]'


class TableWriter:
    """Writes tables of one schema, one after another; a context manager that keeps nothing of a failed file.

    Args:
        target: A .parquet or .csv file, or a stream that CSV goes to.
        schema: The columns.

    Raises:
        UsageError: The name is neither .parquet nor .csv.
        InputError: The folder is not there, or the target is one.
    """

    def __init__(self, target: Path | BinaryIO, schema: pa.Schema) -> None:
        self.schema = schema
        self._stream: Any = target
        self._path: Path | None = None
        if not hasattr(target, "write"):
            self._path = check_target(target)
            self._partial = self._path.with_name(f".{self._path.name}.{os.getpid()}.part")
            self._stream = self._partial.open("wb")
        self._parquet: Any = None
        if self._path is not None and self._path.suffix.lower() == ".parquet":
            import pyarrow.parquet

            self._parquet = pyarrow.parquet.ParquetWriter(self._stream, schema, compression="zstd")
        else:
            self._stream.write(_header(schema.names))

    def write(self, table: pa.Table) -> None:
        """Add rows."""
        for at in range(0, table.num_rows, ROW_GROUP):
            part = table.slice(at, ROW_GROUP)
            if self._parquet is None:
                self._write_csv(part)
            else:
                self._parquet.write_table(part, row_group_size=ROW_GROUP)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._finish()
        finally:
            if self._parquet is not None and self._parquet.is_open:
                with suppress(OSError, pa.ArrowException):
                    self._parquet.close()
            if self._path is not None:
                self._stream.close()
                self._partial.unlink(missing_ok=True)

    def _finish(self) -> None:
        if self._parquet is not None:
            self._parquet.close()
        self._stream.flush()
        if self._path is not None:
            os.fsync(self._stream.fileno())
            self._partial.replace(self._path)

    def _write_csv(self, table: pa.Table) -> None:
        import pyarrow.csv as arrow

        readable = pa.table([_readable(table[name]) for name in table.column_names], names=table.column_names)
        texts = [readable[name] for name in readable.column_names if is_text(readable.schema.field(name).type)]
        special = any(pc.any(pc.match_substring_regex(text, _SPECIAL)).as_py() for text in texts)
        options = arrow.WriteOptions(include_header=False, quoting_style="needed" if special else "none")
        arrow.write_csv(readable, self._stream, options)


def check_target(path: Path) -> Path:
    """Return the name of a file to write, if it can be one.

    Raises:
        UsageError: It is neither .parquet nor .csv.
        InputError: Its folder is not there or may not be written into, or it is a folder.
    """
    if path.suffix.lower() not in {".parquet", ".csv"}:
        raise UsageError(f"{path} is neither .parquet nor .csv", hint="the ending says the format", file=str(path))
    if path.is_dir():
        raise InputError(f"{path} is a folder", hint="name a file in it", file=str(path))
    if not path.absolute().parent.is_dir():
        raise InputError(f"no such folder: {path.parent}", hint="make it first", file=str(path))
    if not os.access(path.absolute().parent, os.W_OK):
        raise InputError(f"nothing may be written into {path.absolute().parent}", hint="name another folder")
    return path


def _header(names: list[str]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(names)
    return text.getvalue().encode()


def _readable(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return a column as CSV should say it: times in ISO 8601 with a Z, text without dictionary."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        return column.cast(kind.value_type)
    if not pa.types.is_timestamp(kind) or kind.tz is None:
        return column
    text = column.cast(pa.int64()).cast(pa.timestamp(kind.unit)).cast(pa.string())
    return pc.binary_join_element_wise(pc.utf8_replace_slice(text, 10, 11, "T"), "Z", "")
