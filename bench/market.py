"""What the benchmarks share: the stream, its schedule, and the query of six frames."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

import ashioto as ao
from ashioto.period import Period

if TYPE_CHECKING:
    from ashioto.logical.nodes import Query

FRAMES = ("1m", "5m", "15m", "1h", "4h", "1d")


class Rate(ao.Stream):
    symbol: ao.Field[str] = ao.key()
    at: ao.Field[datetime] = ao.timestamp()
    price: ao.Field[Decimal] = ao.decimal(18, 2)
    size: ao.Field[Decimal] = ao.decimal(18, 0)


class Hours(ao.Table):
    symbol: ao.Field[str] = ao.key()
    open: ao.Field[datetime] = ao.key()
    close: ao.Field[datetime] = ao.field()
    market_date: ao.Field[date] = ao.field()


def declared(*, grace: timedelta = timedelta(0)) -> tuple[ao.Context, Query]:
    context = ao.Context("bench")
    query = (
        context.events(Rate)
        .time_frame(
            Hours,
            (Rate.symbol == Hours.symbol) & (Hours.open <= Rate.at) & (Rate.at < Hours.close),
            day_key=Hours.market_date,
        )
        .tumbling(Rate.at, *map(Period.parse, FRAMES), ensure_continuous=True, grace=grace)
        .select(**ao.ohlcv(Rate.price, Rate.size))
        .to_query()
    )
    return context, query.plan


def symbol_names(symbols: int) -> list[str]:
    return [f"SYM{n:04}" for n in range(symbols)]
