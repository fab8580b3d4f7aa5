"""What is held in memory is bounded by open buckets, and a restart reads back only what can still change."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from tests.support_engine import DAY, HOUR, MINUTE, Market, Trade, bars, columns, trade

import ashioto as ao
from ashioto.engines.embedded import residency
from ashioto.testing.memory_log import MemoryLog

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ashioto.log.base import ViewPage

EVERY_DAY = [(s, day * DAY, day * DAY + 8 * HOUR) for s in "AB" for day in range(30)]
STRIDE = 7_919_104_729
"""A step through the hours of a day that meets all parts of it."""
KINDS = ("1m", "5m", "1h", "1d")


class CountingLog(MemoryLog):
    """A log that counts the bars it is asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.viewed = 0

    def view(self, topic: str, **options: Any) -> ViewPage:
        page = super().view(topic, **options)
        self.viewed += len(page.keys) if "_bars_" in topic else 0
        return page


def rows(market: Market) -> dict[str, int]:
    """How many bars of each frame are in memory."""
    core = market.runners[0]._parts[0]._core
    return {period.kind: table.rows for period, table in core.tables.items()}


def play(market: Market, days: Sequence[int], step: int = 11 * MINUTE) -> list[int]:
    """Send a tick of each symbol every few minutes of some days; returns the most rows held after each day."""
    held = []
    for day in days:
        for at in range(day * DAY, day * DAY + 8 * HOUR, step):
            market.send(trade("A", at + 5, at % 97), trade("B", at + step // 2, at % 89))
            market.at(at + step)
        held.append(max(rows(market).values()))
    return held


@pytest.mark.parametrize("continuous", [True, False])
def test_rows_stay_bounded_over_many_days(monkeypatch: pytest.MonkeyPatch, continuous: bool) -> None:  # noqa: FBT001
    monkeypatch.setattr(residency, "_SLACK", 20)
    query = bars(*KINDS, continuous=continuous, grace=10 * MINUTE)
    evicting, keeping = Market.of(query, hours=EVERY_DAY), Market.of(query, hours=EVERY_DAY)
    held = play(evicting, range(8))
    assert max(held) <= 20 + 4 * 2 + 2 * 60
    assert min(held[4:]) <= max(held[:4])
    monkeypatch.setattr(residency, "_SLACK", 1 << 40)
    assert play(keeping, range(8))[-1] > 600
    assert rows(evicting)["1m"] < rows(keeping)["1m"] / 8
    for kind in KINDS:
        assert evicting.bars(kind) == keeping.bars(kind)


def test_late_ticks_of_evicted_bars_over_and_over(monkeypatch: pytest.MonkeyPatch) -> None:
    query = bars("1m", "1h", retention=99 * DAY)
    found = []
    for slack in (-1000, 1 << 40):
        monkeypatch.setattr(residency, "_SLACK", slack)
        market = Market.of(query, hours=EVERY_DAY)
        play(market, range(3), step=HOUR)
        for n in range(40):
            market.send(trade("AB"[n % 2], n * STRIDE % (8 * HOUR) + n % 3 * DAY, n + 200))
            market.run()
        found.append({kind: market.bars(kind) for kind in ("1m", "1h")})
        held = rows(market)
    assert found[0] == found[1]
    assert held["1m"] > 40


@pytest.mark.parametrize("continuous", [True, False])
def test_a_restart_reads_back_what_it_needs(continuous: bool) -> None:  # noqa: FBT001  # a parameter of the test
    log = CountingLog()
    market = Market.of(bars(*KINDS, continuous=continuous, grace=MINUTE), hours=EVERY_DAY, log=log)
    play(market, range(5), step=20 * MINUTE)
    assert len(market.bars("1m")) > 200
    log.viewed = 0
    market.restart()
    keys, frames = 2, 4
    assert log.viewed <= keys * (1 + (2 + 8 + 32) + (frames - 1) * (2 + 8))
    assert max(rows(market).values()) <= 3 * keys
    market.send(trade("A", 4 * DAY + 8 * HOUR - 1, 500), trade("B", 0, 1))
    log.viewed = 0
    market.run()
    seen = log.viewed
    assert market.bars("1d")[-1]["symbol"] == "B"
    assert next(r["close"] for r in market.bars("1d") if r["bucket_start"] == 4 * DAY) == 500
    of_one = sum(row["symbol"] == "B" for kind in KINDS for row in market.bars(kind))
    assert seen <= of_one + 60


def test_bars_that_look_back_keep_what_they_look_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(residency, "_SLACK", -1000)
    select = {**ao.ohlcv(Trade.price), "before": ao.last(Trade.price) - ao.previous("close")}
    market = Market.of(bars("1m", select=select, grace=3 * MINUTE), hours=EVERY_DAY)
    for minute in range(12):
        market.send(trade("A", minute * MINUTE, minute * minute))
        market.at(minute * MINUTE + 30_000)
    market.at(HOUR)
    wanted = [(m * m, m * m - (m - 1) ** 2 if m else None) for m in range(12)]
    assert columns(market.bars("1m"), "close", "before")[:12] == wanted


def test_a_bar_finished_ahead_of_time_keeps_the_one_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(residency, "_SLACK", -1000)
    select = {"close": ao.last(Trade.price), "step": ao.last(Trade.price) - ao.previous("close")}
    market = Market.of(bars("1m", select=select), hours=EVERY_DAY)
    market.send(*(trade("A", minute * MINUTE, minute * minute) for minute in range(6)))
    for minute in range(7):
        market.at(minute * MINUTE + 1)
    assert columns(market.bars("1m"), "close", "step")[:6] == [(0, None), (1, 1), (4, 3), (9, 5), (16, 7), (25, 9)]


def test_a_first_start_on_imported_history_reads_one_final_bar_a_key() -> None:
    log = CountingLog()
    market = Market.of(bars("1m", "1d"), hours=EVERY_DAY, log=log)
    play(market, range(3), step=20 * MINUTE)
    market.forget_progress()
    log.viewed = 0
    market.restart()
    assert max(rows(market).values()) <= 2 * 3
    assert log.viewed <= 2 * (1 + (2 + 8 + 32) + 2)
