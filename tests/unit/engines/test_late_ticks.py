"""Late ticks: in before grace, revisions after it, and the late topic when they are older than the retention."""

from __future__ import annotations

from typing import Any

import pytest
from tests.support_engine import DAY, HOUR, MINUTE, SECOND, START, Market, Trade, bars, columns, moment, trade

import ashioto as ao
from ashioto import naming
from ashioto.engines.embedded import residency

HOURS = [(s, d * DAY, d * DAY + 2 * HOUR) for s in ("A", "B") for d in range(30)]
BAR = ("bucket_start", "open", "high", "low", "close", "ticks", "final", "synthetic")


@pytest.fixture(params=["resident", "evicted", "restarted"])
def memory(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Whether the bars that late ticks touch are still in memory."""
    if request.param == "evicted":
        monkeypatch.setattr(residency, "_SLACK", -1000)
    return str(request.param)


def settle(market: Market, memory: str) -> None:
    if memory == "restarted":
        market.restart()


def changes(market: Market, before: dict[str, int]) -> dict[str, list[int]]:
    """Bucket starts written since, in the order of the log; each with its frame."""
    found = {}
    for kind, offset in before.items():
        period = ao.Period.parse(kind)
        part = market.log.read(naming.bars_topic("t", "Trade", period), 0, offset)
        rows = [] if part is None else part.data.to_pylist()
        found[kind] = [(row["bucket_start"] - moment(START)) // (moment(1) - moment(0)) for row in rows]
    return found


def test_before_its_grace_has_passed_a_tick_is_simply_in(memory: str) -> None:
    market = Market.of(bars("1m", grace=30 * SECOND), hours=HOURS)
    market.send(trade("A", 10 * SECOND, 5))
    market.at(MINUTE + 29 * SECOND)
    settle(market, memory)
    market.send(trade("A", 20 * SECOND, 9), trade("A", 5 * SECOND, 3))
    market.run()
    assert columns(market.bars("1m"), *BAR)[0] == (0, 3, 9, 3, 9, 3, False, False)
    market.at(MINUTE + 30 * SECOND)
    assert columns(market.bars("1m"), *BAR) == [
        (0, 3, 9, 3, 9, 3, True, False),
        (MINUTE, 9, 9, 9, 9, 0, False, True),
    ]


def test_a_late_last_tick_revises_its_bars_and_what_carries_them(memory: str) -> None:
    market = Market.of(bars("1m", "5m", "1h", "1d"), hours=HOURS)
    market.send(trade("A", 0, 1), trade("B", 0, 1), trade("A", 6 * MINUTE, 7), trade("A", 70 * MINUTE, 8))
    market.at(100 * MINUTE)
    settle(market, memory)
    before, others = market.written(), {k: market.bars(k) for k in ("1m", "5m", "1h", "1d")}
    market.send(trade("A", 2 * MINUTE, 4))
    market.run()
    assert changes(market, before) == {
        "1m": [2 * MINUTE, 3 * MINUTE, 4 * MINUTE, 5 * MINUTE],
        "5m": [0],
        "1h": [0],
        "1d": [0],
    }
    minutes = columns(market.bars("1m"), *BAR)
    assert minutes[2:7] == [
        (2 * MINUTE, 4, 4, 4, 4, 1, True, False),
        *((m * MINUTE, 4, 4, 4, 4, 0, True, True) for m in (3, 4, 5)),
        (6 * MINUTE, 7, 7, 7, 7, 1, True, False),
    ]
    assert columns(market.bars("1h"), *BAR)[0] == (0, 1, 7, 1, 7, 3, True, False)
    unchanged = [r for r in others["1m"] if r["symbol"] == "B" or not 2 <= r["bucket_start"] // MINUTE <= 5]
    assert all(row in market.bars("1m") for row in unchanged)


def test_a_late_tick_that_is_not_the_last_changes_its_bars_alone(memory: str) -> None:
    market = Market.of(bars("1m", "5m"), hours=HOURS)
    market.send(trade("A", 30 * SECOND, 5), trade("A", 20 * MINUTE, 6))
    market.at(40 * MINUTE)
    settle(market, memory)
    before = market.written()
    market.send(trade("A", 29 * SECOND, 99))
    market.run()
    assert changes(market, before) == {"1m": [0], "5m": [0]}
    assert columns(market.bars("5m"), *BAR)[0] == (0, 99, 99, 5, 5, 2, True, False)


def test_a_late_tick_before_the_first_bar_fills_up_to_it(memory: str) -> None:
    market = Market.of(bars("1m"), hours=HOURS)
    market.send(trade("A", 3 * MINUTE, 5))
    market.at(5 * MINUTE)
    settle(market, memory)
    before = market.written()
    market.send(trade("A", 0, 4))
    market.run()
    assert changes(market, before) == {"1m": [0, MINUTE, 2 * MINUTE]}
    assert columns(market.bars("1m"), "close", "final", "synthetic")[:4] == [
        (4, True, False),
        (4, True, True),
        (4, True, True),
        (5, True, False),
    ]


def test_a_late_tick_revises_over_nights_and_weekends(memory: str) -> None:
    market = Market.of(bars("1h", "1d"), hours=HOURS)
    market.send(trade("A", HOUR + 5, 5), trade("A", 4 * DAY, 6))
    market.at(4 * DAY + 3 * HOUR)
    settle(market, memory)
    before = market.written()
    market.send(trade("A", HOUR + 6, 9))
    market.run()
    hours = [d * DAY + h * HOUR for d in range(5) for h in (0, 1)]
    assert changes(market, before) == {"1h": hours[1:8], "1d": [0, DAY, 2 * DAY, 3 * DAY]}
    assert {r["close"] for r in market.bars("1h")[:7]} == {9}
    assert [r["close"] for r in market.bars("1d")] == [9, 9, 9, 9, 6]


def test_bars_that_look_back_are_revised_with_what_they_look_at(memory: str) -> None:
    select = {**ao.ohlcv(Trade.price), "above": ao.max(Trade.price) - ao.previous("high")}
    market = Market.of(bars("1m", select=select, when_empty={"high": ao.previous("high")}), hours=HOURS)
    market.send(*(trade("A", at * MINUTE + 30, at) for at in (1, 4, 5)))
    market.at(10 * MINUTE)
    settle(market, memory)
    before = market.written()
    market.send(trade("A", MINUTE, 3))
    market.run()
    assert changes(market, before) == {"1m": [MINUTE, 2 * MINUTE, 3 * MINUTE, 4 * MINUTE]}
    assert columns(market.bars("1m"), "high", "above")[:5] == [(3, None), (3, None), (3, None), (4, 1), (5, 1)]


def test_older_than_grace_and_retention_goes_to_the_late_topic(memory: str) -> None:
    market = Market.of(bars("1m", grace=MINUTE, retention=DAY), hours=HOURS)
    market.send(trade("A", 0, 1), trade("B", 0, 1))
    market.at(DAY + 10 * MINUTE)
    settle(market, memory)
    before = market.bars("1m")
    edge = 9 * MINUTE
    market.send(trade("A", edge - 1, 7, lots=3), trade("B", edge, 8), trade("A", 5, 9))
    market.run()
    late = market.late()
    assert [(r["symbol"], r["at"], r["price"], r["lots"]) for r in late] == [
        ("A", moment(START + edge - 1), 7, 3),
        ("A", moment(START + 5), 9, 1),
    ]
    assert {r["reason"] for r in late} == {"older than the retention of 86400 s"}
    assert market.progress()[0]["late"] == 2
    now = market.bars("1m")
    assert [r for r in now if r["symbol"] == "A"] == [r for r in before if r["symbol"] == "A"]
    assert next(r for r in now if r["symbol"] == "B" and r["bucket_start"] == edge)["close"] == 8


def test_without_heartbeats_nothing_is_late() -> None:
    market = Market.of(bars("1m", continuous=False), hours=HOURS)
    market.send(trade("A", 20 * DAY, 1))
    market.run()
    market.send(trade("A", 0, 2))
    market.run()
    assert market.late() == []
    assert columns(market.bars("1m"), "bucket_start", "close", "final") == [(0, 2, False), (20 * DAY, 1, False)]


@pytest.mark.parametrize("broken", [{"price": None}, {"venue": None}, {"at": None}])
def test_bad_ticks_are_dead_and_not_late(broken: dict[str, Any]) -> None:
    market = Market.of(bars("1m", retention=DAY), hours=HOURS)
    market.send(trade("A", 0, 1))
    market.at(2 * DAY)
    market.send(trade("A", 0, 1), trade("A", 1, 1) | broken)
    market.run()
    assert (len(market.late()), len(market.dead())) == (1, 1)
    assert market.dead()[0]["reason"] == f"column {next(iter(broken))!r} is null"
