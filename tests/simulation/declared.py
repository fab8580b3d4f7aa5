"""What the simulated project declares: two contexts, each in variants that `infra apply` is asked to change into."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal  # noqa: TC003  # the declaration reads it
from functools import cache
from typing import TYPE_CHECKING, Any, Final

import ashioto as ao
from ashioto import Field, Period

if TYPE_CHECKING:
    from ashioto.logical.nodes import AlignName, Query

ENV: Final = ("sim", "here")
CONTEXTS: Final = ("alpha", "beta")
S5, S30, M1, D1 = Period.seconds(5), Period.seconds(30), Period.minutes(1), Period.days(1)
FRAMES: Final = {"alpha": (S5, M1, D1), "beta": (S5, S30)}
ALIGNS: Final[dict[str, AlignName]] = {"alpha": "clock", "beta": "session"}


class Hours(ao.Table):
    symbol: Field[str] = ao.key()
    open: Field[datetime] = ao.key()
    close: Field[datetime] = ao.field()
    market_date: Field[date] = ao.field()


class Rate(ao.Stream):
    symbol: Field[str] = ao.key()
    at: Field[datetime] = ao.timestamp()
    price: Field[Decimal] = ao.decimal(18, 2)
    size: Field[Decimal] = ao.decimal(18, 2)


@dataclass(frozen=True, kw_only=True)
class Variant:
    """Says how the query of a context is declared.

    Args:
        grace_ms: How long bars wait for late ticks.
        wide: Whether the volume is selected too.
    """

    grace_ms: int
    wide: bool


@cache
def context(name: str, variant: Variant) -> ao.Context:
    """Return a context in one of its variants."""
    made, price = ao.Context(name), Rate.price
    chosen: dict[str, Any] = ao.ohlcv(price, Rate.size) if variant.wide else ao.ohlcv(price)
    (
        made.events(Rate)
        .time_frame(
            Hours,
            (Rate.symbol == Hours.symbol) & (Hours.open <= Rate.at) & (Rate.at < Hours.close),
            day_key=Hours.market_date,
        )
        .tumbling(
            Rate.at, *FRAMES[name], ensure_continuous=True, align=ALIGNS[name],
            grace=timedelta(milliseconds=variant.grace_ms),
        )
        .select(**chosen)
        .to_query()
    )  # fmt: skip
    return made


def plan(name: str, variant: Variant) -> Query:
    """Return the plan of a context's query."""
    return context(name, variant).queries["rate_bars"].plan
