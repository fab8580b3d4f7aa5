"""Live ticks and history, split at any moment, in any pieces and any order, give the bars of all the ticks."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.support_engine import DAY, HOUR, MINUTE, Market, Trade, bars, trade
from tests.support_migration import contents, replayed, swapped, tick_file, ticks_of, undone, until

import ashioto as ao

if TYPE_CHECKING:
    from tests.support_engine import Row

    from ashioto.dsl import BarQuery

LATER = 20 * DAY
QUERIES = {
    "plain": bars("1m", "5m", "1h", "1d", "1w", grace=1000),
    "session": bars("5m", "10m", "1h", "1d", align="session"),
    "sparse": bars("1m", "1h", "1d", continuous=False),
    "looks back": bars(
        "1m", "1h", "1d", select={"close": ao.last(Trade.price), "gap": ao.first(Trade.price) - ao.previous("close")}
    ),
    "hidden": bars(
        "1m", "1h",
        select={"close": ao.last(Trade.price), "mean": ao.avg(Trade.price), "flow": ao.sum(Trade.price * Trade.size)},
    ),
    "days": bars("1d", "1w"),
}  # fmt: skip
HOURS = [
    ("A", 9 * HOUR, 9 * HOUR + 25 * MINUTE),
    ("A", 9 * HOUR + 37 * MINUTE, 10 * HOUR + 5 * MINUTE),
    ("A", DAY + 9 * HOUR, DAY + 10 * HOUR),
    ("A", 8 * DAY + 9 * HOUR, 8 * DAY + 10 * HOUR),
    ("B", 9 * HOUR + 10 * MINUTE, 9 * HOUR + 50 * MINUTE),
    ("B", 23 * HOUR, DAY + HOUR),
]


@st.composite
def ticks(draw: st.DrawFn) -> list[Row]:
    """Ticks inside sessions and just outside, no two of a key at one time, in the order of time."""
    found: dict[tuple[str, int], Row] = {}
    for symbol, opened, closed in draw(st.lists(st.sampled_from(HOURS), min_size=1, max_size=25)):
        at = draw(st.integers(opened - 1, closed))
        price = Decimal(draw(st.integers(1, 50))) / 10
        found[symbol, at] = trade(symbol, at, price, size=Decimal(draw(st.integers(0, 9))))
    return [found[place] for place in sorted(found, key=lambda place: (place[1], place[0]))]


def live(query: BarQuery, rows: list[Row], *, partitions: int = 1, known: list[Row] | None = None) -> Market:
    """A market whose engine has seen these ticks, and heartbeats of the keys of others, too."""
    market = Market.of(query, hours=HOURS, partitions=partitions)
    market.sent += known or []
    if rows:
        market.send(*rows)
    market.at(LATER)
    return market


def base_ms(query: BarQuery, row: Row) -> int:
    """The base bucket a tick is in, or one a session where buckets are not on the clock."""
    base = query.plan.base
    ms: int = round(row["at"].timestamp() * 1000)
    return ms // base.millis if base.is_intraday and query.plan.align == "clock" else ms // DAY


def pieces_of(query: BarQuery, rows: list[Row], cuts: list[int]) -> list[list[Row]]:
    """Cut ticks into pieces; a piece ends with a base bucket, as files of history should."""
    found: list[list[Row]] = [[]]
    for number, row in enumerate(rows):
        ended = found[-1] and base_ms(query, found[-1][-1]) != base_ms(query, row)
        if ended and any(cut <= number for cut in cuts):
            cuts = [cut for cut in cuts if cut > number]
            found.append([])
        found[-1].append(row)
    return [piece for piece in found if piece]


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(rows=ticks(), name=st.sampled_from(sorted(QUERIES)), data=st.data())
def test_history_in_pieces_and_live_ticks(rows: list[Row], name: str, data: st.DataObject) -> None:
    query = QUERIES[name]
    split = data.draw(st.integers(0, len(rows)), label="split")
    partitions = data.draw(st.sampled_from([1, 2]), label="partitions")
    market = live(query, rows[split:], partitions=partitions, known=rows)
    cuts = data.draw(st.lists(st.integers(0, max(split, 1)), max_size=3), label="cuts")
    pieces = pieces_of(query, rows[:split], cuts)
    order = data.draw(st.permutations(range(len(pieces))), label="order")
    with TemporaryDirectory() as folder:
        files = [tick_file(Path(folder) / f"{n}.parquet", query.plan.entity, p) for n, p in enumerate(pieces)]
        for number in order:
            replayed(market, ticks_of(files[number], threads=2), LATER)
        market.restart()
        market.at(LATER)
        wanted, mine = contents(live(query, rows, partitions=partitions)), contents(market)
        assert mine == wanted
        for number in order:
            assert replayed(market, ticks_of(files[number]), LATER).written.total() == 0


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(rows=ticks(), other=ticks(), name=st.sampled_from(sorted(QUERIES)), data=st.data())
def test_swap_gives_the_bars_of_its_ticks_and_undo_gives_them_back(
    rows: list[Row], other: list[Row], name: str, data: st.DataObject
) -> None:
    query = QUERIES[name]
    split = data.draw(st.integers(0, len(other)), label="split")
    market = live(query, other[split:], known=other)
    span: dict[str, Any] = {"start": -DAY, "end": 15 * DAY}
    with TemporaryDirectory() as folder:
        place = Path(folder)
        if split:
            replayed(market, ticks_of(tick_file(place / "old.parquet", query.plan.entity, other[:split])), LATER)
        market.restart()
        market.at(LATER)
        before = contents(market, without=set())
        names = {row["symbol"] for row in rows}
        report = swapped(
            market, ticks_of(tick_file(place / "new.parquet", query.plan.entity, rows), **span), LATER, place
        )
        wanted = contents(live(query, rows))
        mine = {kind: [bar for bar in found if bar["symbol"] in names] for kind, found in contents(market).items()}
        wanted = {kind: [bar for bar in found if bar["symbol"] in names] for kind, found in wanted.items()}
        assert until(mine, mine) == until(wanted, mine)
        if report.undo_file is not None:
            undone(market, report.undo_file, LATER)
        assert contents(market, without=set()) == before
