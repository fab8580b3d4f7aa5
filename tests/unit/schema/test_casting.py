from __future__ import annotations

from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ashioto.errors import InputError
from ashioto.logical.nodes import FLOAT64, INT64, TEXT, TIMESTAMP, DataType
from ashioto.schema.arrow import arrow_type, int64_view
from ashioto.schema.casting import Cells, cast_column, undictionaried

PRICE = DataType(name="decimal", precision=18, scale=5)
CELLS = Cells(where="Rate.price", first_row=100)
UNITS = st.integers(-(10**18) + 1, 10**18 - 1)


@given(st.lists(st.one_of(st.none(), UNITS)), st.sampled_from([5, 7, 18]))
def test_decimals_keep_every_digit_whatever_scale_they_come_in(units: list[int | None], scale: int) -> None:
    values = [None if unit is None else Decimal(unit).scaleb(-5) for unit in units]
    made = cast_column(pa.array(values, pa.decimal128(38, scale)), PRICE, CELLS)
    assert [None if value is None else int(value.scaleb(5)) for value in made.to_pylist()] == units
    assert cast_column(made, PRICE, CELLS) == made


@given(st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1))
def test_wide_decimals_use_all_64_bits(units: list[int]) -> None:
    values = pa.array([Decimal(unit).scaleb(-5) for unit in units], pa.decimal128(38, 5))
    made = cast_column(values, PRICE, CELLS, wide=True)
    assert int64_view(made).tolist() == units
    assert cast_column(made, PRICE, CELLS, wide=True) == made


@pytest.mark.parametrize(
    ("values", "kind", "row", "says"),
    [
        (pa.array([Decimal(1)] * 6 + [Decimal("0.0000001")], pa.decimal128(20, 7)), PRICE, 106, "room for 5 digits"),
        (pa.array([None, Decimal(10) ** 13], pa.decimal128(20, 0)), PRICE, 101, "declare a smaller scale"),
        (pa.array([None, Decimal(10) ** 15], pa.decimal128(20, 0)), PRICE, 101, "declare a smaller scale"),
        (pa.array([1, None, 10**13]), PRICE, 102, "declare a smaller scale"),
        (pa.array([1.0, 1.5, 2.5]), INT64, 101, "cast the column"),
        (pa.array([0, 2**63], pa.uint64()), INT64, 101, "cast the column"),
    ],
)
def test_the_first_value_that_does_not_fit_is_named(values: pa.Array, kind: DataType, row: int, says: str) -> None:
    for skip in (0, 1):
        with pytest.raises(InputError, match=f"row {row}") as caught:
            cast_column(values.slice(skip), kind, Cells(where="Rate.price", first_row=100 + skip))
        assert (caught.value.ids["row"], caught.value.ids["column"]) == (row, "price")
        assert caught.value.ids["value"] == values[row - 100].as_py()
        assert says in caught.value.hint


@pytest.mark.parametrize(
    ("values", "kind"),
    [(pa.array([1]), TEXT), (pa.array(["1"]), FLOAT64), (pa.array(["1"]), PRICE), (pa.array([1]), TIMESTAMP)],
)
def test_a_type_that_cannot_be_turned_is_named(values: pa.Array, kind: DataType) -> None:
    with pytest.raises(InputError, match=rf"Rate\.price is .*, it cannot be made from {values.type}") as caught:
        cast_column(values, kind, CELLS)
    assert "row" not in caught.value.ids


def test_text_comes_out_of_every_kind_of_dictionary() -> None:
    plain: list[Any] = ["x", None, "y", "x"]
    views = pa.DictionaryArray.from_arrays(
        pa.array([0, None, 1, 0], pa.uint32()), pa.array(["x", "y"], pa.string_view())
    )
    for values in (pa.array(plain), pa.array(plain).dictionary_encode(), views, pa.array(plain, pa.string_view())):
        made = cast_column(values, TEXT, CELLS)
        assert (made.to_pylist(), made.type) == (plain, pa.dictionary(pa.int32(), pa.string()))
        assert undictionaried(made).type == pa.string()


def test_a_column_of_nothing_fits_every_type() -> None:
    for kind in (PRICE, TEXT, TIMESTAMP, INT64, FLOAT64):
        made = cast_column(pa.nulls(2), kind, CELLS)
        assert (made.to_pylist(), made.type) == ([None, None], arrow_type(kind))


def test_no_rows_are_no_trouble() -> None:
    for kind in (PRICE, TEXT, TIMESTAMP, INT64):
        empty = pa.array(
            [], pa.timestamp("us", "UTC") if kind is TIMESTAMP else pa.string() if kind is TEXT else pa.int64()
        )
        assert len(cast_column(empty, kind, CELLS)) == 0
