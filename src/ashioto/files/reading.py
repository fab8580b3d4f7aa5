"""Reads Parquet and CSV files part by part, so that a file may be larger than memory.

Cells of CSV files stay text: what they mean is decided per row, so that one bad cell is no reason to stop.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass, field
from glob import glob
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import pyarrow as pa

from ashioto.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

PART_ROWS: Final = 1 << 20
"""Rows of a part of a Parquet file."""
BLOCK_BYTES: Final = 1 << 21
"""Bytes of a part of a CSV file; pyarrow reads some thirty of them ahead."""

_HEADER_BYTES: Final = 1 << 20
_SEPARATORS: Final = ",;\t|"
_KINDS: Final[dict[str, Literal["parquet", "csv"]]] = {
    ".parquet": "parquet", ".csv": "csv", ".csv.gz": "csv", ".csv.zst": "csv", ".csv.bz2": "csv",
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokenLine:
    """Names a line of a CSV file that has too many or too few cells.

    Args:
        row: Its row number, from 1; the header and empty lines do not count.
        text: The line.
        cells: How many it has.
        wanted: How many the header has.
    """

    row: int
    text: str
    cells: int
    wanted: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Holds some rows of a file.

    Args:
        file: Where they come from.
        rows: The wanted columns; text only where the file is CSV.
        first: How many rows came before, broken lines not counted.
        broken: Lines left out since the part before.
        skipped: Row numbers of every line left out so far, ascending.
        done: Bytes of the file read so far, about.
    """

    file: Path
    rows: pa.RecordBatch
    first: int
    broken: tuple[BrokenLine, ...] = ()
    skipped: tuple[int, ...] = ()
    done: int

    def number(self, row: int) -> int:
        """Return the row number in the file, from 1, of a row of this part."""
        number = self.first + row + 1
        for left_out in self.skipped:
            number += left_out <= number
        return number


@dataclass(frozen=True, slots=True, kw_only=True)
class TableFile:
    """Is a file whose columns are known and whose rows have not been read yet.

    Args:
        path: Where it is.
        kind: What it is.
        schema: Its columns; all text where it is CSV.
        size: Its length in bytes.
        separator: Between the cells of a CSV file.
    """

    path: Path
    kind: Literal["parquet", "csv"]
    schema: pa.Schema
    size: int
    separator: str = field(default=",")

    def parts(self, columns: Sequence[str]) -> Iterator[Part]:
        """Yield the rows, with these columns.

        Raises:
            InputError: The file cannot be read on.
        """
        try:
            yield from (_parquet_parts if self.kind == "parquet" else _csv_parts)(self, list(dict.fromkeys(columns)))
        except (pa.ArrowException, OSError) as error:
            raise _unreadable(self.path, error) from error


def expand(names: Sequence[str]) -> list[Path]:
    """Return the files that names and globs stand for, in order, each once.

    Raises:
        InputError: Nothing matches a name, or a file is neither Parquet nor CSV.
    """
    found: dict[Path, Path] = {}
    for name in names:
        for file in _matches(name):
            _kind(file)
            found.setdefault(file.resolve(), file)
    return list(found.values())


def open_files(names: Sequence[str]) -> list[TableFile]:
    """Return the files that names and globs stand for, with their columns.

    Raises:
        InputError: One is missing, empty, or neither Parquet nor CSV.
    """
    return [open_file(path) for path in expand(names)]


def open_file(path: Path) -> TableFile:
    """Return a file with its columns; nothing but its header is read.

    Raises:
        InputError: It is empty, or neither Parquet nor CSV.
    """
    kind = _kind(path)
    try:
        size = path.stat().st_size
        if not size:
            raise InputError(f"{path} is empty", hint="give a file with rows", file=str(path))
        if kind == "parquet":
            import pyarrow.parquet

            return TableFile(path=path, kind=kind, schema=pyarrow.parquet.read_schema(path), size=size)
        separator, names = _header(path)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise _unreadable(path, error) from error
    schema = pa.schema([(name, pa.string()) for name in names])
    return TableFile(path=path, kind=kind, schema=schema, size=size, separator=separator)


def _matches(name: str) -> list[Path]:
    path = Path(name)
    if path.is_dir():
        raise InputError(f"{name} is a folder", hint=f"give its files: '{path}/*.parquet'", file=name)
    if path.exists():
        return [path]
    files = [Path(match) for match in sorted(glob(name, recursive=True)) if not Path(match).is_dir()]  # noqa: PTH207  # absolute globs too
    if not files:
        raise InputError(f"no such file: {name}", hint="give Parquet or CSV files", file=name)
    return files


def _kind(path: Path) -> Literal["parquet", "csv"]:
    for suffixes in (path.suffixes[-1:], path.suffixes[-2:]):
        if kind := _KINDS.get("".join(suffixes).lower()):
            return kind
    raise InputError(f"{path} is neither .parquet nor .csv", hint="convert it, or rename it", file=str(path))


def _unreadable(path: Path, error: Exception) -> InputError:
    if isinstance(error, PermissionError):
        return InputError(f"{path} may not be read", hint="look at its permissions", file=str(path))
    return InputError(f"{path} cannot be read: {error}", hint="is it whole, and what its name says?", file=str(path))


def _header(path: Path) -> tuple[str, list[str]]:
    """Return the separator and the column names of a CSV file."""
    with pa.input_stream(str(path)) as stream:
        text = bytes(stream.read(_HEADER_BYTES)).split(b"\n")
    line = next((one for one in text if one.strip()), b"").decode("utf-8-sig").strip("\r")
    if not line.strip():
        raise InputError(f"{path} is empty", hint="the first line names the columns", file=str(path))
    separator = max(_SEPARATORS, key=line.count)
    return separator, next(csv.reader([line], delimiter=separator))


def _parquet_parts(file: TableFile, columns: list[str]) -> Iterator[Part]:
    import pyarrow.parquet

    texts = [name for name in columns if _is_text(file.schema.field(name).type)]
    with pyarrow.parquet.ParquetFile(file.path, read_dictionary=texts, pre_buffer=False) as parquet:
        total, first = max(parquet.metadata.num_rows, 1), 0
        for rows in parquet.iter_batches(PART_ROWS, columns=columns):
            done = file.size * (first + rows.num_rows) // total
            yield Part(file=file.path, rows=rows.select(columns), first=first, done=done)
            first += rows.num_rows


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _csv_parts(file: TableFile, columns: list[str]) -> Iterator[Part]:
    """Read on several threads until a line is broken; where it stands is only known on one thread."""
    first = 0
    for threads in (True, False):
        broken: list[BrokenLine] = []
        told, skip, seen = 0, first, 0
        with pa.OSFile(str(file.path)) as raw:
            for rows in _csv_batches(file, columns, raw, broken, threads=threads):
                if threads and broken:
                    break
                fresh = rows.slice(min(max(skip - seen, 0), rows.num_rows))
                seen += rows.num_rows
                now = tuple(line for line in broken[told:])
                told = len(broken)
                numbers = tuple(line.row for line in broken)
                done = min(raw.tell(), file.size)
                yield Part(file=file.path, rows=fresh, first=first, broken=now, skipped=numbers, done=done)
                first += fresh.num_rows
            else:
                if not (threads and broken):
                    yield _rest(file, columns, first, broken, told)
                    return


def _rest(file: TableFile, columns: list[str], first: int, broken: list[BrokenLine], told: int) -> Part:
    nothing = pa.RecordBatch.from_pylist([], schema=pa.schema([(name, pa.string()) for name in columns]))
    numbers = tuple(line.row for line in broken)
    return Part(file=file.path, rows=nothing, first=first, broken=tuple(broken[told:]), skipped=numbers, done=file.size)


def _csv_batches(
    file: TableFile, columns: list[str], raw: pa.NativeFile, broken: list[BrokenLine], *, threads: bool
) -> Iterator[pa.RecordBatch]:
    import pyarrow.csv as arrow

    def note(line: Any) -> str:
        broken.append(
            BrokenLine(
                row=(line.number or 0) - 1, text=line.text, cells=line.actual_columns, wanted=line.expected_columns
            )
        )
        return "skip"

    try:
        reader = arrow.open_csv(
            _plain(file.path, raw),
            read_options=arrow.ReadOptions(use_threads=threads, block_size=BLOCK_BYTES),
            parse_options=arrow.ParseOptions(delimiter=file.separator, invalid_row_handler=note),
            convert_options=arrow.ConvertOptions(
                include_columns=columns,
                column_types=dict.fromkeys(columns, pa.string()),
                strings_can_be_null=True,
                null_values=[""],
                check_utf8=False,
            ),
        )
    except pa.ArrowInvalid as error:
        if "Empty CSV" in str(error):  # a header without a line end
            return
        raise
    with reader:
        yield from reader


def _plain(path: Path, raw: pa.NativeFile) -> pa.NativeFile:
    packed = pa.Codec.detect(str(path)).name if path.suffix.lower() != ".csv" else None
    return raw if packed is None else pa.CompressedInputStream(raw, packed)
