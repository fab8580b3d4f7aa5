"""Bars of any select are those of plain Python, by batch and by stream, in any batches and any order."""

from __future__ import annotations

from datetime import datetime  # noqa: TC003  # read from annotations
from decimal import Decimal
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.support_engine import DAY, HOUR, MINUTE, SECOND, START, Market, Trade, bars, batch_of, moment, trade
from tests.support_model import differences, model, ms

import ashioto as ao
from ashioto import Field
from ashioto.engines.embedded import residency, stream
from ashioto.engines.embedded.batch import BatchBuilder
from ashioto.schedule.sessions import Schedule, Sessions

if TYPE_CHECKING:
    from ashioto.dsl import BarQuery

Row = dict[str, Any]


class Print(ao.Stream):
    """A tick that says its own order."""

    symbol: Field[str] = ao.key()
    at: Field[datetime] = ao.timestamp()
    number: Field[int] = ao.sequence()
    price: Field[Decimal] = ao.decimal(18, 2)
    size: Field[Decimal] = ao.decimal(18, 1)


notional = Trade.price * Trade.size
QUERIES: dict[str, BarQuery] = {
    "vwap": bars(
        "1m", "5m", "1h", "1d",
        select={
            **ao.ohlcv(Trade.price, Trade.size),
            "vwap": ao.sum(notional) / ao.sum(Trade.size),
            "mean": ao.avg(Trade.price),
            "range": ao.max(Trade.price) - ao.min(Trade.price),
        },
    ),
    "expressions": bars(
        "1m", "15m", grace=5 * SECOND, align="session",
        select={
            "largest": ao.max(notional - Trade.price),
            "smallest": ao.min(-notional),
            "ends": ao.greatest(ao.first(Trade.price), ao.last(Trade.price)),
            "low": ao.least(ao.first(Trade.price), ao.last(Trade.price), ao.min(Trade.size)),
            "mean": ao.coalesce(ao.sum(notional) / ao.sum(Trade.size), 0.0),
            "close": ao.last(Trade.price),
        },
        when_empty={"largest": None, "smallest": Decimal("-1.5"), "ends": ao.previous("close"), "mean": 0.5, "low": 0},
    ),
    "where": bars(
        "1m", "1d",
        where=[
            (Trade.size > 0) | (Trade.lots == 3),
            ~((Trade.venue == "X") & (Trade.price * 2 >= Trade.size)),
            (Trade.symbol < "B") | (Trade.venue != Trade.symbol),
            Trade.weight < 100.0,
        ],
    ),
    "kinds": bars(
        "30s", "1m", "1w", "1mo",
        select={
            "lots": ao.sum(Trade.lots),
            "lot": ao.avg(Trade.lots),
            "most": ao.max(Trade.lots * Trade.lots - 3),
            "weight": ao.sum(Trade.weight),
            "light": ao.min(Trade.weight * Trade.lots),
            "heavy": ao.max(Trade.weight),
            "opened": ao.first(Trade.weight),
            "closed": ao.last(Trade.weight),
            "trades": ao.count(),
        },
        when_empty={"most": -7, "light": ao.previous("closed")},
    ),
    "previous": bars(
        "1m", "5m",
        select={
            **ao.ohlcv(Trade.price, Trade.size),
            "gap": ao.first(Trade.price) - ao.previous("close"),
            "above": ao.max(Trade.price) - ao.previous("high"),
            "more": ao.coalesce(ao.sum(Trade.size) - ao.previous("volume"), ao.sum(Trade.size)),
        },
        when_empty={"volume": ao.previous("volume"), "high": ao.previous("high"), "gap": Decimal(0)},
    ),
    "symbol": bars("1m", "1h", group_by=[Trade.symbol], select={**ao.ohlcv(Trade.price), "seen": ao.sum(Trade.lots)}),
    "sparse": bars("1m", "1h", "1d", continuous=False, where=[Trade.lots > 0]),
    "numbered": bars("1m", "5m", entity=Print),
    "sparse previous": bars(
        "1m", "1h", continuous=False, entity=Print,
        select={"high": ao.max(Print.price), "up": ao.max(Print.price) - ao.previous("high"), "n": ao.count()},
    ),
}  # fmt: skip
LOOSE = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
SESSIONS = {
    "A": [(0, 20 * MINUTE + 30 * SECOND), (40 * MINUTE, HOUR + 5 * MINUTE), (DAY + 7 * SECOND, DAY + 9 * MINUTE)],
    "B": [(10 * MINUTE, 11 * MINUTE), (5 * DAY, 5 * DAY + 2 * HOUR)],
}
EDGES = sorted({e + d for rows in SESSIONS.values() for row in rows for e in row for d in (-1, 0, 1, MINUTE)})
PRICES = st.decimals(-50, 50, places=2)
SIZES = st.sampled_from([Decimal(n) / 10 for n in (-5, 0, 0, 1, 15, 300)])


@st.composite
def ticks(draw: st.DrawFn) -> list[Row]:
    """Ticks around the edges of sessions, in some order of arrival."""
    made = []
    for number in range(draw(st.integers(0, 30))):
        symbol = draw(st.sampled_from("AAB"))
        opened, closed = draw(st.sampled_from(SESSIONS[symbol]))
        at = draw(st.one_of(st.integers(opened, closed), st.integers(opened, opened + MINUTE), st.sampled_from(EDGES)))
        others: dict[str, Any] = {
            "venue": draw(st.sampled_from("XY")),
            "lots": draw(st.integers(-2, 4)),
            "weight": draw(st.sampled_from([0.0, 0.125, -3.5, 99.5, 1e6])),
            "number": number,
        }
        made.append(trade(symbol, at, **others) | {"price": draw(PRICES), "size": draw(SIZES)})
    return draw(st.permutations(made))


def sessions_of(symbol: str) -> list[tuple[int, int, Any]]:
    return [(START + o, START + c, moment(START + o).date()) for o, c in SESSIONS.get(symbol, [])]


def schedule(query: BarQuery) -> Schedule:
    """The sessions as the batch path takes them, by every key there can be."""
    names = query.plan.group_by
    keys = [(venue, symbol)[-len(names) :] for venue in "XY" for symbol in SESSIONS]
    found = {key: np.array([(o, c, d.toordinal() - 719163) for o, c, d in sessions_of(key[-1])]).T for key in keys}
    return Schedule.of({key: Sessions.build(*columns) for key, columns in found.items()})


def wanted(query: BarQuery, rows: list[Row], now: int) -> dict[str, list[Row]]:
    """The bars by the model; the sequence is the declared one, or the place of arrival."""
    numbered = query.plan.entity.sequence is not None
    ticks = [(ms(r["at"]), r["number"] if numbered else i, r) for i, r in enumerate(rows)]
    return {p.kind: model(query.plan, p, ticks, lambda key: sessions_of(key[-1]), now) for p in query.frames}


def pieces(rows: list[Row], cuts: list[int]) -> list[tuple[int, list[Row]]]:
    """Cut rows at these places; each piece with the place of its first row."""
    edges = sorted({0, len(rows), *(c % (len(rows) + 1) for c in cuts)})
    return [(low, rows[low:high]) for low, high in pairwise(edges)]


@pytest.mark.parametrize("name", QUERIES)
@settings(max_examples=25, suppress_health_check=LOOSE)
@given(
    rows=ticks(), cuts=st.lists(st.integers(0, 99), max_size=5), threads=st.integers(1, 3), now=st.integers(0, 40 * DAY)
)
def test_batch(name: str, rows: list[Row], cuts: list[int], threads: int, now: int) -> None:
    query = QUERIES[name]
    builder = BatchBuilder(query.plan, schedule(query), threads=threads)
    for first, piece in pieces(rows, cuts):
        builder.add(batch_of(query.plan.entity, piece), first_seq=first)
    tables = builder.finish(now_ms=START + now, trim=False)
    expected = wanted(query, rows, START + now)
    found = {p.kind: differences(table.to_pylist(), expected[p.kind]) for p, table in tables.items()}
    assert found == {kind: [] for kind in found}


@pytest.mark.parametrize("name", QUERIES)
@settings(max_examples=25, suppress_health_check=LOOSE)
@given(
    rows=ticks(),
    cuts=st.lists(st.integers(0, 99), max_size=5),
    times=st.lists(st.integers(0, 6 * DAY), min_size=6, max_size=6).map(sorted),
    steps=st.lists(st.sampled_from(["run", "poll", "restart", "nothing"]), min_size=6, max_size=6),
    slack=st.sampled_from([-1000, 4096]),
)
def test_stream(
    name: str, rows: list[Row], cuts: list[int], times: list[int], steps: list[str], slack: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(residency, "_SLACK", slack)
    query = QUERIES[name]
    market = Market.of(query, hours=[(s, o, c) for s, found in SESSIONS.items() for o, c in found])
    for (_, piece), now, step in zip(pieces(rows, cuts), times, steps, strict=False):
        market.send(*piece)
        market.beat(now)
        if step == "poll":
            market.engine.poll()
        elif step != "nothing":
            market.run()
        if step == "restart":
            market.restart()
    market.run()
    market.run()
    assert market.late() == market.dead() == []
    now = market.runners[0].progress[0].now_ms
    expected = wanted(query, rows, now)
    topics = {p.kind: market.table(p.kind) for p in query.frames}
    found = {kind: differences(topics[kind], expected[kind]) for kind in topics}
    assert found == {kind: [] for kind in found}


@pytest.mark.parametrize("name", ["previous", "vwap", "sparse"])
@settings(max_examples=25, suppress_health_check=LOOSE)
@given(
    rows=ticks(),
    cuts=st.lists(st.integers(0, 99), max_size=6),
    times=st.lists(st.integers(0, 6 * DAY), min_size=7, max_size=7).map(sorted),
    slack=st.sampled_from([-1000, 4096]),
    size=st.integers(1, 9),
)
def test_bars_skip_what_they_have_when_the_progress_is_lost(
    name: str,
    rows: list[Row],
    cuts: list[int],
    times: list[int],
    slack: int,
    size: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(residency, "_SLACK", slack)
    query = QUERIES[name]
    market = Market.of(query, hours=[(s, o, c) for s, found in SESSIONS.items() for o, c in found])
    for (_, piece), now in zip(pieces(rows, cuts), times, strict=False):
        market.send(*piece)
        market.run()
        market.beat(now)
        market.run()
    before = {p.kind: market.table(p.kind) for p in query.frames}
    market.forget_progress()
    monkeypatch.setattr(stream, "MAX_ROWS", size)
    market.restart()
    market.run()
    for kind, bars_before in before.items():
        now_there = [row | {"source_cut": None} for row in market.table(kind)]
        assert now_there == [row | {"source_cut": None} for row in bars_before]
