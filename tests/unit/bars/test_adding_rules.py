from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from tests.support_bars import market, read, row, table, table_of, without
from tests.support_engine import DAY, HOUR, MINUTE, START, Market, Trade, bars, moment

import ashioto as ao
from ashioto import BarAddOptions, BarAddReport
from ashioto.errors import InputError, LogError, ScheduleError, UnknownTopicError, UsageError
from ashioto.testing.memory_log import MemoryLog

AT = moment(START)
RULES: list[tuple[dict[str, Any], str, str]] = [
    ({"bucket_start": AT + timedelta(seconds=30)}, "bucket_edge", "00:00:30Z is not on an edge of 1m"),
    ({"bucket_start": datetime(1960, 1, 1, tzinfo=UTC)}, "key_time", "which cannot stand in a key"),
    ({"bucket_end": AT + timedelta(minutes=3)}, "bucket_end", r"bucket_end is .*00:03:00Z, not .*00:02:00Z"),
    ({"market_date": date(2024, 3, 12)}, "market_date", "market_date is 2024-03-12, not 2024-03-11"),
    ({"low": Decimal(10)}, "spread", r"high 9\.00 is less than low 10\.00"),
    ({"open": Decimal("0.99")}, "spread", r"open 0\.99 is less than low 1\.00"),
    ({"open": Decimal("9.01")}, "spread", r"high 9\.00 is less than open 9\.01"),
    ({"close": Decimal("0.5")}, "spread", r"close 0\.50 is less than low"),
    ({"close": Decimal(10)}, "spread", r"high 9\.00 is less than close"),
    ({"close": None}, "null", "close is null"),
    ({"volume": None}, "null", "volume is null"),
    ({"ticks": -1}, "count", "ticks is -1"),
    ({"final": False}, "final", "final is false"),
    ({"synthetic": True}, "synthetic", "synthetic is true"),
    ({"origin": "stream"}, "origin", "origin is 'stream'"),
    ({"source_cut": 7}, "source_cut", "source_cut is 7"),
    ({"first_at": AT + timedelta(seconds=60)}, "first_last", "last_at is null, but first_at is not"),
    ({"first_seq": 3, "last_seq": 4}, "first_last", "sequences of ticks without their times"),
    (
        {"first_at": AT + timedelta(seconds=62), "last_at": AT + timedelta(seconds=61)},
        "first_last",
        "first_at lies after last_at",
    ),
    ({"first_at": AT, "last_at": AT + timedelta(seconds=61)}, "first_last", "ticks outside the bucket"),
    (
        {"first_at": AT + timedelta(seconds=60), "last_at": AT + timedelta(seconds=120)},
        "first_last",
        "ticks outside the bucket",
    ),
    ({"first_at": AT + timedelta(minutes=1), "last_at": AT + timedelta(minutes=1), "ticks": 0}, "count", "ticks is 0"),
]


@pytest.fixture(scope="module")
def made() -> Market:
    return market()


@pytest.mark.parametrize(("change", "rule", "says"), RULES, ids=[f"{r[1]} {'+'.join(r[0])}" for r in RULES])
def test_a_row_that_breaks_a_rule_is_named_and_nothing_is_written(
    made: Market, change: dict[str, Any], rule: str, says: str
) -> None:
    bars_1m = table_of(made)
    with pytest.raises(InputError, match=says) as caught:
        bars_1m.add_range(table([row("A", 0), {**row("A", 1), **change}, {**row("B", 1), **change}]))
    assert caught.value.ids["rule"] == rule
    assert caught.value.ids["row"] == 1
    assert caught.value.message.startswith("row 1")
    assert caught.value.hint
    assert read(bars_1m) == []


@pytest.mark.parametrize(
    ("change", "rule", "says", "hint"),
    [
        ({"symbol": "C"}, "unknown_key", "the schedule has no sessions of V C", "rc schedule import"),
        ({"symbol": "AA"}, "unknown_key", "no sessions of V AA", "did you mean A"),
        ({"bucket_start": AT + timedelta(hours=8)}, "outside_schedule", "no session of its key", "validate_schedule"),
        ({"bucket_start": AT - timedelta(minutes=1)}, "outside_schedule", "no session of its key", "rc schedule show"),
    ],
)
def test_rows_outside_the_schedule_are_refused(
    made: Market, change: dict[str, Any], rule: str, says: str, hint: str
) -> None:
    bars_1m = table_of(made)
    rows = table([row("A", 0), {**row("A", 1), **change}])
    with pytest.raises(ScheduleError, match=says) as caught:
        bars_1m.add_range(rows)
    assert (caught.value.ids["rule"], caught.value.ids["row"]) == (rule, 1)
    assert hint in caught.value.hint
    assert read(bars_1m) == []


def test_without_the_schedule_any_bucket_is_taken() -> None:
    bars_1m = table_of(market())
    rows = [row("C", 0), row("A", 8 * 60), row("A", 9 * 60)]
    assert bars_1m.add_range(table(rows), BarAddOptions(validate_schedule=False)) == BarAddReport(written=3)
    assert bars_1m.read_all()["market_date"].to_pylist() == [date(2024, 3, 11)] * 3
    with pytest.raises(InputError, match="not on an edge"):
        bars_1m.add_range(
            table([row("C", 0, bucket_start=AT + timedelta(seconds=1))]), BarAddOptions(validate_schedule=False)
        )


@pytest.mark.parametrize(
    ("column", "values", "says"),
    [
        ("symbol", ["A", None], r"symbol of row 1 is null"),
        ("bucket_start", [AT, None], r"bucket_start of row 1 is null"),
        ("close", [5.0, float("nan")], r"close of row 1 is no finite number: nan"),
        ("close", [5.0, float("inf")], r"close of row 1 is no finite number: inf"),
        ("close", [Decimal(5), Decimal("5.001")], r"close is decimal\(18, 2\).*row 1 is Decimal\('5.001'\)"),
        ("close", [5.0, 5.001], r"close of row 1 has more than 2 digits"),
        ("close", [Decimal(5), Decimal(10) ** 16], r"close of row 1 is too big for decimal\(18, 2\)"),
        ("volume", [Decimal(5), Decimal(10) ** 18], r"volume of row 1 does not fit 64 bits at the scale 1"),
        ("ticks", pa.array([1, 2**63], pa.uint64()), r"ticks is int64.*row 1 is 9223372036854775808"),
        ("ticks", [1.0, 1.5], r"ticks is int64.*row 1 is 1.5"),
        ("close", ["5", "5"], r"close is decimal\(18, 2\), it cannot be made from string"),
        ("bucket_start", [1, 2], r"bucket_start is timestamp, it cannot be made from int64"),
        ("bucket_start", [AT.replace(tzinfo=None)] * 2, "no time zone"),
        ("bucket_start", [AT, AT + timedelta(minutes=1, microseconds=1)], r"row 1 is not on a whole millisecond"),
    ],
)
def test_values_that_do_not_fit_their_column_are_named(made: Market, column: str, values: Any, says: str) -> None:
    bars_1m = table_of(made)
    rows = table([row("A", 0), row("A", 1)])
    with pytest.raises(InputError, match=f"(?s){says}") as caught:
        bars_1m.add_range(rows.set_column(rows.schema.get_field_index(column), column, pa.array(values)))
    assert caught.value.ids["column"] == column
    assert read(bars_1m) == []


def test_a_sum_may_use_all_64_bits() -> None:
    bars_1m = table_of(market())
    most = Decimal(2**63 - 1).scaleb(-1)
    bars_1m.add_range(table([row("A", 0, volume=most)]))
    assert bars_1m.read_all()["volume"].to_pylist() == [most]
    assert bars_1m.add_range(table([row("A", 0, volume=most)])).skipped == 1


def test_columns_must_be_those_of_the_bars(made: Market) -> None:
    bars_1m = table_of(made)
    with pytest.raises(InputError, match="no column 'hgih'") as caught:
        bars_1m.add_range(table([{**row("A", 0), "hgih": 1}]))
    assert caught.value.hint == "did you mean high?"
    with pytest.raises(InputError, match="no column '__count'"):
        bars_1m.add_range(table([{**row("A", 0), "__count": 1}]))
    with pytest.raises(InputError, match="no column 'zzz'") as caught:
        bars_1m.add_range(table([{**row("A", 0), "zzz": 1}]))
    assert "bucket_start, bucket_end" in caught.value.hint
    for name in ("symbol", "bucket_start", "volume"):
        with pytest.raises(InputError, match=f"need a column {name}"):
            bars_1m.add_range(table([without(row("A", 0), name)]))
    rows = table([row("A", 0)])
    with pytest.raises(InputError, match="the column low is there twice"):
        bars_1m.add_range(rows.append_column("low", rows["low"]))


def test_one_bar_twice_is_refused_wherever_the_rows_are(made: Market) -> None:
    bars_1m = table_of(made)
    rows = [row("A", 3), row("B", 3), row("A", 2), row("B", 3, 6), row("A", 3)]
    with pytest.raises(InputError, match=r"row 3 \(V B .*same key and bucket_start as in row 1") as caught:
        bars_1m.add_range(table(rows))
    assert (caught.value.ids["rule"], caught.value.ids["row"]) == ("duplicate", 3)
    with pytest.raises(InputError, match="row 3"):
        bars_1m.add_range(table([one]) for one in rows)
    assert read(bars_1m) == []


@pytest.mark.parametrize(("now", "live"), [(MINUTE + 4_999, True), (MINUTE + 5_000, False)])
def test_a_bucket_is_live_until_its_end_and_grace_have_passed(*, now: int, live: bool) -> None:
    bars_1m = table_of(market(), now=START + now)
    if not live:
        assert bars_1m.add_range(table([row("A", 0)])).written == 1
        return
    with pytest.raises(InputError, match=r"still live: it ends at .*00:01:00Z \+ 5000 ms of grace") as caught:
        bars_1m.add_range(table([row("A", 0)]))
    assert caught.value.ids["rule"] == "live_bucket"


def test_a_day_is_over_with_its_last_session_and_the_last_of_a_schedule_with_the_calendar() -> None:
    made = market()
    made.open(("A", DAY, DAY + HOUR))
    day = without(row("A", 0), "bucket_end")
    bars_1d = table_of(made, "1d", now=START + 10 * HOUR + 5_000)
    assert bars_1d.add_range(table([day])).written == 1
    with pytest.raises(InputError, match="still live"):
        table_of(made, "1d", now=START + DAY + HOUR + 5_000).add_range(table([row("A", 24 * 60)]))


def test_a_day_begins_at_midnight_of_its_market_date(made: Market) -> None:
    with pytest.raises(InputError, match="not on an edge of 1d"):
        table_of(made, "1d").add_range(table([row("A", 60)]))
    with pytest.raises(ScheduleError, match="no session of its key lies in this 1d"):
        table_of(made, "1d").add_range(table([row("A", -24 * 60)]))


def test_session_aligned_buckets_count_from_the_open() -> None:
    made = market(bars("1m", "1h", align="session"))
    made.open(("S", 30 * MINUTE, 3 * HOUR))
    bars_1h = table_of(made, "1h")
    assert bars_1h.add_range(table([row("S", 30), row("S", 150)])).written == 2
    ends = bars_1h.read_all()["bucket_end"].to_pylist()
    assert ends == [moment(START + 90 * MINUTE), moment(START + 210 * MINUTE)]
    with pytest.raises(InputError, match="not on an edge of 1h") as caught:
        bars_1h.add_range(table([row("S", 60)]))
    assert "from the session's open" in caught.value.hint
    with pytest.raises(ScheduleError, match="no session of its key"):
        bars_1h.add_range(table([row("S", 180)]))


def test_queries_without_heartbeats_may_have_bars_that_are_not_final() -> None:
    made = Market.of(bars("1m", schedule=False, continuous=False))
    bars_1m = table_of(made)
    assert bars_1m.add_range(table([row("Z", 0, final=False), row("Z", 1)])).written == 2
    assert bars_1m.read_all()["final"].to_pylist() == [False, True]


def test_columns_that_may_be_empty_may_be_empty_altogether() -> None:
    empty = dict.fromkeys(["bucket_end", "market_date", "final", "origin", "first_at", "last_seq", "source_cut"])
    bars_1m = table_of(market())
    assert bars_1m.add_range(table([{**row("A", 0), **empty}])).written == 1
    assert bars_1m.add_range(table([row("A", 0)])).skipped == 1
    with pytest.raises(InputError, match="symbol of row 0 is null"):
        bars_1m.add_range(table([{**row("A", 0), "symbol": None}]))


def test_columns_of_expressions_may_be_null() -> None:
    select = {"middle": (ao.max(Trade.price) + ao.min(Trade.price)) / 2, "top": ao.last(Trade.weight)}
    bars_1m = table_of(market(bars("1m", select=select)))
    keys = {name: row("A", 0)[name] for name in ("venue", "symbol", "bucket_start")}
    rows = pa.Table.from_pylist([{**keys, "middle": None, "top": 1.5}])
    rows = rows.set_column(3, "middle", pa.nulls(1, pa.float64()))
    assert bars_1m.add_range(rows).written == 1
    odd = rows.set_column(3, "middle", pa.array([float("nan")]))
    with pytest.raises(InputError, match="middle is nan, no finite number"):
        bars_1m.add_range(odd)


def test_bars_of_another_period_are_no_bars_of_this_table(made: Market) -> None:
    query = made.queries[0]
    one, five = table_of(made), table_of(made, "5m")
    bar = query.bar(five.binding.period)(**row("A", 0))
    with pytest.raises(InputError, match=r"row 0 is a TradeBar5m, which belongs in t\.trade_bars_5m") as caught:
        one.add(bar)
    assert caught.value.ids["rule"] == "bar_class"
    with pytest.raises(InputError, match="row 1 is 3, not a bar"):
        five.add_range([bar, 3])
    with pytest.raises(UsageError, match="cannot add 3"):
        five.add_range(3)
    with pytest.raises(UsageError, match="cannot add 'x'"):
        five.add_range("x")


def test_the_topic_must_be_there_and_have_the_columns_of_the_query() -> None:
    with pytest.raises(UnknownTopicError, match="does not exist yet") as caught:
        table_of(market(), log=MemoryLog()).add_range(table([row("A", 0)]))
    assert "rc infra apply" in caught.value.hint
    other = market(bars("1m", select={**ao.ohlcv(Trade.price), "lots": ao.sum(Trade.lots)}))
    bars_1m = table_of(market(), log=other.log)
    with pytest.raises(LogError, match="lots is int64, not there") as failed:
        bars_1m.add_range(table([row("A", 0)]))
    assert "rc infra apply" in failed.value.hint
    assert bars_1m.add_range(table([row("A", 0)]), BarAddOptions(validate_topic=False)).written == 1
    assert other.table("1m")[0]["close"] == Decimal(5)
    assert other.table("1m")[0]["lots"] is None


def test_a_schedule_that_was_never_made_is_named() -> None:
    made = market()
    made.log.delete(["t.hours"])  # type: ignore[attr-defined]  # a log that has it
    bars_1m = table_of(made)
    with pytest.raises(UnknownTopicError, match=r"the schedule t\.hours does not exist yet"):
        bars_1m.add_range(table([row("A", 0)]))
    assert bars_1m.add_range(table([row("A", 0)]), BarAddOptions(validate_schedule=False)).written == 1


def test_the_smallest_row_is_named_first() -> None:
    bars_1m = table_of(market())
    rows = [row("A", 0), row("B", 5, 99), row("A", 4, 98)]
    with pytest.raises(InputError, match=r"row 1 .*close 99"):
        bars_1m.add_range(table(rows))
