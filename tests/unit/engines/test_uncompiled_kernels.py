"""The kernels mean the same in plain Python: what the compiler makes of them is what stands there."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.support_engine import DAY, HOUR, MINUTE, START, Market, Trade, bars, batch_of, trade
from tests.support_kernels import plain_kernels

import ashioto as ao
from ashioto.engines.embedded import residency
from ashioto.engines.embedded.batch import BatchBuilder
from ashioto.schedule.sessions import Schedule, Sessions

SYMBOLS = "AB"
HOURS = [(s, d * DAY + o, d * DAY + o + 25 * MINUTE) for s in SYMBOLS for d in range(3) for o in (0, HOUR)]
QUERY = bars(
    "1m", "1h", "1d", grace=MINUTE,
    select={
        **ao.ohlcv(Trade.price, Trade.size),
        "weight": ao.sum(Trade.weight),
        "heavy": ao.max(Trade.weight),
        "light": ao.min(Trade.weight),
        "opened": ao.first(Trade.weight),
        "closed": ao.last(Trade.weight),
    },
)  # fmt: skip
TICKS = st.lists(
    st.tuples(
        st.sampled_from("ABX"), st.integers(0, 3 * DAY), st.sampled_from([0, HOUR, DAY, None]), st.integers(0, 9)
    ),
    max_size=30,
)


def rows_of(found: list[tuple[str, int, int | None, int]]) -> list[dict[str, Any]]:
    return [
        trade(symbol, at if near is None else near + at % (26 * MINUTE), price, weight=price / 8)
        for symbol, at, near, price in found
    ]


def stream(rows: list[dict[str, Any]], times: list[int]) -> dict[str, Any]:
    market = Market.of(QUERY, hours=HOURS)
    for turn, now in enumerate(times):
        market.send(*rows[turn :: len(times)] or [trade("A", 0)])
        market.at(now)
    market.restart()
    market.run()
    return {kind: market.bars(kind) for kind in ("1m", "1h", "1d")}


def batch(rows: list[dict[str, Any]], now: int) -> dict[str, Any]:
    columns = np.array([(o, c, o // DAY) for s, o, c in HOURS if s == "A"]).T
    sessions = Sessions.build(*(columns + np.array([[START], [START], [START // DAY]])))
    builder = BatchBuilder(QUERY.plan, Schedule.of({("V", s): sessions for s in SYMBOLS}), threads=2)
    for first in range(0, len(rows), 7):
        builder.add(batch_of(Trade.__entity__, rows[first : first + 7]), first_seq=first)
    tables = builder.finish(now_ms=START + now, trim=True)
    return {period.kind: table.to_pylist() for period, table in tables.items()}


LOOSE = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture]


@settings(max_examples=25, suppress_health_check=LOOSE)
@given(
    found=TICKS,
    times=st.lists(st.integers(0, 3 * DAY), min_size=3, max_size=3).map(sorted),
    slack=st.sampled_from([-1000, 4096]),
)
def test_streams_and_batches(found: list[tuple[str, int, int | None, int]], times: list[int], slack: int) -> None:
    rows = rows_of(found)
    compiled = stream(rows, times), batch(rows, times[-1])
    with plain_kernels(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(residency, "_SLACK", slack)
        assert (stream(rows, times), batch(rows, times[-1])) == compiled
