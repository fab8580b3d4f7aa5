from __future__ import annotations

import asyncio
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest

import ashioto as ao
from ashioto import Field, Period
from ashioto.clock import ManualClock
from ashioto.deploy.bootstrap import ensure_topics
from ashioto.errors import InputError, ScheduleError, UnknownTopicError, UsageError
from ashioto.keys import encode
from ashioto.log.embedded import EmbeddedLog
from ashioto.log.partition import partition_of
from ashioto.tables import EntitySet

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

AT = datetime(2025, 1, 6, 9, 0, tzinfo=UTC)


class Rate(ao.Stream):
    symbol: Field[str] = ao.key()
    at: Field[datetime] = ao.timestamp()
    price: Field[Decimal] = ao.decimal(18, 5)


class Beat(ao.Stream):
    at: Field[datetime] = ao.timestamp()


class Market(ao.Table):
    symbol: Field[str] = ao.key()
    open: Field[datetime] = ao.key()
    close: Field[datetime] = ao.field()
    market_date: Field[date] = ao.field()


class Symbol(ao.Table):
    name: Field[str] = ao.key()
    digits: Field[int] = ao.field(default=5)


class Closed(ao.Table):
    until: Field[datetime] = ao.field()
    name: Field[str] = ao.key()


trading = ao.Context("trading")
trading.declare(Symbol, Beat, Closed)
rate_bars = (
    trading.events(Rate)
    .time_frame(
        Market,
        (Rate.symbol == Market.symbol) & (Market.open <= Rate.at) & (Rate.at < Market.close),
        day_key=Market.market_date,
    )
    .tumbling(Rate.at, Period.minutes(1))
    .select(close=ao.last(Rate.price))
    .to_query()
)


@pytest.fixture
def log(tmp_path: Path) -> Iterator[EmbeddedLog]:
    made = EmbeddedLog(tmp_path / "log.db")
    ensure_topics(made, [trading], partitions=3)
    yield made
    made.close()


def rate(symbol: str = "USDJPY", *, seconds: int = 0, price: str = "157.5") -> Rate:
    return Rate(symbol=symbol, at=AT + timedelta(seconds=seconds), price=Decimal(price))


def session(symbol: str, opens: int, closes: int) -> Market:
    hour = timedelta(hours=1)
    return Market(symbol=symbol, open=AT + opens * hour, close=AT + closes * hour, market_date=date(2025, 1, 6))


def written(log: EmbeddedLog, topic: str) -> list[tuple[int, bytes, int]]:
    found = []
    for partition in log.end_offsets(topic):
        part = log.read(topic, partition, 0)
        if part is not None:
            keys = part.keys.to_pylist()
            found += list(zip([partition] * len(keys), keys, part.timestamps.tolist(), strict=True))
    return found


def test_a_tick_is_written_with_its_key_time_and_partition(log: EmbeddedLog) -> None:
    trading.set(Rate, log=log).add(rate())
    key = encode(["USDJPY"])
    assert written(log, "trading.rate") == [(partition_of(key, 3), key, int(AT.timestamp() * 1000))]


def test_many_ticks_keep_their_order_within_a_partition(log: EmbeddedLog) -> None:
    rows = [rate(f"S{i % 7}", seconds=i) for i in range(100)]
    assert trading.set(Rate, log=log).add_range(iter(rows)) == 100
    found = written(log, "trading.rate")
    assert len(found) == 100
    assert {partition for partition, _, _ in found} == {0, 1, 2}
    assert all(partition == partition_of(key, 3) for partition, key, _ in found)
    for partition in range(3):
        times = [time for p, _, time in found if p == partition]
        assert times == sorted(times)


def test_arrow_data_is_taken(log: EmbeddedLog) -> None:
    times = pa.array([AT, AT], pa.timestamp("ms", tz="UTC"))
    data = pa.table({"symbol": ["A", "B"], "at": times, "price": [1.5, 2.5]})
    assert trading.set(Rate, log=log).add_range(data) == 2
    assert {key for _, key, _ in written(log, "trading.rate")} == {encode(["A"]), encode(["B"])}


def test_nothing_of_a_bad_range_is_written(log: EmbeddedLog) -> None:
    times = pa.array([AT, AT], pa.timestamp("ms", tz="UTC"))
    data = pa.table({"symbol": ["A", "B"], "at": times, "price": [1.5, float("nan")]})
    with pytest.raises(InputError, match=r"Rate\.price of row 1 is no finite number"):
        trading.set(Rate, log=log).add_range(data)
    with pytest.raises(InputError, match="row 1 is Symbol"):
        trading.set(Rate, log=log).add_range([rate(), Symbol(name="x")])
    with pytest.raises(UsageError, match="cannot add 3"):
        trading.set(Rate, log=log).add_range(3)
    assert written(log, "trading.rate") == []


def test_no_rows_are_no_write(log: EmbeddedLog) -> None:
    assert trading.set(Rate, log=log).add_range([]) == 0
    assert written(log, "trading.rate") == []


def test_a_stream_without_keys_has_one_key(log: EmbeddedLog) -> None:
    trading.set(Beat, log=log).add_range([Beat(at=AT), Beat(at=AT)])
    assert {key for _, key, _ in written(log, "trading.beat")} == {b"1"}


def test_everything_works_from_asyncio(log: EmbeddedLog) -> None:
    async def rows() -> AsyncIterator[Rate]:
        for second in range(3):
            yield rate(seconds=second)

    async def use() -> int:
        ticks = trading.set(Rate, log=log)
        await ticks.add_async(rate())
        return await ticks.add_range_async(rows()) + await ticks.add_range_async([rate()])

    assert asyncio.run(use()) == 4
    assert len(written(log, "trading.rate")) == 5


def test_a_table_gives_the_newest_row_of_each_key(log: EmbeddedLog) -> None:
    symbols = trading.set(Symbol, log=log)
    symbols.add_range([Symbol(name="USDJPY"), Symbol(name="EURUSD")])
    symbols.add(Symbol(name="USDJPY", digits=3))
    assert symbols.read().to_pylist() == [{"name": "EURUSD", "digits": 5}, {"name": "USDJPY", "digits": 3}]
    assert symbols.read(limit=1, newest_first=True).to_pylist() == [{"name": "USDJPY", "digits": 3}]
    assert symbols.latest("USDJPY") == Symbol(name="USDJPY", digits=3)
    assert symbols.latest("USD") is None


def test_rows_of_a_table_are_dated_by_the_clock(log: EmbeddedLog) -> None:
    EntitySet(trading, Symbol, log, ManualClock(1_234)).add(Symbol(name="USDJPY"))
    assert [time for _, _, time in written(log, "trading.symbol")] == [1_234]


def test_tables_are_read_by_the_first_parts_of_their_key(log: EmbeddedLog) -> None:
    markets = trading.set(Market, log=log)
    markets.add_range([session("A", 0, 1), session("A", 2, 3), session("AB", 0, 1)])
    assert markets.read("A").num_rows == 2
    assert markets.latest("A", AT) == session("A", 0, 1)
    assert markets.read("A", AT + timedelta(hours=2)).num_rows == 1
    with pytest.raises(UsageError, match="has 2 key columns, 3 given"):
        markets.read("A", AT, "x")
    with pytest.raises(UsageError, match="has 2 key columns, 1 given"):
        markets.latest("A")


def test_streams_are_not_read_here(log: EmbeddedLog) -> None:
    with pytest.raises(UsageError, match=r"trading\.rate is a stream"):
        trading.set(Rate, log=log).read()


def test_sessions_that_overlap_are_refused(log: EmbeddedLog) -> None:
    markets = trading.set(Market, log=log)
    markets.add(session("A", 0, 3))
    with pytest.raises(ScheduleError, match="A: the sessions"):
        markets.add(session("A", 2, 4))
    with pytest.raises(ScheduleError, match="opens at or after its close"):
        markets.add(session("B", 2, 2))
    markets.add_range([session("A", 3, 4), session("B", 2, 4), session("A", 0, 2)])
    assert markets.read().num_rows == 3


def test_a_topic_that_was_never_made_says_how(tmp_path: Path) -> None:
    empty = EmbeddedLog(tmp_path / "empty.db")
    for use in (lambda: trading.set(Rate, log=empty).add(rate()), lambda: trading.set(Symbol, log=empty).read()):
        with pytest.raises(UnknownTopicError, match="does not exist yet") as caught:
            use()
        assert "rc dev" in caught.value.hint
    empty.close()


def test_a_set_names_its_topic(log: EmbeddedLog) -> None:
    assert repr(trading.set(Rate, log=log)) == "<stream trading.rate>"
