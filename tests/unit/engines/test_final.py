"""Final means final: heartbeats wait for the ticks before them, each query follows its own, and none counts twice."""

from __future__ import annotations

import pytest
from tests.support_engine import DAY, HOUR, MINUTE, SECOND, Market, SlowLog, bars, columns, trade

import ashioto as ao
from ashioto.engines.embedded.runner import EMIT_INTERVAL
from ashioto.log.base import Batch

HOURS = [(s, d * DAY, d * DAY + HOUR) for s in "AB" for d in range(8)]
BAR = ("bucket_start", "close", "ticks", "final")


def again(market: Market, low: int, high: int) -> None:
    """Send some of the heartbeats once more, as they were."""
    part = market.log.read("t.trade_hb", 0, low, max_rows=high - low)
    assert part is not None
    market.log.append(
        [Batch(topic="t.trade_hb", partition=0, keys=part.keys, timestamps=part.timestamps, data=part.data)]
    )


@pytest.mark.parametrize("restart", [False, True])
def test_a_final_heartbeat_waits_for_the_ticks_before_it(restart: bool) -> None:  # noqa: FBT001  # a parameter of the test
    log = SlowLog()
    market = Market.of(bars("1m"), hours=HOURS, log=log)
    market.send(*(trade("A", n, n + 1) for n in range(4)))
    market.beat(MINUTE)
    log.rows = 2
    seen = []
    for _ in range(3):
        market.engine.poll()
        market.runners[0].flush()
        seen.append([(r["close"], r["ticks"], r["final"]) for r in market.bars("1m")])
        if restart:
            market.restart()
    assert seen == [[(2, 2, False)], [(4, 4, True), (4, 0, False)], [(4, 4, True), (4, 0, False)]]
    market.send(trade("A", MINUTE, 9))
    market.run()
    assert columns(market.bars("1m"), *BAR) == [(0, 4, 4, True), (MINUTE, 9, 1, False)]


def test_final_bars_are_written_at_once_and_live_ones_every_interval() -> None:
    market = Market.of(bars("1m"), hours=HOURS)
    market.send(trade("A", 0, 1))
    market.engine.poll()
    assert market.written() == {"1m": 0}
    market.clock.advance(EMIT_INTERVAL * 1000 - 1)
    market.engine.poll()
    assert market.written() == {"1m": 0}
    market.clock.advance(1)
    market.engine.poll()
    assert market.written() == {"1m": 1}
    assert market.runners[0].written == 1
    market.send(trade("A", 1, 2))
    market.beat(MINUTE)
    market.engine.poll()
    assert columns(market.bars("1m"), *BAR) == [(0, 2, 2, True), (MINUTE, 2, 0, False)]


def test_heartbeats_sent_twice_or_in_another_order_change_nothing() -> None:
    market = Market.of(bars("1m", "5m"), hours=HOURS)
    market.send(trade("A", 0, 1), trade("B", 0, 1))
    for minute in range(1, 8):
        market.at(minute * MINUTE)
    before, bars_before = market.written(), market.bars("1m")
    end = market.records("t.trade_hb")
    for low in (0, end - 5, end // 2):
        again(market, low, end)
        market.run()
    market.restart()
    market.run()
    assert market.written() == before
    assert market.bars("1m") == bars_before


def test_a_heartbeat_that_was_lost_is_made_up_by_the_next() -> None:
    lost, whole = (Market.of(bars("1m", "5m", "1d"), hours=HOURS) for _ in range(2))
    for market in (lost, whole):
        market.send(trade("A", 0, 1), trade("A", 3 * MINUTE, 2))
        market.at(90 * SECOND)
    for now in range(2 * MINUTE, 20 * MINUTE, MINUTE):
        whole.at(now)
    for beat in lost.beats:
        beat.restart_at(beat.sent_ms + 17 * MINUTE)
    for market in (lost, whole):
        market.at(20 * MINUTE)
    assert lost.progress()[0]["now_ms"] == whole.progress()[0]["now_ms"]
    assert lost.records("t.trade_hb") < whole.records("t.trade_hb")
    for kind in ("1m", "5m", "1d"):
        assert lost.bars(kind) == whole.bars(kind)


def test_queries_of_one_stream_share_the_heartbeats_and_read_their_own() -> None:
    context = ao.Context("t")
    fine = bars("1m", "5m", context=context, name="fine")
    coarse = bars("10m", "1h", context=context, name="coarse", grace=5 * MINUTE)
    market = Market.of(fine, coarse, hours=HOURS)
    market.send(trade("A", 0, 1))
    market.at(10 * MINUTE)
    market.restart()
    assert [columns(market.bars(k), *BAR)[0] for k in ("5m", "10m")] == [(0, 1, 1, True), (0, 1, 1, False)]
    assert len(market.bars("1m")) == 11
    market.send(trade("A", 11 * MINUTE, 5))
    market.at(14 * MINUTE)
    assert market.bars("10m")[0]["final"] is False
    market.at(15 * MINUTE)
    assert columns(market.bars("10m"), *BAR) == [(0, 1, 1, True), (10 * MINUTE, 5, 1, False)]
    now = {p["now_ms"] for p in market.progress()}
    assert len(now) == 1
    market.at(DAY)
    assert [columns(market.bars(k), *BAR)[0] for k in ("1h", "10m")] == [(0, 5, 2, True), (0, 1, 1, True)]
    part = market.log.read("t.trade_hb", 0, 0)
    assert part is not None
    assert set(part.data.column("base").to_pylist()) == {"1m", "10m"}


def test_the_last_bucket_of_a_schedule_ends_when_the_calendar_says() -> None:
    market = Market.of(bars("1m", "1h", "1d"), hours=[("A", 0, 30 * MINUTE)])
    market.send(trade("A", 29 * MINUTE, 1))
    ends = {"1m": 30 * MINUTE, "1h": HOUR, "1d": DAY}
    for now in sorted([*ends.values(), *(end - 1 for end in ends.values())]):
        market.at(now)
        assert {kind: market.bars(kind)[-1]["final"] for kind in ends} == {k: end <= now for k, end in ends.items()}
