from __future__ import annotations

import asyncio
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest

import ashioto as ao
from ashioto import Field, Period, TimeBucket
from ashioto.deploy.bootstrap import ensure_topics
from ashioto.engines.embedded.output import bar_schema
from ashioto.engines.embedded.plan import compile_query
from ashioto.engines.embedded.topics import bars_batch
from ashioto.errors import DefinitionError, InputError, PeriodError, UnknownTopicError, UsageError
from ashioto.log.embedded import EmbeddedLog

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ashioto.bars.timebucket import BarTable

START = datetime(2025, 1, 6, 9, 0, tzinfo=UTC)
KEYS = [("FX", "EURUSD"), ("FX", "EURUSD2"), ("FX", "USDJPY"), ("FX2", "USDJPY")]
ONE, FIVE = Period.minutes(1), Period.minutes(5)


class Rate(ao.Stream):
    broker: Field[str] = ao.key()
    symbol: Field[str] = ao.key()
    at: Field[datetime] = ao.timestamp()
    price: Field[Decimal] = ao.decimal(18, 5)


trading = ao.Context("trading")
rate_bars = (
    trading.events(Rate)
    .tumbling(Rate.at, ONE, FIVE)
    .select(close=ao.last(Rate.price), middle=(ao.max(Rate.price) + ao.min(Rate.price)) / 2, ticks=ao.count())
    .to_query()
)
RateBar1m = rate_bars.bar(ONE)


class RateBar5m(ao.Bar): ...


class RateBar1h(ao.Bar): ...


def at(minute: int) -> datetime:
    return START + timedelta(minutes=minute)


@pytest.fixture
def log(tmp_path: Path) -> Iterator[EmbeddedLog]:
    made = EmbeddedLog(tmp_path / "log.db")
    ensure_topics(made, [trading])
    plan = compile_query(rate_bars.plan)
    schema = bar_schema(plan, ONE)
    rows = [
        {
            "broker": broker,
            "symbol": symbol,
            "bucket_start": at(minute),
            "bucket_end": at(minute + 1),
            "market_date": date(2025, 1, 6),
            "close": Decimal(100 + minute),
            "middle": 1.0,
            "ticks": minute + 1,
            "final": minute < 9,
            "synthetic": False,
            "origin": "stream",
        }
        for broker, symbol in KEYS
        for minute in range(10)
    ]
    columns = [pa.array([row.get(f.name) for row in rows], f.type) for f in schema]
    made.append([bars_batch(plan, ONE, 0, pa.Table.from_arrays(columns, schema=schema))])
    yield made
    made.close()


@pytest.fixture
def bars(log: EmbeddedLog) -> BarTable:
    return TimeBucket.set(RateBar1m, ONE, log=log)


def minutes(table: pa.Table) -> list[int]:
    return [int((start - START).total_seconds()) // 60 for start in table["bucket_start"].to_pylist()]


def test_all_bars_of_one_key_come_in_order_of_time(bars: BarTable) -> None:
    found = bars.read("FX", "EURUSD")
    assert minutes(found) == list(range(10))
    assert set(found["symbol"].to_pylist()) == {"EURUSD"}
    assert set(found["broker"].to_pylist()) == {"FX"}


def test_users_get_wide_decimals_and_no_hidden_columns(bars: BarTable) -> None:
    found = bars.read("FX", "EURUSD", limit=1)
    assert found.schema.field("close").type == pa.decimal128(18, 5)
    assert found.schema.names[:7] == [
        "broker",
        "symbol",
        "bucket_start",
        "bucket_end",
        "market_date",
        "close",
        "middle",
    ]
    assert not [name for name in found.schema.names if name.startswith("__")]


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        (at(3), None, list(range(3, 10))),
        (None, at(3), [0, 1, 2]),
        (at(3), at(5), [3, 4]),
        (at(3) - timedelta(microseconds=1), at(5) + timedelta(microseconds=1), [3, 4, 5]),
        (at(3) + timedelta(microseconds=1), at(5), [4]),
        (int(at(3).timestamp() * 1000), int(at(5).timestamp() * 1000), [3, 4]),
        (at(5), at(3), []),
        (at(20), None, []),
    ],
)
def test_ranges_are_half_open(
    bars: BarTable, start: datetime | int | None, end: datetime | int | None, expected: list[int]
) -> None:
    assert minutes(bars.read("FX", "EURUSD", start=start, end=end)) == expected


def test_limits_take_from_either_end(bars: BarTable) -> None:
    assert minutes(bars.read("FX", "EURUSD", limit=2)) == [0, 1]
    assert minutes(bars.read("FX", "EURUSD", limit=2, newest_first=True)) == [9, 8]
    assert minutes(bars.read("FX", "EURUSD", end=at(5), limit=2, newest_first=True)) == [4, 3]


def test_the_latest_come_oldest_first(bars: BarTable) -> None:
    assert minutes(bars.latest("FX", "USDJPY")) == [9]
    assert minutes(bars.latest("FX", "USDJPY", count=3)) == [7, 8, 9]
    assert bars.latest("FX", "NONE").num_rows == 0
    with pytest.raises(UsageError, match="cannot return 0 bars"):
        bars.latest("FX", "USDJPY", count=0)


def test_the_newest_of_every_key_is_found(bars: BarTable) -> None:
    found = bars.newest()
    assert list(zip(found["broker"].to_pylist(), found["symbol"].to_pylist(), strict=True)) == sorted(KEYS)
    assert minutes(found) == [9] * 4
    assert bars.newest(limit=1)["broker"].to_pylist() == ["FX2"]


def test_the_newest_of_nothing_is_nothing(log: EmbeddedLog) -> None:
    found = TimeBucket.set(RateBar5m, FIVE, context=trading, log=log).newest()
    assert (found.num_rows, "close" in found.column_names) == (0, True)


def test_all_bars_can_be_read(bars: BarTable) -> None:
    assert bars.read_all().num_rows == 40
    assert bars.read_all(limit=1, newest_first=True)["broker"].to_pylist() == ["FX2"]


def test_reads_work_from_asyncio(bars: BarTable) -> None:
    found = asyncio.run(bars.read_async("FX", "EURUSD", start=at(3), end=at(5), limit=1, newest_first=True))
    assert minutes(found) == [4]


@pytest.mark.parametrize("key", [(), ("FX",), ("FX", "EURUSD", "X")])
def test_a_wrong_number_of_key_parts_names_the_columns(bars: BarTable, key: tuple[str, ...]) -> None:
    with pytest.raises(UsageError, match="has 2 key columns") as caught:
        bars.read(*key)
    assert "broker, symbol" in caught.value.hint


def test_key_parts_are_text(bars: BarTable) -> None:
    with pytest.raises(UsageError, match="symbol is text, not 3"):
        bars.read("FX", 3)  # type: ignore[arg-type]  # what a user might try


def test_times_need_a_zone_and_a_place_in_the_key(bars: BarTable) -> None:
    with pytest.raises(UsageError, match="no time zone"):
        bars.read("FX", "EURUSD", start=at(3).replace(tzinfo=None))
    with pytest.raises(InputError, match="cannot stand in a key"):
        bars.read("FX", "EURUSD", start=-1)


def test_a_period_that_disagrees_shows_both(log: EmbeddedLog) -> None:
    with pytest.raises(PeriodError, match="RateBar1m holds bars of 1m, not of 5m"):
        TimeBucket.set(RateBar1m, FIVE, log=log)


def test_declared_classes_find_their_query_by_name(log: EmbeddedLog) -> None:
    assert TimeBucket.set(RateBar5m, FIVE, context=trading, log=log).binding.topic == "trading.rate_bars_5m"
    with pytest.raises(DefinitionError, match="no query of trading makes RateBar1h"):
        TimeBucket.set(RateBar1h, Period.hours(1), context=trading, log=log)


def test_a_topic_that_was_never_made_says_how(tmp_path: Path) -> None:
    empty = EmbeddedLog(tmp_path / "empty.db")
    with pytest.raises(UnknownTopicError, match=r"trading\.rate_bars_1m does not exist yet") as caught:
        TimeBucket.set(RateBar1m, ONE, log=empty).read("FX", "EURUSD")
    assert "rc dev" in caught.value.hint
    empty.close()


def test_without_a_log_that_of_the_project_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "ashioto.toml").write_text("", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    first = TimeBucket.set(RateBar1m, ONE)
    assert first.log is TimeBucket.set(RateBar1m, ONE).log
    assert (tmp_path / ".ashioto" / "log.db").exists()
    assert repr(first) == "<bars trading.rate_bars_1m>"
