"""The program of the documentation: every line must pass both type checkers."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import assert_type

import ashioto as ao
from ashioto import Column, Field, Period, TimeBucket
from ashioto.dsl import Context
from ashioto.dsl.query import BarQuery


class Rate(ao.Stream):
    broker: Field[str] = ao.key()
    symbol: Field[str] = ao.key()
    at: Field[datetime] = ao.timestamp()
    price: Field[Decimal] = ao.decimal(18, 5)
    size: Field[Decimal] = ao.decimal(18, 2, default=Decimal(0))
    lots: Field[int] = ao.field(default=1)
    weight: Field[float] = ao.field(default=1.0)
    number: Field[int] = ao.sequence()


class MarketSchedule(ao.Table):
    broker: Field[str] = ao.key()
    symbol: Field[str] = ao.key()
    open: Field[datetime] = ao.key()
    close: Field[datetime] = ao.field()
    market_date: Field[date] = ao.field()


trading = Context("trading")

rate_bars = (
    trading.events(Rate)
    .where(Rate.size >= 0)
    .where((Rate.lots != 0) & ~(Rate.broker == "TEST") | (Rate.price > Decimal("0.5")))
    .time_frame(
        MarketSchedule,
        (Rate.broker == MarketSchedule.broker)
        & (Rate.symbol == MarketSchedule.symbol)
        & (MarketSchedule.open <= Rate.at)
        & (Rate.at < MarketSchedule.close),
        day_key=MarketSchedule.market_date,
    )
    .tumbling(
        Rate.at,
        Period.minutes(1),
        Period.minutes(5),
        Period.hours(1),
        Period.days(1),
        ensure_continuous=True,
        grace=timedelta(seconds=5),
    )
    .group_by(Rate.broker, Rate.symbol)
    .select(
        open=ao.first(Rate.price),
        high=ao.max(Rate.price),
        low=ao.min(Rate.price),
        close=ao.last(Rate.price),
        volume=ao.sum(Rate.size),
        ticks=ao.count(),
        vwap=ao.sum(Rate.price * Rate.size) / ao.sum(Rate.size),
    )
    .when_empty(open=ao.previous("close"), volume=0, vwap=None)
    .to_query()
)
open_bars = (
    trading.events(Rate)
    .time_frame(ao.AlwaysOpen)
    .tumbling(Rate.at, Period.seconds(1), ensure_continuous=True, align="session")
    .select(**ao.ohlcv(Rate.price, Rate.size))
    .to_query(name="seconds")
)
RateBar5m = rate_bars.bar(Period.minutes(5))


class RateBar1h(ao.Bar): ...


rate = Rate(broker="FX", symbol="USDJPY", at=datetime.now(UTC), price=Decimal("150.1"), number=7)
bar = RateBar5m(broker="FX", symbol="USDJPY", bucket_start=datetime.now(UTC), open=Decimal(1))

assert_type(rate_bars, BarQuery)
assert_type(RateBar5m, type[ao.Bar])
assert_type(bar, ao.Bar)
assert_type(rate.price, Decimal)
assert_type(rate.at, datetime)
assert_type(Rate.price, Column[Decimal])
assert_type(Rate.at < MarketSchedule.close, Column[bool])
assert_type(Rate.price * Rate.lots, Column[Decimal])
assert_type(Rate.lots * Rate.price, Column[Decimal])
assert_type(Rate.lots + 1, Column[int])
assert_type(2 * Rate.price, Column[Decimal])
assert_type(Rate.lots * 1.5, Column[float])
assert_type(Rate.lots * Decimal("1.5"), Column[Decimal])
assert_type(1 - Rate.weight, Column[float])
assert_type(-Rate.price, Column[Decimal])
assert_type(Rate.price + Rate.weight, Column[float])
assert_type(Rate.price / Rate.lots, Column[float])
assert_type(ao.avg(Rate.price), Column[float])
assert_type(ao.count(), Column[int])
assert_type(ao.sum(Rate.price * Rate.size) / ao.sum(Rate.size), Column[float])
assert_type(Rate.lots == 1, Column[bool])
assert_type(ao.greatest(ao.first(Rate.price), ao.last(Rate.price)), Column[Decimal])


def write_and_read() -> None:
    TimeBucket.set(RateBar1h, Period.hours(1), context=ao.Context("trading")).latest("FX", "USDJPY")
    TimeBucket.set(RateBar5m, Period.minutes(5)).read("FX", "USDJPY", start=datetime.now(UTC), end=datetime.now(UTC))
    ao.Context("trading").set(Rate).add(rate)
