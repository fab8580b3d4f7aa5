"""Conditions over columns of every type."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from tests.support_engine import DAY, START, Market, bars, moment

import ashioto as ao
from ashioto import Field

if TYPE_CHECKING:
    from ashioto import Column


class Event(ao.Stream):
    venue: Field[str] = ao.key()
    symbol: Field[str] = ao.key()
    at: Field[datetime] = ao.timestamp()
    good: Field[bool] = ao.field()
    day: Field[date] = ao.field()
    price: Field[Decimal] = ao.decimal(9, 3)
    lots: Field[int] = ao.field()
    weight: Field[float] = ao.field()


ROWS = [
    {
        "venue": venue,
        "symbol": "A",
        "at": moment(START + number),
        "good": number % 2 == 0,
        "day": date(2024, 3, 10 + number),
        "price": Decimal(number) / 8,
        "lots": number - 3,
        "weight": number / 4,
    }
    for number, venue in enumerate(["", "V", "W", "é", "日本"])
]
CONDITIONS: dict[str, tuple[Column[bool], list[int]]] = {
    "truth": (Event.good, [0, 2, 4]),
    "no truth": (~Event.good, [1, 3]),
    "truths": (Event.good == (Event.lots > 0), [1, 3, 4]),
    "date": (Event.day >= date(2024, 3, 13), [3, 4]),
    "time": (Event.at < moment(START + 2), [0, 1]),
    "text": (Event.venue > "V", [2, 3, 4]),
    "one text": (Event.venue == "é", [3]),
    "columns": (Event.price * 2 == Event.weight, [0, 1, 2, 3, 4]),
    "decimal": (Event.price > Decimal("0.2"), [2, 3, 4]),
    "no value": (Event.lots / (Event.lots + 1) <= 100.0, [0, 1, 3, 4]),
    "no value or else": ((Event.lots / (Event.lots + 1) < 0.0) | Event.good, [0, 2, 4]),
    "not of no value": (~(Event.lots / (Event.lots + 1) < 0.0), [0, 1, 3, 4]),
    "choice": (ao.coalesce(Event.lots / (Event.lots + 1), 7.0) > 5.0, [2]),
}


@pytest.mark.parametrize("name", CONDITIONS)
def test_a_condition_counts_the_ticks_that_meet_it(name: str) -> None:
    condition, wanted = CONDITIONS[name]
    select: dict[str, Any] = {"n": ao.count(), "sum": ao.sum(Event.price * 8)}
    query = bars("1d", entity=Event, schedule=False, continuous=False, where=[condition], select=select)
    market = Market.of(query)
    market.send(*ROWS)
    market.run()
    found = market.bars("1d")
    assert sum(row["n"] for row in found) == len(wanted)
    assert sum(row["sum"] for row in found) == sum(wanted)
    assert market.dead() == []
    assert market.progress()[0]["source_offset"] == len(ROWS)
    assert all(row["bucket_start"] % DAY == 0 for row in found)
