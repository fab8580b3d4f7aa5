from __future__ import annotations

from datetime import date, datetime  # noqa: TC003  # columns are declared by them
from decimal import Decimal  # noqa: TC003  # columns are declared by it
from typing import TYPE_CHECKING

import pytest

import ashioto as ao
from ashioto import Field, Period
from ashioto.deploy.bootstrap import ensure_topics, wanted_topics
from ashioto.engines.embedded.topics import system_topics
from ashioto.errors import DefinitionError, LogError
from ashioto.schema.arrow import storage_schema
from ashioto.testing.memory_log import MemoryLog

if TYPE_CHECKING:
    from ashioto.log.base import TopicSpec


class Rate(ao.Stream):
    symbol: Field[str] = ao.key()
    at: Field[datetime] = ao.timestamp()
    price: Field[Decimal] = ao.decimal(18, 5)


class Order(ao.Stream):
    symbol: Field[str] = ao.key()
    at: Field[datetime] = ao.timestamp()


class RateLate(ao.Stream):
    symbol: Field[str] = ao.key()
    at: Field[datetime] = ao.timestamp()


class RateLateNight(ao.Stream):
    symbol: Field[str] = ao.key()
    at: Field[datetime] = ao.timestamp()


class Hours(ao.Table):
    symbol: Field[str] = ao.key()
    open: Field[datetime] = ao.key()
    close: Field[datetime] = ao.field()
    late: Field[datetime] = ao.field()
    market_date: Field[date] = ao.field()


class Symbol(ao.Table):
    symbol: Field[str] = ao.key()
    name: Field[str] = ao.field()


SYSTEM = {spec.name for spec in system_topics()}


def trading(name: str = "trading", *, continuous: bool = True) -> ao.Context:
    """A context with a query over rates, and two entities beside it."""
    made = ao.Context(name)
    (
        made.events(Rate)
        .time_frame(
            Hours,
            (Rate.symbol == Hours.symbol) & (Hours.open <= Rate.at) & (Rate.at < Hours.close),
            day_key=Hours.market_date,
        )
        .tumbling(Rate.at, Period.minutes(1), Period.days(1), ensure_continuous=continuous)
        .select(close=ao.last(Rate.price))
        .to_query(name="bars")
    )
    made.declare(Order, Symbol)
    return made


def by_name(specs: list[TopicSpec]) -> dict[str, TopicSpec]:
    return {spec.name: spec for spec in specs if spec.name not in SYSTEM}


def test_every_declared_thing_has_its_topics() -> None:
    found = by_name(wanted_topics([trading()], partitions=4))
    assert {name: (spec.cleanup, spec.partitions) for name, spec in found.items()} == {
        "trading.rate": ("delete", 4),
        "trading.rate_bars_1m": ("compact", 4),
        "trading.rate_bars_1d": ("compact", 4),
        "trading.rate_hb": ("delete", 4),
        "trading.rate_late": ("delete", 4),
        "trading.hours": ("compact", 1),
        "trading.order": ("delete", 4),
        "trading.symbol": ("compact", 1),
    }
    assert found["trading.rate"].schema == storage_schema(Rate.__entity__)
    assert found["trading.symbol"].schema == storage_schema(Symbol.__entity__)


def test_without_continuous_bars_there_are_no_heartbeats() -> None:
    assert "trading.rate_hb" not in by_name(wanted_topics([trading(continuous=False)]))


def test_a_schedule_has_an_index_where_the_engine_speaks_sql() -> None:
    added = by_name(wanted_topics([trading()], partitions=4, in_sql=True))
    plain = by_name(wanted_topics([trading()], partitions=4))
    assert added.keys() - plain.keys() == {"trading.hours_by_day"}
    index = added["trading.hours_by_day"]
    assert (index.partitions, index.cleanup, index.retention_ms) == (4, "compact", None)
    assert index.schema.names == ["sessions"]


def test_what_is_always_open_has_no_index() -> None:
    context = ao.Context("trading")
    context.events(Rate).tumbling(Rate.at, Period.minutes(5)).select(ticks=ao.count()).to_query(name="counts")
    assert wanted_topics([context], in_sql=True) == wanted_topics([context])


def test_a_schedule_that_is_read_in_two_ways_has_no_one_index() -> None:
    context = trading()
    (
        context.events(Order)
        .time_frame(
            Hours,
            (Order.symbol == Hours.symbol) & (Hours.open <= Order.at) & (Order.at < Hours.late),
            day_key=Hours.market_date,
        )
        .tumbling(Order.at, Period.minutes(1))
        .select(orders=ao.count())
        .to_query(name="orders")
    )
    wanted_topics([context])
    with pytest.raises(DefinitionError, match=r"by open, late, market_date, and another query by open, close"):
        wanted_topics([context], in_sql=True)


def test_the_topics_of_ashioto_itself_are_there_once_whatever_is_declared() -> None:
    for contexts in ([], [trading()], [trading(), trading("other")]):
        names = [spec.name for spec in wanted_topics(contexts)]
        assert len(names) == len(set(names))
        assert set(names) >= SYSTEM


def test_two_queries_over_one_stream_share_its_topics() -> None:
    context = trading()
    context.events(Rate).tumbling(Rate.at, Period.minutes(5)).select(ticks=ao.count()).to_query(name="counts")
    added = by_name(wanted_topics([context])).keys() - by_name(wanted_topics([trading()])).keys()
    assert added == {"trading.rate_bars_5m"}


def test_an_entity_whose_topic_is_taken_is_refused() -> None:
    context = trading()
    context.declare(RateLate)
    with pytest.raises(DefinitionError, match=r"want the topic trading\.rate_late") as caught:
        wanted_topics([context])
    assert caught.value.ids == {"topic": "trading.rate_late"}


def test_creating_again_creates_nothing() -> None:
    log = MemoryLog()
    created = ensure_topics(log, [trading()], partitions=2)
    assert created == [spec.name for spec in wanted_topics([trading()], partitions=2)]
    assert ensure_topics(log, [trading()], partitions=2) == []
    assert all(log.describe(name).spec.name == name for name in created)


def test_only_what_is_new_is_created() -> None:
    log, context = MemoryLog(), trading()
    ensure_topics(log, [context])
    context.declare(RateLateNight)
    assert ensure_topics(log, [context]) == ["trading.rate_late_night"]


def test_a_topic_that_exists_in_another_way_is_refused() -> None:
    log = MemoryLog()
    ensure_topics(log, [trading()], partitions=2)
    with pytest.raises(LogError, match=r"trading\.rate exists with partitions = 2, not 3"):
        ensure_topics(log, [trading()], partitions=3)
