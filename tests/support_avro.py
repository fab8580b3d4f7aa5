"""Columns, rows and Avro schemas that property tests draw, and another reader and writer of Avro to compare with."""

from __future__ import annotations

import io
import struct
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import fastavro
import numpy as np
import pyarrow as pa
from hypothesis import strategies as st

from ashioto.schema.arrow import TIME, rows_type
from ashioto.schema.avro import TEXT_CODES, TEXTS

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
LONGS = st.integers(-(2**63), 2**63 - 1) | st.sampled_from([0, -1, 63, 64, -64, -65, 2**63 - 1, -(2**63)])
STRINGS = st.text(st.characters(exclude_categories=["Cs"]), max_size=9)
BINARY = st.binary(max_size=9)
MILLISECONDS = st.integers(-62_135_596_800_000, 253_402_300_799_999)


def decimals(precision: int, scale: int) -> st.SearchStrategy[Decimal]:
    top = 10**precision - 1
    units = st.integers(-top, top) | st.sampled_from([0, -1, 127, 128, -128, -129, top, -top])
    return units.map(lambda n: Decimal(f"{n}e-{scale}"))


RECORDS = rows_type(["open_ms", "b"])
VALUES: dict[pa.DataType, st.SearchStrategy[Any]] = {
    pa.bool_(): st.booleans(),
    pa.int64(): LONGS,
    pa.float64(): st.floats(),
    pa.string(): STRINGS,
    pa.binary(): BINARY,
    TEXT_CODES: STRINGS | st.sampled_from(["EURUSD", "GBPUSD"]),
    TEXTS: st.lists(st.none() | STRINGS, max_size=4),
    RECORDS: st.lists(st.fixed_dictionaries({"open_ms": LONGS, "b": LONGS}), max_size=3),
    TIME: MILLISECONDS.map(lambda ms: EPOCH + timedelta(milliseconds=ms)),
    pa.timestamp("us", tz="UTC"): MILLISECONDS.map(lambda ms: EPOCH + timedelta(milliseconds=ms, microseconds=7)),
    pa.date32(): st.dates(date(1, 1, 1)),
    pa.decimal64(18, 5): decimals(18, 5),
    pa.decimal64(4, 4): decimals(4, 4),
    pa.decimal128(18, 0): decimals(18, 0),
    pa.decimal128(38, 9): decimals(28, 9),
}
"""Values of every type we write. Wide decimals have 28 digits, as the other reader rounds longer ones."""


@st.composite
def batches(draw: st.DrawFn, *, kinds: Sequence[pa.DataType] = tuple(VALUES), most: int = 6) -> pa.RecordBatch:
    """Rows of some columns, cut out of longer ones."""
    types = draw(st.lists(st.sampled_from(list(kinds)), min_size=1, max_size=5))
    rows = draw(st.integers(0, most))
    first = draw(st.integers(0, rows))
    columns = []
    for kind in types:
        values = draw(st.lists(st.none() | VALUES[kind], min_size=rows, max_size=rows))
        columns.append(pa.array(values, kind))
    schema = pa.schema([(f"c{n}", kind) for n, kind in enumerate(types)])
    return pa.RecordBatch.from_arrays(columns, schema=schema).slice(first)


def same(value: object) -> object:
    """A value that equals another only if they are the same: NaN too, and 0.0 is not -0.0."""
    if isinstance(value, float):
        return struct.pack(">d", value)
    if isinstance(value, list):
        return [same(item) for item in value]
    return {name: same(item) for name, item in value.items()} if isinstance(value, dict) else value


def written(avro: Any, rows: Sequence[dict[str, object]]) -> list[bytes]:
    """Rows as the other writer puts them."""
    parsed = fastavro.parse_schema(avro)
    found = []
    for row in rows:
        out = io.BytesIO()
        fastavro.schemaless_writer(out, parsed, row)
        found.append(out.getvalue())
    return found


def read(avro: Any, value: bytes) -> tuple[Any, int]:
    """A record as the other reader finds it, and how many bytes it has."""
    source = io.BytesIO(value)
    found = fastavro.schemaless_reader(source, fastavro.parse_schema(avro), None)
    return found, source.tell()


def joined(
    values: Sequence[bytes], *, gaps: Sequence[bytes] = ()
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Values in one buffer, each behind a gap, and where they begin and end."""
    data, starts, stops = bytearray(), [], []
    for n, value in enumerate(values):
        data += gaps[n % len(gaps)] if gaps else b""
        starts.append(len(data))
        data += value
        stops.append(len(data))
    data += gaps[-1] if gaps else b""
    return np.frombuffer(bytes(data), np.uint8), np.array(starts, np.int64), np.array(stops, np.int64)


def rows_of(values: npt.NDArray[np.uint8], offsets: npt.NDArray[np.int64]) -> list[bytes]:
    return [values[a:b].tobytes() for a, b in pairwise(offsets.tolist())]


_SIMPLE: list[tuple[Any, st.SearchStrategy[Any]]] = [
    ("null", st.none()),
    ("boolean", st.booleans()),
    ("int", st.integers(-(2**31), 2**31 - 1)),
    ("long", LONGS),
    ("float", st.floats(width=32, allow_nan=False)),
    ("double", st.floats(allow_nan=False)),
    ("string", STRINGS),
    ("bytes", BINARY),
]
Typed = tuple[Any, st.SearchStrategy[Any]]


def _array(inner: Typed) -> Typed:
    return {"type": "array", "items": inner[0]}, st.lists(inner[1], max_size=3)


def _map(inner: Typed) -> Typed:
    return {"type": "map", "values": inner[0]}, st.dictionaries(STRINGS, inner[1], max_size=3)


def _record(inner: list[Typed]) -> Typed:
    fields = [{"name": f"f{n}", "type": kind} for n, (kind, _) in enumerate(inner)]
    values = st.fixed_dictionaries({f"f{n}": values for n, (_, values) in enumerate(inner)})
    return {"type": "record", "name": "?", "fields": fields}, values


def _union(inner: list[Typed]) -> Typed:
    return [kind for kind, _ in inner], st.one_of([values for _, values in inner])


ANY_TYPE: st.SearchStrategy[Typed] = st.recursive(
    st.sampled_from(_SIMPLE)
    | st.just(({"type": "fixed", "name": "?", "size": 3}, st.binary(min_size=3, max_size=3)))
    | st.just(({"type": "enum", "name": "?", "symbols": ["A", "B"]}, st.sampled_from(["A", "B"])))
    | st.lists(st.sampled_from(_SIMPLE), min_size=1, max_size=4, unique_by=lambda typed: str(typed[0])).map(_union),
    lambda inner: inner.map(_array) | inner.map(_map) | st.lists(inner, max_size=3).map(_record),
    max_leaves=6,
)
"""Avro types of any shape, with their values; named types are all called `?`, see `named`."""


def named(avro: Any, numbers: list[int]) -> Any:
    """A type whose named types have names of their own."""
    if isinstance(avro, list):
        return [named(branch, numbers) for branch in avro]
    if not isinstance(avro, dict):
        return avro
    made = {name: named(value, numbers) for name, value in avro.items()}
    if made.get("name") == "?":
        numbers.append(0)
        made["name"] = f"T{len(numbers)}"
    return made
