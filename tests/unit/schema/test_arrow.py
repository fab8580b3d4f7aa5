from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ashioto import keys
from ashioto.errors import InputError
from ashioto.logical.nodes import BOOL, DATE, FLOAT64, INT64, TEXT, TIMESTAMP, Column, DataType, Entity
from ashioto.schema.arrow import TIME, arrow_type, from_numpy, int64_view, key_column, storage_schema, user_table

PRICE = DataType(name="decimal", precision=18, scale=5)
WIDE = [pa.int64(), pa.decimal64(18, 5), TIME]
CODED = pa.dictionary(pa.int32(), pa.string())
NUMBERS = st.lists(st.integers(-(10**17), 10**17), max_size=30)
NUMBERS_OR_NULL = st.lists(st.none() | st.integers(-(10**17), 10**17), max_size=30)
DAYS_OR_NULL = st.lists(st.none() | st.integers(-700_000, 2_900_000), max_size=30)
# Half of the text is made of what separators and escapes are made of.
TEXTS = st.text(st.sampled_from("\\\x1fu001fa") | st.characters(exclude_categories=["Cs"]), max_size=6)


def column(numbers: list[int | None], kind: pa.DataType) -> pa.Array:
    """Integers as a column of a type, with nulls over something that is not 0."""
    data = np.array([7 if n is None else n for n in numbers], dtype=np.int64)
    return from_numpy(data, kind, null=np.array([n is None for n in numbers], dtype=np.bool_))


def part(array: pa.Array, data: st.DataObject) -> tuple[pa.Array, slice]:
    """Some stretch of a column."""
    first = data.draw(st.integers(0, len(array)), label="first")
    count = data.draw(st.integers(0, len(array) - first), label="count")
    return array.slice(first, count), slice(first, first + count)


@pytest.mark.parametrize("kind", WIDE, ids=str)
@given(numbers=NUMBERS)
def test_numbers_come_back_from_every_wide_type(kind: pa.DataType, numbers: list[int]) -> None:
    made = from_numpy(np.array(numbers, dtype=np.int64), kind)
    assert (made.type, made.null_count) == (kind, 0)
    assert int64_view(made).tolist() == numbers
    made.validate(full=True)


@pytest.mark.parametrize("kind", [*WIDE, pa.date32()], ids=str)
@given(data=st.data())
def test_slices_and_chunks_keep_their_numbers_and_nulls_are_0(kind: pa.DataType, data: st.DataObject) -> None:
    numbers = data.draw(DAYS_OR_NULL if kind == pa.date32() else NUMBERS_OR_NULL)
    expected = [n or 0 for n in numbers]
    whole = column(numbers, kind)
    piece, where = part(whole, data)
    again, inner = part(piece, data)
    assert int64_view(whole).tolist() == expected
    assert int64_view(piece).tolist() == expected[where]
    assert int64_view(again).tolist() == expected[where][inner]
    assert int64_view(pa.chunked_array([piece, whole], kind)).tolist() == expected[where] + expected


@given(NUMBERS_OR_NULL)
def test_nulls_stay_nulls(numbers: list[int | None]) -> None:
    assert column(numbers, pa.int64()).to_pylist() == numbers
    scaled = [None if n is None else Decimal(n).scaleb(-5) for n in numbers]
    assert column(numbers, pa.decimal64(18, 5)).to_pylist() == scaled


@given(DAYS_OR_NULL)
def test_days_become_dates(days: list[int | None]) -> None:
    made = column(days, pa.date32())
    assert made.type == pa.date32()
    assert made.cast(pa.int32()).to_pylist() == days


@given(st.lists(st.none() | st.floats(allow_nan=False), max_size=20))
def test_floats_and_flags_pass_as_they_are(values: list[float | None]) -> None:
    null = np.array([v is None for v in values], dtype=np.bool_)
    data = np.array([v or 0.0 for v in values], dtype=np.float64)
    assert from_numpy(data, pa.float64(), null=null).to_pylist() == values
    assert from_numpy(null, pa.bool_()).to_pylist() == null.tolist()


def test_wide_columns_without_nulls_are_not_copied() -> None:
    array = pa.array([1, 2, 3], pa.int64())
    view = int64_view(array)
    assert view.ctypes.data == array.buffers()[1].address


@pytest.mark.parametrize("kind", [pa.int32(), pa.bool_(), pa.string(), pa.decimal128(18, 5), CODED], ids=str)
def test_other_widths_are_refused_and_not_misread(kind: pa.DataType) -> None:
    with pytest.raises(TypeError, match="no int64 under it"):
        int64_view(pa.array([None, None], kind))


@pytest.mark.parametrize("kind", [TEXT, INT64, FLOAT64, BOOL, TIMESTAMP, DATE, PRICE], ids=str)
def test_a_schema_lays_columns_out_in_their_order(kind: DataType) -> None:
    entity = Entity(
        name="Rate",
        kind="stream",
        columns=(Column(name="b", type=kind), Column(name="a", type=TIMESTAMP, role="timestamp")),
    )
    assert storage_schema(entity) == pa.schema([("b", arrow_type(kind)), ("a", TIME)])


def times(values: list[int]) -> pa.Array:
    """Milliseconds as a stored time column."""
    return from_numpy(np.array(values, dtype=np.int64), TIME)


def utc(ms: int) -> datetime:
    """An instant of whole milliseconds."""
    return datetime.fromtimestamp(ms // 1000, tz=UTC).replace(microsecond=ms % 1000 * 1000)


ROWS = st.lists(st.tuples(TEXTS, TEXTS, st.integers(-(2**63), 2**63 - 1), st.integers(0, 10**13 - 1)), max_size=20)


@given(ROWS, st.integers(0, 20))
@example([("a\x1fb", "\\", -1, 0)], 0)
def test_key_bytes_are_those_of_single_keys(rows: list[tuple[str, str, int, int]], first: int) -> None:
    plain: list[str] = [a for a, _, _, _ in rows]
    coded: list[str] = [b for _, b, _, _ in rows]
    batch = pa.record_batch(
        {
            "plain": pa.array(plain, pa.string()),
            "coded": pa.array(coded, pa.string()).dictionary_encode().cast(CODED),
            "whole": pa.array([n for _, _, n, _ in rows], pa.int64()),
            "at": times([t for _, _, _, t in rows]),
        }
    )
    names = ["coded", "at", "whole", "plain"]
    expected = [keys.encode([b, utc(t), n, a]) for a, b, n, t in rows]
    made = key_column(names, batch)
    assert made.type == pa.dictionary(pa.int32(), pa.binary())
    assert made.to_pylist() == expected
    assert len(set(made.dictionary.to_pylist())) == len(made.dictionary)
    assert key_column(names, batch.slice(min(first, len(rows)))).to_pylist() == expected[first:]


@pytest.mark.parametrize("rows", [0, 1, 3])
def test_without_key_columns_all_rows_share_one_key(rows: int) -> None:
    made = key_column([], pa.record_batch({"price": [1.0] * rows}))
    assert made.type == pa.dictionary(pa.int32(), pa.binary())
    assert made.to_pylist() == [keys.encode([])] * rows


@pytest.mark.parametrize("ms", [-1, 10**13])
def test_a_time_that_cannot_stand_in_a_key_is_refused(ms: int) -> None:
    with pytest.raises(InputError, match="between 1970 and 2286"):
        key_column(["at"], pa.record_batch({"at": times([0, ms, 5])}))


def test_users_get_wide_decimals_and_no_hidden_columns() -> None:
    stored = pa.table(
        {
            "close": column([150_000, None], pa.decimal64(18, 5)),
            "__sum_0": [1, 2],
            "symbol": pa.array(["A", "B"]).dictionary_encode().cast(CODED),
            "market_date": pa.array([date(2025, 1, 6)] * 2),
        }
    )
    given_out = user_table(stored)
    assert given_out.schema == pa.schema(
        [("close", pa.decimal128(18, 5)), ("symbol", CODED), ("market_date", pa.date32())]
    )
    assert given_out["close"].to_pylist() == [Decimal("1.5"), None]


@given(st.lists(st.none() | st.integers(-(2**63), 2**63 - 1)), st.integers(0, 9))
def test_computed_columns_hold_whatever_64_bits_hold(units: list[int | None], scale: int) -> None:
    stored = pa.table({"volume": column(units, pa.decimal64(18, scale))})
    wide = user_table(stored, computed={"volume"})["volume"]
    assert wide.type == pa.decimal128(38, scale)
    assert wide.to_pylist() == [None if unit is None else Decimal(unit).scaleb(-scale) for unit in units]
