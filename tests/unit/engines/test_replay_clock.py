"""A replay sets the clock back: a new epoch of heartbeats, and bars of then are live and final by that clock."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.support_engine import DAY, HOUR, MINUTE, SECOND, START, Market, SlowLog, bars, columns, trade

from ashioto.engines.embedded import residency
from ashioto.log.base import Fence

HOURS = [(s, d * DAY, d * DAY + HOUR) for s in "AB" for d in range(40)]
BAR = ("bucket_start", "close", "ticks", "final", "synthetic")


def set_back(market: Market, to: int) -> None:
    for beat in market.beats:
        beat.restart_at(START + to - 1)


def day(market: Market, kind: str, number: int) -> list[tuple[object, ...]]:
    found = [row for row in market.bars(kind) if number * DAY <= row["bucket_start"] < (number + 1) * DAY]
    return columns(found, *BAR)


@pytest.mark.parametrize("slack", [-1000, 4096], ids=["evicting", "keeping"])
@pytest.mark.parametrize("restarts", [False, True])
def test_a_replay_is_played_by_its_own_clock(
    restarts: bool,  # noqa: FBT001  # a parameter of the test
    slack: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(residency, "_SLACK", slack)
    market = Market.of(bars("1m", "5m", "1d", grace=30 * SECOND), hours=HOURS)

    def go(now: int) -> None:
        market.at(now)
        if restarts:
            market.restart()

    market.send(trade("A", 30 * DAY, 1), trade("A", 30 * DAY + 2 * MINUTE, 2))
    go(30 * DAY + 4 * MINUTE)
    later = day(market, "1m", 30)
    set_back(market, 10 * DAY)
    go(10 * DAY)
    market.send(trade("A", 10 * DAY + 5, 50))
    go(10 * DAY + 10 * SECOND)
    assert day(market, "1m", 10) == [(10 * DAY, 50, 1, False, False)]
    go(10 * DAY + 80 * SECOND)
    assert day(market, "1m", 10)[-1] == (10 * DAY + MINUTE, 50, 0, False, True)
    assert day(market, "1m", 10)[0][3] is False
    go(10 * DAY + 90 * SECOND)
    assert day(market, "1m", 10)[0] == (10 * DAY, 50, 1, True, False)
    market.send(trade("A", 10 * DAY + 3 * MINUTE, 60))
    go(10 * DAY + 6 * MINUTE)
    assert day(market, "1m", 10) == [
        (10 * DAY, 50, 1, True, False),
        (10 * DAY + MINUTE, 50, 0, True, True),
        (10 * DAY + 2 * MINUTE, 50, 0, True, True),
        (10 * DAY + 3 * MINUTE, 60, 1, True, False),
        (10 * DAY + 4 * MINUTE, 60, 0, True, True),
        (10 * DAY + 5 * MINUTE, 60, 0, False, True),
        (10 * DAY + 6 * MINUTE, 60, 0, False, True),
    ]
    assert day(market, "5m", 10)[0] == (10 * DAY, 60, 2, True, False)
    assert day(market, "1d", 10) == [(10 * DAY, 60, 2, False, False)]
    assert market.late() == []
    assert day(market, "1m", 30) == later
    go(12 * DAY)
    assert day(market, "1d", 10) == [(10 * DAY, 60, 2, True, False)]
    assert day(market, "1d", 11) == [(11 * DAY, 60, 0, True, True)]


def test_heartbeats_of_a_replaced_sender_are_not_followed_after_a_crash() -> None:
    log = SlowLog()
    market = Market.of(bars("1m"), hours=HOURS, log=log)
    market.beat(5 * DAY)
    set_back(market, 0)
    market.send(trade("A", 0, 1))
    market.beat(10 * MINUTE)
    market.send(trade("A", 11 * MINUTE, 2), trade("A", 20 * MINUTE + 30 * SECOND, 3))
    market.beat(20 * MINUTE)
    log.rows = 1
    market.engine.poll()
    market.runners[0].flush()
    assert market.progress()[0]["now_ms"] == START + 10 * MINUTE
    market.restart()
    log.rows = 100
    market.run()
    assert market.progress()[0]["now_ms"] == START + 20 * MINUTE
    assert columns(market.bars("1m"), *BAR)[20] == (20 * MINUTE, 3, 1, False, False)


def test_a_late_sender_of_an_older_epoch_is_not_followed() -> None:
    market = Market.of(bars("1m"), hours=HOURS)
    older = market.beats[0]
    market.send(trade("A", 0, 1))
    market.at(MINUTE)
    market.beats = [type(older)(market.log, market.queries[0].plan, start_ms=START + MINUTE)]
    market.at(2 * MINUTE)
    older._sender = replace(older._sender, fence=Fence(name="of a log that did not refuse it", epoch=1))
    older.send(START + DAY)
    market.run()
    assert market.progress()[0]["now_ms"] == START + 2 * MINUTE
    assert [row["final"] for row in market.bars("1m")] == [True, True, False]
