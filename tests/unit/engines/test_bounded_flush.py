"""A long catch-up is written in parts, each with how far it got, and ends in the same bars."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.support_engine import DAY, HOUR, MINUTE, START, Market, bars, trade

from ashioto.engines.embedded import stream
from ashioto.testing.crashing_log import CrashError, CrashingLog
from ashioto.testing.memory_log import MemoryLog

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ashioto.log.base import Appended, Batch, Fence

HOURS = [(s, d * DAY, d * DAY + 8 * HOUR) for s in "ABC" for d in range(6)]
KINDS = ("1m", "5m", "1h", "1d")


class CountingLog(MemoryLog):
    """A log that notes how many bars each append has."""

    def __init__(self) -> None:
        super().__init__()
        self.bars: list[int] = []

    def append(self, batches: Sequence[Batch], *, fence: Fence | None = None) -> list[Appended]:
        self.bars.append(sum(b.data.num_rows for b in batches if "_bars_" in b.topic))
        assert not self.bars[-1] or any(b.topic == "rc.engine.offsets" for b in batches)
        return super().append(batches, fence=fence)


def days(*, log: MemoryLog | None = None) -> Market:
    """Three keys with one tick each, and five days over which nothing ran."""
    market = Market.of(bars(*KINDS, grace=MINUTE), hours=HOURS, log=log or CountingLog())
    market.send(trade("A", 0, 1), trade("B", HOUR, 2), trade("C", 3 * DAY, 3))
    market.beat(5 * DAY + MINUTE)
    return market


def test_no_append_holds_more_than_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = days()
    whole.run()
    monkeypatch.setattr(stream, "MAX_BARS", 300)
    log = CountingLog()
    parts = days(log=log)
    parts.run()
    assert max(log.bars) <= 330
    assert sum(log.bars) >= 6_000
    for kind in KINDS:
        assert parts.bars(kind) == whole.bars(kind)
    assert [row | {"followed": ""} for row in parts.progress()] == [row | {"followed": ""} for row in whole.progress()]


def test_progress_is_that_of_the_bars_beside_it_after_a_crash(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = days()
    whole.run()
    monkeypatch.setattr(stream, "MAX_BARS", 700)
    for crash_at in range(1, 14, 3):
        market = days()
        market.restart(engine_log=CrashingLog(market.log, crash_at=crash_at, when="after"))
        with pytest.raises(CrashError):
            market.run()
        now = market.progress()[0]["now_ms"]
        assert now < whole.progress()[0]["now_ms"]
        assert all(row["bucket_start"] + START <= now for row in market.bars("1m") if row["synthetic"])
        market.restart(engine_log=market.log)
        market.run()
        for kind in KINDS:
            assert market.bars(kind) == whole.bars(kind)


def test_very_many_touched_bars_are_not_kept_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    market = Market.of(bars("1m", continuous=False, schedule=False))
    market.send(*(trade("A", n * MINUTE, n) for n in range(50)))
    market.engine.poll()
    assert market.written() == {"1m": 0}
    monkeypatch.setattr(stream, "MAX_BARS", 99)
    market.send(*(trade("A", n * MINUTE, n) for n in range(50)))
    market.engine.poll()
    assert market.written() == {"1m": 50}


def test_one_bucket_of_each_key_is_always_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "MAX_BARS", 0)
    market = Market.of(bars("1m"), hours=[(s, 0, HOUR) for s in "ABCDE"])
    market.send(*(trade(s, 0, 1) for s in "ABCDE"))
    market.beat(30 * MINUTE)
    market.run()
    assert market.progress()[0]["now_ms"] == START + 30 * MINUTE
    assert len(market.bars("1m")) == 5 * 31
