"""The steps that SQL engines share give the bars of the embedded engine, when a database runs them."""

from __future__ import annotations

import random
from datetime import datetime  # noqa: TC003  # annotations of entities are read
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from tests.support_engine import DAY, HOUR, MINUTE, SECOND, START, Market, Trade, bars, moment, trade
from tests.support_sql import SqlBars

import ashioto as ao
from ashioto import Field, naming

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ashioto.dsl import BarQuery, Column


class Numbered(ao.Stream):
    """A tick with a sequence of its own."""

    venue: Field[str] = ao.key()
    symbol: Field[str] = ao.key()
    at: Field[datetime] = ao.timestamp()
    number: Field[int] = ao.sequence()
    price: Field[Decimal] = ao.decimal(18, 2)


@pytest.fixture(autouse=True, params=["ticks", "atoms"])
def _folding(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run every test with ticks that are stamped one by one, and with ticks that are folded before."""
    monkeypatch.setattr(SqlBars, "prefolds", request.param == "atoms")


START_OF_DAY = 9 * HOUR
HOURS = [
    (symbol, day * DAY + begin, day * DAY + end)
    for symbol in ("A", "B")
    for day in (0, 1, 4)
    for begin, end in (
        (9 * HOUR, 9 * HOUR + 7 * MINUTE + 30 * SECOND),
        (9 * HOUR + 11 * MINUTE, 9 * HOUR + 20 * MINUTE),
    )
]
SHOWN = ("source_cut",)


def ticks(seed: int, count: int = 120) -> list[dict[str, Any]]:
    """Disordered ticks of two symbols, some outside sessions, most in few minutes."""
    draw = random.Random(seed)  # noqa: S311  # the same ticks every time
    found = []
    for _ in range(count):
        at = draw.choice((0, 1, 4)) * DAY + 9 * HOUR + draw.choice((0, 1, 2, 7, 8, 12, 13, 19, 21)) * MINUTE
        at += draw.randrange(MINUTE)
        price = Decimal(draw.randrange(-500, 20_000)) / 100
        size = Decimal(draw.randrange(0, 40)) / 10
        found.append(trade(draw.choice("AB"), at, price, size=size, lots=draw.randrange(-3, 9), weight=draw.random()))
    return found


def compare(
    query: BarQuery,
    seed: int,
    *,
    until: int = 4 * DAY + 10 * HOUR,
    hours: Any = HOURS,
    beats_first: bool = True,
    **others: Any,
) -> SqlBars:
    """Run both engines on the same records; the SQL steps in three parts, so that bars are revised."""
    market = Market.of(query, hours=hours)
    market.send(
        *({**row, **{name: pick(number) for name, pick in others.items()}} for number, row in enumerate(ticks(seed)))
    )
    market.at(until)
    engine = SqlBars(query.plan)
    engine.feed(market, slice(0, 40), beats=beats_first)
    engine.feed(market, slice(40, 80))
    engine.feed(market, slice(80, None))
    for period in query.plan.frames:
        topic = naming.bars_topic(query.plan.context, query.plan.entity.name, period)
        assert [row["_key"].encode() for row in engine.bars(period.kind)] == list(market.log.view(topic).keys)
        expected = [{k: v for k, v in row.items() if k not in SHOWN} for row in market.table(period.kind)]
        actual = [{k: v for k, v in row.items() if k not in {*SHOWN, "_key"}} for row in engine.bars(period.kind)]
        assert len(expected) > 0
        assert actual == expected
    return engine


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize(
    "frames", [("1m",), ("1m", "5m", "1h", "1d", "1w", "1mo"), ("7m", "14m"), ("1d", "1w", "2w"), ("30s", "2d")]
)
def test_frames_are_those_of_the_embedded_engine(frames: tuple[str, ...], seed: int) -> None:
    compare(bars(*frames), seed)


def test_buckets_from_the_open_of_the_session() -> None:
    compare(bars("3m", align="session"), 3)
    compare(bars("3m", "1d", "1mo", align="session"), 3)


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("frames", [("1m", "5m"), ("2m", "4m", "12m", "1d"), ("30s", "3m", "1w")])
def test_several_frames_from_the_open_of_the_session(frames: tuple[str, ...], seed: int) -> None:
    odd = [(symbol, opened + 25 * SECOND, closed) for symbol, opened, closed in HOURS]
    compare(bars(*frames, align="session"), seed, hours=odd)


def test_bars_of_a_market_that_never_closes() -> None:
    compare(bars("1h", "4h", "1d", "1mo", schedule=False), 4, hours=())
    compare(bars("5h", "1d", schedule=False), 4, hours=())


def test_bars_that_exist_by_their_ticks_alone() -> None:
    compare(bars("1m", "1d", continuous=False), 5)
    compare(bars("5m", "1w", continuous=False, schedule=False), 6, hours=())


def test_some_bars_are_still_live() -> None:
    engine = compare(bars("1m", "1h", "1d"), 7, until=4 * DAY + 9 * HOUR + 15 * MINUTE)
    assert {row["final"] for row in engine.bars("1h")} == {True, False}


def test_selected_expressions_and_conditions() -> None:
    select: Mapping[str, Column[Any]] = {
        "vwap": ao.sum(Trade.price * Trade.size) / ao.sum(Trade.size),
        "mean": ao.avg(Trade.price),
        "spread": ao.max(Trade.price) - ao.min(Trade.price),
        "net": ao.sum(Trade.lots) * 2 - ao.count(),
        "turnover": ao.sum(Trade.price * Trade.lots),
        "top": ao.greatest(ao.last(Trade.price), ao.first(Trade.size)),
        "close": ao.last(Trade.price),
        "weight": ao.last(Trade.weight),
        "heaviest": ao.max(Trade.weight * 2) - 1,
        "ticks": ao.count(),
    }
    empty = {"heaviest": 0.0, "spread": Decimal(0), "net": 0, "turnover": Decimal(0), "top": ao.previous("top")}
    where = [
        (Trade.lots > 0) | ~(Trade.price * 2 >= Trade.size + 100),
        ~((Trade.price / Trade.size > 30) & (Trade.symbol == "A")),
    ]
    compare(bars("5m", select=select, when_empty=empty, where=where), 8)


def test_the_bar_before_enters_the_bar() -> None:
    select: Mapping[str, Column[Any]] = {
        "open": ao.coalesce(ao.previous("close"), ao.first(Trade.price)),
        "change": ao.last(Trade.price) - ao.coalesce(ao.previous("close"), 0),
        "close": ao.last(Trade.price),
        "ticks": ao.count(),
    }
    compare(bars("1m", "5m", "1d", select=select, when_empty={"open": ao.previous("close"), "change": Decimal(0)}), 9)


def test_a_base_bucket_that_holds_two_market_dates() -> None:
    nights = [("A", DAY - 5 * MINUTE, DAY + 30 * SECOND), ("A", DAY + 30 * SECOND, DAY + 4 * MINUTE)]
    select: Mapping[str, Column[Any]] = {
        "open": ao.coalesce(ao.previous("close"), ao.first(Trade.price)),
        "close": ao.last(Trade.price),
    }
    query = bars("1m", "1d", select=select, when_empty={"open": ao.previous("close")})
    market = Market.of(query, hours=nights)
    market.send(trade("A", DAY + 10 * SECOND, 5), trade("A", DAY + 40 * SECOND, 9))
    market.at(DAY + 10 * MINUTE)
    engine = SqlBars(query.plan)
    engine.feed(market)
    assert [(row["open"], row["close"]) for row in engine.bars("1d")] == [(5, 5), (5, 9)]
    for kind in ("1m", "1d"):
        found = [(row["open"], row["close"], row["market_date"]) for row in engine.bars(kind)]
        assert found == [(row["open"], row["close"], row["market_date"]) for row in market.table(kind)]


def test_grouping_by_other_columns_than_the_keys() -> None:
    compare(bars("1m", "5m", group_by=[Trade.symbol]), 10)


def test_heartbeats_that_come_after_the_ticks() -> None:
    compare(bars("1m", "5m", "1d"), 11, beats_first=False)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_any_order_of_ticks_markers_and_what_is_handed_on(seed: int) -> None:
    query = bars("1m", "5m", "1d")
    market = Market.of(query, hours=HOURS)
    market.send(*ticks(seed))
    market.at(4 * DAY + 10 * HOUR)
    engine = SqlBars(query.plan)
    engine.shuffle(market, seed)
    for period in query.plan.frames:
        expected = [{k: v for k, v in row.items() if k not in SHOWN} for row in market.table(period.kind)]
        actual = [{k: v for k, v in row.items() if k not in {*SHOWN, "_key"}} for row in engine.bars(period.kind)]
        assert actual == expected


def test_keys_with_separators_and_any_characters() -> None:
    compare(bars("5m"), 12, venue=lambda number: ("a\\b", "\x1f", "\\u001f", "足 'x' ${y}")[number % 4])


def test_sequences_of_users_that_may_be_negative() -> None:
    query = bars("1m", "1h", entity=Numbered, select=ao.ohlcv(Numbered.price))
    same_time = [START_OF_DAY + 5 + n // 50 for n in range(120)]
    compare(
        query,
        13,
        at=lambda number: moment(START + same_time[number]),
        number=lambda number: (number * 7919) % 241 - 120 + (2**62 if number % 11 == 0 else -(2**63) + 241),
    )


def test_a_change_stops_at_the_next_bar_with_ticks() -> None:
    minutes = [trade("A", 9 * HOUR + n * MINUTE) for n in range(0, 7, 3)]
    query = bars("1m")
    market = Market.of(query, hours=HOURS)
    market.send(*minutes, trade("A", 9 * HOUR + 1, 7))
    market.at(10 * HOUR)
    engine = SqlBars(query.plan)
    engine.feed(market, slice(0, 3))
    before = engine._count()
    engine.feed(market, slice(3, None))
    carries = engine._count() - before - 1
    assert carries == 3
