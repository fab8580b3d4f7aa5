from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

import ashioto as ao
from ashioto import Field
from ashioto.errors import InputError
from ashioto.schema.arrow import storage_schema, user_table
from ashioto.tables.convert import batch_of_arrow, batch_of_records


class Rate(ao.Stream):
    symbol: Field[str] = ao.key()
    at: Field[datetime] = ao.timestamp()
    price: Field[Decimal] = ao.decimal(18, 5)
    size: Field[Decimal] = ao.decimal(18, 2, default=Decimal(0))
    weight: Field[float] = ao.field(default=1.0)
    count: Field[int] = ao.field(default=3)
    venue: Field[str] = ao.field(default="X")
    day: Field[date] = ao.field(default=date(2025, 1, 6))
    good: Field[bool] = ao.field(default=True)


class Quote(ao.Stream):
    at: Field[datetime] = ao.timestamp()
    bid: Field[float] = ao.field()


RATE = Rate.__entity__
AT = datetime(2025, 1, 6, 9, 30, tzinfo=UTC)
TIME = pa.timestamp("ms", tz="UTC")


def table(**changes: object) -> pa.Table:
    columns: dict[str, object] = {"symbol": ["A", "B"], "at": pa.array([AT, AT], TIME), "price": [1.5, 2.25], **changes}
    return pa.table({name: values for name, values in columns.items() if values is not None})


def values(batch: pa.RecordBatch) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = user_table(pa.Table.from_batches([batch])).to_pylist()
    return rows


def test_records_become_stored_columns_and_back() -> None:
    rows = [
        Rate(symbol="A", at=AT, price=Decimal("1.5"), size=Decimal(7)),
        Rate(symbol="B", at=AT + timedelta(milliseconds=1), price=Decimal("-0.00001"), good=False),
    ]
    batch = batch_of_records(RATE, rows)
    assert batch.schema == storage_schema(RATE)
    assert [Rate(**row) for row in values(batch)] == rows


def test_a_record_of_another_kind_is_refused_with_its_row() -> None:
    good = Rate(symbol="A", at=AT, price=Decimal(1))
    with pytest.raises(InputError, match="row 1 is Quote"):
        batch_of_records(RATE, [good, Quote(at=AT, bid=1.0)])
    with pytest.raises(InputError, match="row 0 is 3"):
        batch_of_records(RATE, [3])


def test_missing_columns_take_their_defaults() -> None:
    batch = batch_of_arrow(RATE, table())
    assert batch.schema == storage_schema(RATE)
    assert [Rate(**row) for row in values(batch)] == [
        Rate(symbol="A", at=AT, price=Decimal("1.5")),
        Rate(symbol="B", at=AT, price=Decimal("2.25")),
    ]


def test_nulls_take_the_default_where_there_is_one() -> None:
    batch = batch_of_arrow(RATE, table(venue=[None, "Y"], count=pa.array([None, 5], pa.int32()), size=[None, 1]))
    assert [(row["venue"], row["count"], row["size"]) for row in values(batch)] == [
        ("X", 3, Decimal(0)),
        ("Y", 5, Decimal(1)),
    ]


@pytest.mark.parametrize(
    "prices",
    [
        pa.array([Decimal("1.5"), Decimal("2.25")], pa.decimal128(20, 8)),
        pa.array([Decimal("1.5"), Decimal("2.25")], pa.decimal128(5, 2)),
        pa.array([1.5, 2.25], pa.float32()),
    ],
)
def test_decimals_of_any_scale_and_floats_become_the_same(prices: pa.Array) -> None:
    batch = batch_of_arrow(RATE, table(price=prices))
    assert [row["price"] for row in values(batch)] == [Decimal("1.5"), Decimal("2.25")]


def test_text_may_be_plain_large_or_dictionary() -> None:
    plain = pa.array(["A", "B"])
    for text in (plain, plain.cast(pa.large_string()), plain.dictionary_encode()):
        assert [row["symbol"] for row in values(batch_of_arrow(RATE, table(symbol=text)))] == ["A", "B"]


def test_times_of_any_zone_and_unit_become_utc_milliseconds() -> None:
    tokyo = pa.array([AT.astimezone(timezone(timedelta(hours=9)))] * 2, pa.timestamp("ns", tz="Asia/Tokyo"))
    assert values(batch_of_arrow(RATE, table(at=tokyo)))[0]["at"] == AT


def test_chunks_and_other_libraries_are_taken() -> None:
    polars = pytest.importorskip("polars")
    frame = polars.concat([polars.from_arrow(table()), polars.from_arrow(table())], rechunk=False)
    assert batch_of_arrow(RATE, frame).num_rows == 4


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"prise": [1, 2]}, "Rate has no column 'prise'"),
        ({"price": None}, r"Rate\.price was not given"),
        ({"price": ["1.5", "x"]}, r"Rate\.price is decimal\(18, 5\), it cannot be made from string"),
        ({"price": [1.0, float("nan")]}, r"Rate\.price of row 1 is no finite number: nan"),
        ({"price": [1.0, float("inf")]}, r"Rate\.price of row 1 is no finite number: inf"),
        ({"price": [1.0, None]}, r"Rate\.price of row 1 is null"),
        ({"price": [1.0, 1.000005]}, r"Rate\.price of row 1 has more than 5 digits"),
        ({"price": [1.0, 1e14]}, r"Rate\.price of row 1 is too big"),
        ({"price": pa.array([Decimal("1.123456")] * 2, pa.decimal128(10, 6))}, r"Rate\.price is decimal"),
        ({"weight": [1.0, float("nan")]}, r"Rate\.weight of row 1 is no finite number"),
        ({"weight": ["a", "b"]}, r"Rate\.weight is float64, it cannot be made from string"),
        ({"count": [1.5, 2.0]}, r"Rate\.count is int64, it cannot be made from double"),
        ({"at": [AT.replace(tzinfo=None)] * 2}, r"Rate\.at is timestamp, .* no time zone"),
        ({"at": [1, 2]}, r"Rate\.at is timestamp"),
        ({"symbol": [1, 2]}, r"Rate\.symbol is text"),
        ({"symbol": ["A", None]}, r"Rate\.symbol of row 1 is null"),
        ({"day": ["A", "B"]}, r"Rate\.day is date"),
    ],
)
def test_what_does_not_fit_is_refused_by_name_and_row(change: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        batch_of_arrow(RATE, table(**change))
    assert caught.value.hint


@given(st.lists(st.integers(-(10**9), 10**9), min_size=1, max_size=20))
def test_floats_of_vendors_become_the_decimals_they_print(scaled: list[int]) -> None:
    prices = np.array([float(f"{Decimal(n).scaleb(-5):f}") for n in scaled])
    times = pa.array([AT] * len(scaled), TIME)
    batch = batch_of_arrow(RATE, pa.table({"symbol": ["A"] * len(scaled), "at": times, "price": prices}))
    assert [row["price"] for row in values(batch)] == [Decimal(n).scaleb(-5) for n in scaled]
