"""Avro values as columns: whole batches of records are written and read without an object a row."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ashioto.errors import SchemaError
from ashioto.schema import avroencode
from ashioto.schema import avrokernel as k
from ashioto.schema.arrow import plain
from ashioto.schema.avro import arrow_schema
from ashioto.schema.avrocolumns import Found, Given
from ashioto.schema.avroprogram import program

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ashioto.schema.avroprogram import Program

Bytes = npt.NDArray[np.uint8]
Ints = npt.NDArray[np.int64]
_WRITTEN: Final = {k.BOOL, k.INT, k.LONG, k.DOUBLE, k.BYTES, k.STRING, k.DECIMAL, k.WIDE, k.TEXTS, k.ROWS}


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoded:
    """Holds records one behind the other.

    Args:
        buffer: All bytes.
        offsets: Where each record begins, and where the last ends; shape (n + 1,).
    """

    buffer: Bytes
    offsets: Ints


@dataclass(frozen=True, slots=True, kw_only=True)
class Decoded:
    """Holds records as columns.

    Args:
        data: A row for each record; rows of damaged records are null.
        reasons: Why a record could not be read, by row.
    """

    data: pa.RecordBatch
    reasons: dict[int, str]


class AvroCodec:
    r"""Writes and reads records of one Avro schema as columns.

    Args:
        writer: The Avro schema in which records are or were written, as JSON values.
        reader: The columns wanted. Those that the writer lacks are null; fields that are not among them are skipped.

    Raises:
        SchemaError: The writer is no schema of records, or a field is of another type than its column.

    >>> from ashioto.schema.avro import avro_schema
    >>> columns = pa.schema({"symbol": pa.string(), "size": pa.int64()})
    >>> codec = AvroCodec(avro_schema(columns, name="tick"), columns)
    >>> made = codec.encode(pa.RecordBatch.from_pydict({"symbol": ["EURUSD"], "size": [None]}, schema=columns))
    >>> made.buffer.tobytes()
    b'\x02\x0cEURUSD\x00'
    >>> codec.decode(made.buffer, made.offsets[:-1], made.offsets[1:]).data.to_pylist()
    [{'symbol': 'EURUSD', 'size': None}]
    """

    def __init__(self, writer: Mapping[str, object], reader: pa.Schema) -> None:
        self._writer = writer
        self._reader = reader.remove_metadata()
        self._program = program(writer, reader)

    def decode(self, buffer: Bytes, starts: Ints, stops: Ints) -> Decoded:
        """Read records into columns.

        Args:
            buffer: The bytes of all records.
            starts: Where each begins; shape (n,).
            stops: Where each ends; shape (n,).

        Raises:
            SchemaError: The text of one column has more than 2 GiB.
        """
        made, rows = self._program, len(starts)
        data, begins, ends = _given(buffer, np.uint8), _given(starts, np.int64), _given(stops, np.int64)
        first, second = _zeros(len(made.columns), rows), _zeros(made.halves, rows)
        valid = np.zeros(first.shape, dtype=np.bool_)
        damage, where = np.zeros(rows, dtype=np.int8), np.zeros(rows, dtype=np.int64)
        bad = k.read_records(
            data, begins, ends, made.steps, made.nodes, made.kids, first, second,
            valid, damage, where, np.zeros((k.DEEPEST, 2), dtype=np.int64),
        )  # fmt: skip
        found = Found(data=data, stops=ends, first=first, second=second, valid=valid, steps=made.steps)
        columns = [
            found.column(made.columns[c.name], c.type) if c.name in made.columns else pa.nulls(rows, c.type)
            for c in self._reader
        ]
        reasons = _reasons(made, damage, where) if bad else {}
        return Decoded(data=pa.RecordBatch.from_arrays(columns, schema=self._reader), reasons=reasons)

    def encode(self, data: pa.RecordBatch, *, prefix: bytes = b"") -> Encoded:
        """Write rows as records.

        Args:
            data: The rows; fields of the schema that they lack are null.
            prefix: Stands before every record.

        Raises:
            SchemaError: A column is not in the schema or of another type, or null where the schema allows none.
        """
        made, rows = self._whole, data.num_rows
        given = Given(
            first=_zeros(len(made.columns), rows), second=_zeros(made.halves, rows),
            valid=np.zeros((len(made.columns), rows), dtype=np.bool_),
        )  # fmt: skip
        room = self._fill(data, given) + rows * (len(prefix) + _widths(made))
        out, offsets = np.empty(room, dtype=np.uint8), np.empty(rows + 1, dtype=np.int64)
        avroencode.write_records(
            made.steps, given.first, given.second, given.valid, given.all_texts(), given.all_items(),
            given.all_numbers(), _given(np.frombuffer(prefix, dtype=np.uint8), np.uint8), out, offsets,
        )  # fmt: skip
        return Encoded(buffer=out[: offsets[-1]], offsets=offsets)

    @cached_property
    def _whole(self) -> Program:
        """The program of all fields, whichever are read."""
        whole = program(self._writer, arrow_schema(self._writer))
        odd = [name for name in whole.names if name not in whole.columns or whole.columns[name].op not in _WRITTEN]
        if odd:
            raise SchemaError(f"values of the fields {', '.join(odd)} are only read, not written", columns=odd)
        return whole

    def _fill(self, data: pa.RecordBatch, given: Given) -> int:
        types = {column.name: column.type for column in arrow_schema(self._writer)}
        room, missing = 0, set(self._whole.names) - set(data.schema.names)
        for name, array in zip(data.schema.names, data.columns, strict=True):
            _check(name, array.type, types.get(name))
            if array.null_count:
                missing.add(name)
            room += given.put(self._whole.columns[name], array)
        never = sorted(n for n in missing if data.num_rows and not _may_be_null(self._whole, n))
        if never:
            raise SchemaError(f"{', '.join(never)} cannot be null in the schema of these values", columns=never)
        return room


def _zeros(columns: int, rows: int) -> Ints:
    return np.zeros((columns, rows), dtype=np.int64)


def _given(array: npt.NDArray[Any], kind: type[np.generic]) -> npt.NDArray[Any]:
    """Return an array as the kernels know it: one that could be written to would make them compile once more."""
    view = np.require(array, kind, ["C", "A"]).view()
    view.flags.writeable = False
    return view


def _widths(made: Program) -> int:
    """Return how many bytes the fields of a record may have, the text in them apart."""
    return sum(
        avroencode.LONGEST + avroencode.WIDE_MORE * (c.op in {k.WIDE, k.TEXTS, k.ROWS}) for c in made.columns.values()
    )


def _may_be_null(made: Program, name: str) -> bool:
    return bool(made.steps[made.columns[name].step, k.NULL_BRANCH] >= 0)


def _check(name: str, is_now: pa.DataType, wanted: pa.DataType | None) -> None:
    if wanted is None or plain(is_now) != plain(wanted):
        what = "is not in the schema of these values" if wanted is None else f"is {is_now}, not {wanted}"
        raise SchemaError(f"the column {name} {what}", column=name)


def _reasons(made: Program, damage: npt.NDArray[np.int8], where: Ints) -> dict[int, str]:
    rows = np.flatnonzero(damage)
    said: dict[tuple[int, int], str] = {}
    found: dict[int, str] = {}
    for row, code, field in zip(rows.tolist(), damage[rows].tolist(), where[rows].tolist(), strict=True):
        text = said.get((code, field))
        if text is None:
            place = f" in {made.names[field]}" if field >= 0 else ""
            text = said[code, field] = k.DAMAGE[code] + place
        found[row] = text
    return found
