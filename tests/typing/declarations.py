"""Declares what the other programs use."""

from __future__ import annotations

from datetime import date, datetime  # noqa: TC003  # annotations of entities are read
from decimal import Decimal

import ashioto as ao
from ashioto import Field


class Rate(ao.Stream):
    broker: Field[str] = ao.key()
    symbol: Field[str] = ao.key()
    at: Field[datetime] = ao.timestamp()
    price: Field[Decimal] = ao.decimal(18, 5)
    size: Field[Decimal] = ao.decimal(18, 2, default=Decimal(0))
    lots: Field[int] = ao.field(default=1)
    weight: Field[float] = ao.field(default=1.0)
    firm: Field[bool] = ao.field(default=True)


class MarketSchedule(ao.Table):
    broker: Field[str] = ao.key()
    symbol: Field[str] = ao.key()
    open: Field[datetime] = ao.key()
    close: Field[datetime] = ao.field()
    market_date: Field[date] = ao.field()
