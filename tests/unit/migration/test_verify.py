from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ashioto import BarsVerifier
from ashioto.errors import InputError, UsageError
from ashioto.migration.comparison import Comparison, choose
from ashioto.migration.verify import Verification, verification

START = datetime(2025, 1, 6, 9, tzinfo=UTC)
PRICE = pa.decimal128(18, 5)


def bars(*rows: tuple[str, int, Any], kind: pa.DataType = PRICE) -> pa.Table:
    """Bars of one column: symbol, minute, close."""
    return pa.table({
        "symbol": pa.array([row[0] for row in rows], pa.string()),
        "bucket_start": pa.array([START + timedelta(minutes=row[1]) for row in rows], pa.timestamp("ms", tz="UTC")),
        "close": pa.array([row[2] for row in rows], kind),
    })  # fmt: skip


def compare(expected: object, actual: object, **options: Any) -> Verification:
    return BarsVerifier().compare(expected, actual, keys=["symbol"], **options)


def test_equal_bars_are_equal_in_any_order() -> None:
    rows = [("B", 1, Decimal(1)), ("A", 2, Decimal(2)), ("A", 1, Decimal(3))]
    found = compare(bars(*rows), bars(*reversed(rows)))
    assert (found.is_equal, found.rate, found.equal, found.bars) == (True, 1.0, 3, 3)
    assert found.differences == ()


def test_missing_extra_and_unequal_bars_are_counted_and_named() -> None:
    expected = bars(("A", 1, Decimal(1)), ("A", 2, Decimal(2)), ("B", 1, Decimal(1)), ("B", 2, None))
    actual = bars(("A", 1, Decimal(1)), ("A", 2, Decimal("2.5")), ("B", 2, Decimal(4)), ("C", 1, Decimal(1)))
    found = compare(expected, actual)
    assert (found.equal, found.unequal, found.missing, found.extra) == (1, 2, 1, 1)
    assert (found.expected, found.actual, found.rate) == (4, 4, 0.2)
    assert found.differing == {"close": 2}
    said = [(one.kind, one.key["symbol"], one.start.minute, one.words) for one in found.differences]
    assert said == [
        ("unequal", "A", 2, "close is 2.50000, not 2.00000"),
        ("missing", "B", 1, "is missing"),
        ("unequal", "B", 2, "close is 4.00000, not nothing"),
        ("extra", "C", 1, "was not expected"),
    ]


def test_rows_that_name_a_bar_again_are_counted_and_the_first_counts() -> None:
    found = compare(bars(("A", 1, Decimal(1)), ("A", 1, Decimal(2))), bars(("A", 1, Decimal(1))))
    assert (found.equal, found.twice_expected, found.twice_actual, found.is_equal) == (1, 1, 0, False)
    assert found.expected == 1


@pytest.mark.parametrize(
    ("mine", "theirs", "equal"),
    [
        (pa.array([Decimal("1.5")], pa.decimal128(18, 2)), pa.array([Decimal("1.50000")], PRICE), True),
        (pa.array([Decimal("1.5")], pa.decimal128(38, 2)), pa.array([Decimal("1.51")], pa.decimal64(18, 2)), False),
        (pa.array([1.38727]), pa.array([Decimal("1.38727")], PRICE), True),
        (pa.array([1.387271]), pa.array([Decimal("1.38727")], PRICE), False),
        (pa.array([0.1 + 0.2]), pa.array([0.3]), False),
        (pa.array([float("nan")]), pa.array([float("nan")]), True),
        (pa.array([3]), pa.array([Decimal(3)], PRICE), True),
        (pa.array([3], pa.int32()), pa.array([3.0]), True),
        (pa.array(["x"]), pa.array(["x"]).dictionary_encode(), True),
        (pa.array(["x"]), pa.array(["y"], pa.large_string()), False),
        (pa.array([True]), pa.array([False]), False),
        (pa.array([date(2025, 1, 6)]), pa.array([date(2025, 1, 6)], pa.date64()), True),
        (pa.array([START], pa.timestamp("us", tz="UTC")), pa.array([START], pa.timestamp("s", tz="UTC")), True),
        (pa.array([date(2025, 1, 6)]), pa.array([datetime(2025, 1, 6, tzinfo=UTC)], pa.timestamp("ms", "UTC")), True),
        (pa.array([None]), pa.array([None], PRICE), True),
        (pa.array([None]), pa.array([Decimal(1)], PRICE), False),
        (pa.array([-0.0]), pa.array([0.0]), True),
        (pa.array([9_007_199_254_740_993]), pa.array([Decimal(9_007_199_254_740_993)], pa.decimal128(18, 0)), True),
        (pa.array([Decimal(9_007_199_254_740_993)], pa.decimal128(18, 0)), pa.array([9_007_199_254_740_992.0]), True),
    ],
)
def test_values_are_equal_by_value(mine: pa.Array, theirs: pa.Array, equal: bool) -> None:  # noqa: FBT001  # parametrized
    def table(column: pa.Array) -> pa.Table:
        return pa.table({"symbol": ["A"], "bucket_start": [60_000], "x": column})

    assert compare(table(mine), table(theirs)).is_equal == equal
    assert compare(table(theirs), table(mine)).is_equal == equal


@pytest.mark.parametrize("tolerance", [0.01, Decimal("0.01"), {"close": 0.01}])
def test_numbers_within_a_tolerance_are_equal(tolerance: object) -> None:
    expected = bars(("A", 1, Decimal("1.00")), ("A", 2, Decimal("1.00")))
    actual = bars(("A", 1, Decimal("1.01")), ("A", 2, Decimal("1.01001")))
    assert compare(expected, actual, tolerance=tolerance).unequal == 1
    assert compare(expected, actual, tolerance={"open": 1}).unequal == 2
    floats = [bars(*((s, m, float(v)) for s, m, v in rows), kind=pa.float64()) for rows in (
        [("A", 1, 1.0)], [("A", 1, 1.005)]
    )]  # fmt: skip
    assert compare(*floats, tolerance=tolerance).is_equal


def test_only_columns_of_both_are_compared_and_the_others_are_named() -> None:
    rows = bars(("A", 1, Decimal(1)))
    more = rows.append_column("volume", [[5]]).append_column("__sum", [[1]])
    found = compare(more, rows.append_column("final", [[True]]), ignore=["close"])
    assert found.columns == ()
    assert found.left_out == {
        "close": "was not asked for", "volume": "only in the expected bars", "final": "only in the actual bars"
    }  # fmt: skip
    with pytest.raises(UsageError, match="actual bars have no column 'volume' to compare"):
        compare(more, rows, columns=["volume"])
    with pytest.raises(UsageError, match="no column 'closs' to compare") as error:
        compare(rows, rows, columns=["closs"])
    assert error.value.hint == "did you mean close?"


def test_examples_are_limited_and_all_is_counted() -> None:
    rows = [("A", minute, Decimal(minute)) for minute in range(50)]
    wrong = [("A", minute, Decimal(minute + 1)) for minute in range(50)]
    found = compare(bars(*rows, ("B", 1, Decimal(1))), bars(*wrong), limit=3)
    assert (found.unequal, found.missing) == (50, 1)
    assert [one.start.minute for one in found.differences if one.kind == "unequal"] == [0, 1, 2]
    assert [one.kind for one in found.differences].count("missing") == 1


def test_equality_is_told_by_series_and_day() -> None:
    day = 1440
    expected = bars(("A", 1, Decimal(1)), ("A", day, Decimal(1)), ("A", day + 1, Decimal(1)), ("B", 1, Decimal(1)))
    actual = bars(("A", 1, Decimal(1)), ("A", day, Decimal(2)), ("A", day + 1, Decimal(1)), ("B", 2, Decimal(1)))
    assert compare(expected, actual).by_day.to_pylist() == [
        {"symbol": "A", "day": date(2025, 1, 6), "equal": 1, "unequal": 0, "missing": 0, "extra": 0},
        {"symbol": "A", "day": date(2025, 1, 7), "equal": 1, "unequal": 1, "missing": 0, "extra": 0},
        {"symbol": "B", "day": date(2025, 1, 6), "equal": 0, "unequal": 0, "missing": 1, "extra": 1},
    ]


def test_nothing_against_nothing_is_equal() -> None:
    found = compare(bars(), bars())
    assert (found.is_equal, found.rate, found.by_day.num_rows) == (True, 1.0, 0)


@pytest.mark.parametrize(
    ("expected", "message"),
    [
        (bars().drop_columns(["symbol"]), "the expected bars have no column 'symbol'"),
        (bars().drop_columns(["bucket_start"]), "the expected bars have no column 'bucket_start'"),
        ([1, 2], "the expected bars are list, not a table"),
    ],
)
def test_what_names_no_bars_is_refused(expected: object, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        compare(expected, bars(("A", 1, Decimal(1))))


def test_values_that_can_never_be_equal_are_refused() -> None:
    words = bars(("A", 1, "x"), kind=pa.string())
    with pytest.raises(InputError, match="'close' is string on the expected side and decimal128"):
        compare(words, bars(("A", 1, Decimal(1))))
    assert compare(words, bars(("A", 1, Decimal(1))), ignore=["close"]).is_equal
    wide = bars(("A", 1, Decimal(10**25)), kind=pa.decimal128(38, 5))
    with pytest.raises(InputError, match="'close' has numbers beyond 64 bits"):
        compare(wide, wide)
    lists = pa.table({"symbol": ["A"], "bucket_start": [1], "close": [[1]]})
    with pytest.raises(InputError, match="'close' is list"):
        compare(lists, lists)
    text = pa.table({"symbol": ["A"], "bucket_start": ["soon"]})
    with pytest.raises(InputError, match="bucket_start is string, not a time"):
        compare(text, text)


@pytest.mark.parametrize("column", ["symbol", "bucket_start"])
def test_rows_without_a_name_are_refused(column: str) -> None:
    rows = bars(("A", 1, Decimal(1)))
    at = rows.schema.get_field_index(column)
    nothing = rows.set_column(at, column, pa.nulls(1, rows.schema.field(at).type))
    with pytest.raises(InputError, match=f"a row of the actual bars has no {column}"):
        compare(rows, nothing)


def test_errors_of_a_reader_pass_through() -> None:
    rows = bars(("A", 1, Decimal(1)))

    def fails() -> Any:
        yield rows.to_batches()[0]
        raise InputError("row 2 is bad")

    with pytest.raises(InputError, match="row 2 is bad"):
        compare(pa.RecordBatchReader.from_batches(rows.schema, fails()), rows)


CELLS = st.tuples(st.sampled_from("AB"), st.sampled_from([0, 1, 2, 1440, 2880]), st.sampled_from([None, 1, 2, 3]))
SIDE = st.lists(CELLS, max_size=14)


def naive(expected: list[Any], actual: list[Any]) -> dict[str, int]:
    mine: dict[Any, Any] = {}
    theirs: dict[Any, Any] = {}
    for rows, side in ((expected, mine), (actual, theirs)):
        for symbol, minute, close in rows:
            side.setdefault((symbol, minute), close)
    return {
        "equal": sum(theirs.get(key, "?") == close for key, close in mine.items()),
        "unequal": sum(key in theirs and theirs[key] != close for key, close in mine.items()),
        "missing": sum(key not in theirs for key in mine),
        "extra": sum(key not in mine for key in theirs),
        "twice_expected": len(expected) - len(mine),
        "twice_actual": len(actual) - len(theirs),
    }


@settings(deadline=None)
@given(expected=SIDE, actual=SIDE, in_memory=st.sampled_from([0, 3, 100]), cut=st.integers(1, 5))
def test_it_finds_what_a_dictionary_finds_in_memory_or_not(
    expected: list[Any], actual: list[Any], in_memory: int, cut: int
) -> None:
    def rows(side: list[Any]) -> pa.Table:
        return bars(*((s, m, None if c is None else Decimal(c)) for s, m, c in side))

    one, other = rows(expected), rows(actual)
    compared = choose(one.column_names, other.column_names, keys=["symbol"])
    with Comparison(
        one.schema, other.schema, keys=["symbol"], compared=compared, in_memory=in_memory, limit=50
    ) as comparison:
        for table, side in ((one, comparison.expected), (other, comparison.actual)):
            for at in range(0, table.num_rows, cut):
                comparison.take(table.slice(at, cut), side)
        found = verification(comparison, compared)
    wanted = naive(expected, actual)
    assert {name: getattr(found, name) for name in wanted} == wanted
    kinds = [one.kind for one in found.differences]
    assert {kind: kinds.count(kind) for kind in ("unequal", "missing", "extra")} == {
        kind: wanted[kind] for kind in ("unequal", "missing", "extra")
    }
    by_day = {state: sum(found.by_day[state].to_pylist()) for state in ("equal", "unequal", "missing", "extra")}
    assert by_day == {state: wanted[state] for state in by_day}
    cells = list(zip(found.by_day["symbol"].to_pylist(), found.by_day["day"].to_pylist(), strict=True))
    assert cells == sorted(set(cells))


def test_many_keys_of_several_columns_stay_apart() -> None:
    rng = np.random.default_rng(1)
    table = pa.table({
        "a": pa.array([f"a{n}" for n in rng.integers(0, 50, 2000)]),
        "b": pa.array([f"b{n}" for n in rng.integers(0, 50, 2000)]).dictionary_encode(),
        "c": pa.array(rng.integers(0, 3000, 2000)),
        "bucket_start": pa.array(np.arange(2000) * 60_000),
        "x": pa.array(np.arange(2000)),
    })  # fmt: skip
    shuffled = table.take(pa.array(rng.permutation(2000)))
    found = BarsVerifier().compare(table, shuffled, keys=["a", "b", "c"])
    assert (found.equal, found.is_equal) == (2000, True)
    days = (np.arange(2000) // 1440).tolist()
    parts = zip(*(table[name].to_pylist() for name in "abc"), days, strict=True)
    assert found.by_day.num_rows == len(set(parts))
