"""What is held in memory is bounded by open buckets, and a restart reads back only what can still change."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support_engine import DAY, HOUR, MINUTE, SECOND, START, Market, Trade, bars, columns, trade

import ashioto as ao
from ashioto.bars.algebra import CUT, FIXED, KEY, START as BUCKET
from ashioto.engines.embedded import residency
from ashioto.engines.embedded.frames import FrameTable
from ashioto.testing.memory_log import MemoryLog

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ashioto.log.base import ViewPage

EVERY_DAY = [(s, day * DAY, day * DAY + 8 * HOUR) for s in "AB" for day in range(12)]


def rows(market: Market) -> dict[str, int]:
    """How many bars of each frame are in memory."""
    core = market.runners[0]._parts[0]._core
    return {period.kind: table.rows for period, table in core.tables.items()}


def play(market: Market, days: Sequence[int], step: int = 7 * MINUTE) -> list[int]:
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
    query = bars("1m", "5m", "1h", "1d", continuous=continuous, grace=10 * MINUTE)
    evicting, keeping = Market.of(query, hours=EVERY_DAY), Market.of(query, hours=EVERY_DAY)
    held = play(evicting, range(12))
    assert max(held) <= 20 + 4 * 2 + 2 * 60
    assert min(held[6:]) <= max(held[:6])
    monkeypatch.setattr(residency, "_SLACK", 1 << 40)
    assert play(keeping, range(12))[-1] > 1500
    assert rows(evicting)["1m"] < rows(keeping)["1m"] / 10
    for kind in ("1m", "5m", "1h", "1d"):
        assert evicting.bars(kind) == keeping.bars(kind)
