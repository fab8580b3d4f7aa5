"""Partitions change nothing: the same bars as with one, also over restarts."""

from __future__ import annotations

from datetime import datetime  # noqa: TC003  # read from annotations
from decimal import Decimal  # noqa: TC003  # read from annotations
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.support_engine import DAY, HOUR, MINUTE, Market, Trade, bars, trade

import ashioto as ao
from ashioto import Field, keys
from ashioto.engines.embedded import residency
from ashioto.engines.embedded.runner import check_grouping
from ashioto.errors import UnsupportedError
from ashioto.log.partition import partition_of

if TYPE_CHECKING:
    from ashioto.dsl import BarQuery

SYMBOLS = [f"S{n}" for n in range(9)]
HOURS = [(s, d * DAY, d * DAY + HOUR) for s in SYMBOLS for d in range(3)]


class Counted(ao.Stream):
    """A tick whose order does not depend on where it lies."""

    venue: Field[str] = ao.key()
    symbol: Field[str] = ao.key()
    at: Field[datetime] = ao.timestamp()
    number: Field[int] = ao.sequence()
    price: Field[Decimal] = ao.decimal(18, 2)


SELECT = {**ao.ohlcv(Counted.price), "up": ao.last(Counted.price) - ao.previous("close")}
QUERY = bars("1m", "5m", "1d", entity=Counted, select=SELECT, grace=MINUTE)
PLACES = st.sampled_from([0, DAY, 2 * DAY])
TICKS = st.lists(st.tuples(st.sampled_from(SYMBOLS), PLACES, st.integers(0, HOUR - 1), st.integers(1, 99)), max_size=40)


def play(rows: list[dict[str, Any]], partitions: int, plays: list[tuple[int, str]], query: BarQuery = QUERY) -> Market:
    """Send rows in pieces, with heartbeats and restarts between them."""
    market = Market.of(query, hours=HOURS, partitions=partitions)
    share = max(1, len(rows) // len(plays))
    for turn, (now, step) in enumerate(plays):
        last = turn == len(plays) - 1
        market.send(*rows[turn * share : None if last else (turn + 1) * share])
        market.run()
        market.beat(now)
        market.run()
        if step == "restart":
            market.restart()
    market.run()
    return market


@settings(max_examples=50, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(
    found=TICKS,
    partitions=st.integers(2, 4),
    times=st.lists(st.integers(0, 3 * DAY), min_size=4, max_size=4).map(sorted),
    steps=st.lists(st.sampled_from(["restart", "go on"]), min_size=4, max_size=4),
    slack=st.sampled_from([-1000, 4096]),
)
def test_bars_are_those_of_one_partition(
    found: list[tuple[str, int, int, int]], partitions: int, times: list[int], steps: list[str], slack: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(residency, "_SLACK", slack)
    rows = [trade(s, day + at, price, number=n) for n, (s, day, at, price) in enumerate(found)]
    plays = list(zip(times, steps, strict=True))
    one, many = play(rows, 1, plays), play(rows, partitions, plays)
    for kind in ("1m", "5m", "1d"):
        wanted = [row | {"source_cut": None} for row in one.bars(kind)]
        assert [row | {"source_cut": None} for row in many.bars(kind)] == wanted


def test_each_bar_lies_in_the_partition_of_its_ticks() -> None:
    market = Market.of(bars("1m"), hours=HOURS, partitions=3)
    market.send(*(trade(s, n) for n, s in enumerate(SYMBOLS)))
    market.at(5 * MINUTE)
    market.restart()
    market.at(10 * MINUTE)
    for partition in range(3):
        part = market.log.read("t.trade_bars_1m", partition, 0)
        found = {row["symbol"] for row in part.data.to_pylist()} if part else set()
        assert found == {s for s in SYMBOLS if partition_of(keys.encode(["V", s]), 3) == partition}


def test_progress_is_kept_by_partition() -> None:
    market = Market.of(bars("1m"), hours=HOURS, partitions=3)
    market.send(*(trade(s, n) for n, s in enumerate(SYMBOLS)), trade("X", 1), trade("S0", -1))
    market.run()
    found = market.progress()
    assert len(found) == 3
    assert sum(p["ticks"] for p in found) == sum(p["source_offset"] for p in found) == 11
    assert (sum(p["unknown_key"] for p in found), sum(p["out_of_session"] for p in found)) == (1, 1)


def test_late_and_dead_ticks_of_every_partition() -> None:
    market = Market.of(bars("1m", retention=MINUTE), hours=HOURS, partitions=3)
    market.send(*(trade(s, 0) for s in SYMBOLS))
    market.at(2 * DAY)
    market.send(*(trade(s, 5) for s in SYMBOLS), *(trade(s, 6, None) for s in SYMBOLS))
    market.run()
    assert sorted(row["symbol"] for row in market.late()) == SYMBOLS
    origins = {(row["source_partition"], row["source_offset"]) for row in market.dead()}
    assert len(origins) == len(market.dead()) == 9
    assert {p for p, _ in origins} == {0, 1, 2}


@pytest.mark.parametrize("columns", [[Trade.symbol], [Trade.symbol, Trade.venue]])
def test_bars_of_other_columns_than_the_keys_need_one_partition(columns: list[Any]) -> None:
    query = bars("1m", group_by=columns)
    check_grouping(query.plan, 1)
    Market.of(query, hours=HOURS)
    with pytest.raises(
        UnsupportedError, match=r"trade_bars groups by symbol.*but 2 partitions.*spread by venue, symbol"
    ):
        Market.of(query, hours=HOURS, partitions=2)


def test_one_series_of_all_needs_one_partition() -> None:
    query = bars("1m", group_by=[], schedule=False)
    with pytest.raises(UnsupportedError, match="groups by nothing"):
        check_grouping(query.plan, 2)
    market = Market.of(query)
    market.send(trade("A", 0, 1), trade("B", 1, 5), trade("C", 2 * MINUTE, 3))
    market.at(4 * MINUTE)
    market.restart()
    market.send(trade("Z", 5, 9))
    market.run()
    assert [(r["high"], r["ticks"], r["synthetic"]) for r in market.bars("1m")] == [
        (9, 3, False),
        (9, 0, True),
        (3, 1, False),
        (3, 0, True),
        (3, 0, True),
    ]
