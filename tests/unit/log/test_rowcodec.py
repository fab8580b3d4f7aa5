from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ashioto.errors import LogError
from ashioto.log.rowcodec import RowCodec
from ashioto.schema.arrow import rows_type

_TEXT = st.text(max_size=8)
_LONG = st.integers(-(2**63), 2**63 - 1)
VALUES: dict[pa.DataType, st.SearchStrategy[Any]] = {
    pa.int64(): _LONG,
    pa.int16(): st.integers(-(2**15), 2**15 - 1),
    pa.float64(): st.floats(allow_nan=False),
    pa.bool_(): st.booleans(),
    pa.string(): _TEXT,
    pa.dictionary(pa.int32(), pa.string()): _TEXT,
    pa.dictionary(pa.int8(), pa.binary()): st.binary(max_size=3),
    pa.binary(): st.binary(max_size=8),
    pa.date32(): st.dates(),
    pa.timestamp("ms", tz="UTC"): st.datetimes(
        min_value=datetime(1970, 1, 1), max_value=datetime(2100, 1, 1), timezones=st.just(UTC)  # noqa: DTZ001
    ).map(lambda at: at.replace(microsecond=at.microsecond // 1000 * 1000)),
    pa.decimal64(18, 5): st.integers(-(10**18) + 1, 10**18 - 1).map(lambda n: Decimal(n).scaleb(-5)),
    pa.decimal128(38, 2): st.integers(-(10**30), 10**30).map(lambda n: Decimal(n).scaleb(-2)),
    pa.list_(pa.string()): st.lists(st.none() | _TEXT, max_size=4),
    rows_type(["a", "b"]): st.lists(st.fixed_dictionaries({"a": _LONG, "b": _LONG}), max_size=3),
}  # fmt: skip


@st.composite
def batches(draw: st.DrawFn) -> pa.RecordBatch:
    kinds = draw(st.lists(st.sampled_from(list(VALUES)), min_size=1, max_size=10))
    rows = draw(st.integers(0, 6))
    columns = [draw(st.lists(st.none() | VALUES[k], min_size=rows, max_size=rows)) for k in kinds]
    schema = pa.schema([(f"c{at}", kind) for at, kind in enumerate(kinds)])
    arrays = [pa.array(values, kind) for values, kind in zip(columns, kinds, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


@settings(max_examples=300, deadline=None)
@given(batch=batches())
def test_rows_come_back_as_they_were(batch: pa.RecordBatch) -> None:
    codec = RowCodec(batch.schema)
    rows = codec.encode(batch)
    back = codec.decode(rows)
    back.validate(full=True)
    assert len(rows) == batch.num_rows
    assert back.schema == batch.schema
    assert back.to_pylist() == batch.to_pylist()


@settings(max_examples=100, deadline=None)
@given(batch=batches(), data=st.data())
def test_each_row_stands_alone(batch: pa.RecordBatch, data: st.DataObject) -> None:
    codec = RowCodec(batch.schema)
    start = data.draw(st.integers(0, batch.num_rows))
    part = batch.slice(start, data.draw(st.integers(0, batch.num_rows)))
    rows = codec.encode(batch)
    assert codec.encode(part) == rows[start : start + part.num_rows]
    order = data.draw(st.permutations(range(batch.num_rows)))
    assert codec.decode([rows[at] for at in order]).to_pylist() == [batch.to_pylist()[at] for at in order]


def test_equal_rows_have_equal_bytes_whatever_lies_under_a_null() -> None:
    hidden = pa.Array.from_buffers(pa.int64(), 1, [pa.py_buffer(b"\x00"), pa.py_buffer(b"\x07" * 8)])
    codec = RowCodec(pa.schema({"x": pa.int64()}))
    batches = [pa.RecordBatch.from_arrays([array], names=["x"]) for array in (hidden, pa.array([None], pa.int64()))]
    assert codec.encode(batches[0]) == codec.encode(batches[1])


def test_a_row_of_numbers_takes_their_width_and_one_byte() -> None:
    schema = pa.schema({"x": pa.int64(), "d": pa.date32(), "b": pa.bool_()})
    batch = pa.RecordBatch.from_pylist([{"x": 1, "d": date(2024, 1, 1), "b": True}], schema=schema)
    assert [len(row) for row in RowCodec(schema).encode(batch)] == [1 + 8 + 4 + 1]


@pytest.mark.parametrize("item", [None, {"a": 1, "b": None}])
def test_a_null_inside_a_list_of_records_is_refused(item: object) -> None:
    batch = pa.record_batch({"x": pa.array([[{"a": 1, "b": 2}, item]], rows_type(["a", "b"]))})
    with pytest.raises(LogError, match="a null inside a list of records"):
        RowCodec(batch.schema).encode(batch)


@pytest.mark.parametrize("kind", [pa.struct({"x": pa.int64()}), pa.list_(pa.int64()), pa.null(), pa.large_string()])
def test_other_types_are_refused_by_name(kind: pa.DataType) -> None:
    with pytest.raises(LogError, match="the column odd is") as caught:
        RowCodec(pa.schema({"fine": pa.int64(), "odd": kind}))
    assert "lists of text" in caught.value.hint
