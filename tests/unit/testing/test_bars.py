from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import ashioto as ao
from ashioto import Field, Period
from ashioto.errors import UsageError
from ashioto.testing import assert_bars

if TYPE_CHECKING:
    from collections.abc import Callable

START = datetime(2025, 1, 6, 9, tzinfo=UTC)
DAY = date(2025, 1, 6)
Row = dict[str, Any]


class Rate(ao.Stream):
    broker: Field[str] = ao.key()
    symbol: Field[str] = ao.key()
    at: Field[datetime] = ao.timestamp()
    price: Field[Decimal] = ao.decimal(18, 5)


trading = ao.Context("trading")
RateBar1m = (
    trading.events(Rate)
    .tumbling(Rate.at, Period.minutes(1))
    .select(close=ao.last(Rate.price), ticks=ao.count())
    .to_query(name="rate_bars")
    .bar(Period.minutes(1))
)


def row(minute: int, symbol: str = "EURUSD", **changes: Any) -> Row:
    start = START + timedelta(minutes=minute)
    return {
        "broker": "FX",
        "symbol": symbol,
        "bucket_start": start,
        "bucket_end": start + timedelta(minutes=1),
        "market_date": DAY,
        "close": Decimal(minute),
        "ticks": minute,
        **changes,
    }


ROWS = [row(minute, symbol) for symbol in ("EURUSD", "USDJPY") for minute in range(3)]


def table(rows: list[Row]) -> pa.Table:
    """Bars as `TimeBucket.read` gives them."""
    schema = pa.schema(
        [
            ("broker", pa.dictionary(pa.int32(), pa.string())),
            ("symbol", pa.string()),
            ("bucket_start", pa.timestamp("ms", tz="UTC")),
            ("bucket_end", pa.timestamp("ms", tz="UTC")),
            ("market_date", pa.date32()),
            ("close", pa.decimal128(18, 5)),
            ("ticks", pa.int64()),
        ]
    )
    return pa.Table.from_pylist(rows, schema=schema)


def words(actual: object, expected: object, **options: Any) -> list[str]:
    """The lines of the message."""
    with pytest.raises(AssertionError) as caught:
        assert_bars(actual, expected, **options)
    return str(caught.value).splitlines()


KINDS: dict[str, Callable[[list[Row]], object]] = {
    "pyarrow": table,
    "record batch": lambda rows: table(rows).combine_chunks().to_batches()[0],
    "polars": lambda rows: pl.from_arrow(table(rows)),
    "pandas": lambda rows: table(rows).to_pandas(),
    "pandas of Arrow": lambda rows: table(rows).to_pandas(types_mapper=pd.ArrowDtype),
    "bars": lambda rows: [RateBar1m(**r) for r in rows],
    "dicts": list,
    "a generator": lambda rows: (r for r in rows),
}


@pytest.mark.parametrize("wanted", KINDS)
@pytest.mark.parametrize("got", KINDS)
def test_equal_bars_of_any_kind_pass_in_any_order(got: str, wanted: str) -> None:
    ignore = {"first_at", "first_seq", "last_at", "last_seq", "final", "synthetic", "source_cut", "origin"}
    assert_bars(KINDS[got](ROWS), KINDS[wanted](ROWS[::-1]), ignore=ignore)


@pytest.mark.parametrize("kind", ["pyarrow", "polars", "pandas", "dicts"])
def test_the_message_names_the_bar_the_columns_and_both_values(kind: str) -> None:
    expected = [ROWS[0], row(1, close=Decimal("1.5"), ticks=7), *ROWS[2:]]
    said = words(KINDS[kind](ROWS), expected)
    assert said[0] == "the bars are not as expected: of 6, 1 with other values"
    bar, _, columns = said[1].partition(": ")
    assert bar == "  FX EURUSD 2025-01-06 09:01:00Z"
    first, second = columns.split("; ")
    assert first.startswith("close is 1")
    assert first.endswith(", not 1.5")
    assert second == "ticks is 1, not 7"


def test_missing_unexpected_and_doubled_bars_are_told_apart() -> None:
    said = words(table([*ROWS[:2], ROWS[0], row(9)]), [*ROWS[1:3], ROWS[2]])
    assert said == [
        "the bars are not as expected: of 3, 2 more than once, 1 missing, 2 unexpected",
        "  FX EURUSD 2025-01-06 09:00:00Z: stands 2 times in actual",
        "  FX EURUSD 2025-01-06 09:02:00Z: stands 2 times in expected",
        "  FX EURUSD 2025-01-06 09:02:00Z: is missing",
        "  FX EURUSD 2025-01-06 09:00:00Z: was not expected",
        "  FX EURUSD 2025-01-06 09:09:00Z: was not expected",
    ]


def test_long_messages_are_cut_and_say_so() -> None:
    said = words(table([]), ROWS, limit=2)
    assert (len(said), said[-1]) == (4, "  and 4 more")


def test_no_bars_are_compared_too() -> None:
    assert_bars([], [])
    assert_bars(table([]), [])
    assert_bars([], table([]))
    assert words([], ROWS[:1])[1] == "  FX EURUSD 2025-01-06 09:00:00Z: is missing"
    assert words(table(ROWS[:1]), [])[1] == "  FX EURUSD 2025-01-06 09:00:00Z: was not expected"


def test_only_expected_columns_are_compared_and_some_may_be_ignored() -> None:
    few = [{name: r[name] for name in ("broker", "symbol", "bucket_start", "ticks")} for r in ROWS]
    assert_bars(table(ROWS), few)
    assert_bars(table(ROWS), [{**r, "ticks": 0, "vwap": 1.0, "__sum_0": 3} for r in few], ignore={"ticks", "vwap"})


def test_a_column_that_is_not_there_is_named_once() -> None:
    assert words(table(ROWS), [{**r, "vwap": 1.0} for r in ROWS]) == [
        "the bars have no column vwap, only broker, symbol, bucket_start, bucket_end, market_date, close, ticks"
    ]


def test_a_value_that_only_one_row_has_counts() -> None:
    expected = [ROWS[0], {n: v for n, v in ROWS[1].items() if n != "close"}]
    assert words(table(ROWS[:2]), expected)[1].endswith("close is 1.00000, not null")


@pytest.mark.parametrize(
    ("mine", "theirs", "equal"),
    [
        (Decimal("0.1"), 0.1, True),
        (1, Decimal("1.000"), True),
        (0.1 + 0.2, 0.3, False),
        (float("nan"), float("nan"), True),
        (float("nan"), 1.0, False),
        (None, None, True),
        (None, 0.0, False),
        (None, 0, False),
        (True, 1.0, False),
        ("1", 1, False),
        (START, START.astimezone(timezone(timedelta(hours=9))), True),
        (START, START.replace(tzinfo=None), False),
        (START, 1_736_154_000_000, True),
        (1_736_154_000_001, START, False),
        (DAY, datetime(2025, 1, 6), True),  # noqa: DTZ001  # as pandas has dates
        (DAY, START, False),
    ],
)
def test_values_are_equal_by_what_they_mean(mine: object, theirs: object, equal: bool) -> None:  # noqa: FBT001  # a table
    got, wanted = ([{"bucket_start": START, "x": value}] for value in (mine, theirs))
    if equal:
        assert_bars(got, wanted)
    else:
        assert words(got, wanted)[1].startswith("  2025-01-06 09:00:00Z: x is ")


def test_floats_may_be_a_little_apart_where_the_test_says_so() -> None:
    assert_bars([row(0, close=0.1 + 0.2)], [row(0, close=Decimal("0.3"))], rel_tol=1e-12)
    assert words([row(0, close=0.31)], [row(0, close=Decimal("0.3"))], rel_tol=1e-12)


def test_times_without_zone_are_other_buckets() -> None:
    bare = row(0, bucket_start=START.replace(tzinfo=None))
    assert words([bare], [row(0)])[1:] == [
        "  FX EURUSD 2025-01-06 09:00:00Z: is missing",
        "  FX EURUSD 2025-01-06 09:00:00: was not expected",
    ]


@pytest.mark.parametrize("start", [10**18, -(10**18), None])
def test_a_start_that_is_no_time_is_said_as_it_is(start: int | None) -> None:
    assert words([row(0, bucket_start=start)], [])[1].endswith(
        f"{'null' if start is None else start}: was not expected"
    )


def test_key_columns_may_be_named() -> None:
    odd = [{"close": 1, "bucket_start": START, "symbol": s} for s in "AB"]
    assert_bars(odd, odd[::-1], keys=["symbol"])
    assert words(odd, [{**odd[0], "close": 2}, odd[1]], keys=["symbol"])[1:] == [
        "  A 2025-01-06 09:00:00Z: close is 1, not 2"
    ]


def test_text_is_quoted() -> None:
    assert words([row(0, origin="stream")], [row(0, origin="history")])[1].endswith("origin is 'stream', not 'history'")


@pytest.mark.parametrize("wrong", ["bars", 3, None, [3], {"bucket_start": START}, b"x"])
def test_what_is_no_bars_is_refused(wrong: object) -> None:
    for pair, side in (((wrong, ROWS), "actual"), ((ROWS, wrong), "expected")):
        with pytest.raises(UsageError, match=f"{side} is no bars"):
            assert_bars(*pair)


def test_a_missing_key_column_is_a_wrong_call() -> None:
    with pytest.raises(UsageError, match="expected has no column 'broker'") as caught:
        assert_bars(table(ROWS), [{"symbol": "EURUSD", "bucket_start": START}])
    assert "keys=" in caught.value.hint
    with pytest.raises(UsageError, match="actual has no column 'bucket_start'"):
        assert_bars([{"symbol": "A"}], ROWS)


NUMBERS = st.dictionaries(st.integers(0, 8), st.integers(0, 3), max_size=8)


@settings(max_examples=100, deadline=None)
@given(NUMBERS, NUMBERS)
def test_bars_pass_if_and_only_if_they_are_the_same(mine: dict[int, int], theirs: dict[int, int]) -> None:
    got, wanted = (table([row(minute, ticks=n) for minute, n in rows.items()]) for rows in (mine, theirs))
    if mine == theirs:
        assert_bars(got, wanted)
        return
    said = words(got, wanted, limit=100)
    wrong = {m for m in mine.keys() | theirs.keys() if mine.get(m) != theirs.get(m)}
    assert {line.partition(": ")[0] for line in said[1:]} == {f"  FX EURUSD 2025-01-06 09:0{m}:00Z" for m in wrong}
