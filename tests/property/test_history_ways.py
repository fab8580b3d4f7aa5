"""Live ticks, replay, upsert, swap and undo in any order end in the bars of the ticks that stand then."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.support_bars import table_of
from tests.support_engine import DAY, HOUR, MINUTE, START, Market, bars, trade
from tests.support_migration import contents, replayed, swapped, tick_file, ticks_of, undone

from ashioto import naming
from ashioto.schema.arrow import user_table

if TYPE_CHECKING:
    from tests.support_engine import Row

    from ashioto.dsl import BarQuery
    from ashioto.period import Period

NOW = 9 * DAY
PAST, LIVE = (0, 1, 2), 6
QUERIES = {
    "clock": bars("1m", "5m", "1h", "1d", grace=1000),
    "session": bars("5m", "10m", "1d", align="session"),
    "sparse": bars("1m", "1h", "1d", continuous=False),
    "days": bars("1d"),
}
HOURS = [(s, d * DAY + 9 * HOUR, d * DAY + 9 * HOUR + 40 * MINUTE) for s in "AB" for d in (*PAST, LIVE)]
Slot = tuple[str, int]
"""A symbol and a day: what one action of history is about."""


class Play:
    """A market, and the ticks that its bars should be made of."""

    def __init__(self, data: st.DataObject, folder: Path, query: BarQuery, partitions: int) -> None:
        self.data, self.folder, self.query, self.partitions = data, folder, query, partitions
        self.market = market_of(query, partitions)
        self.past: dict[Slot, list[Row]] = {}
        self.live: list[Row] = []
        self.swap: tuple[Path, dict[Slot, list[Row]]] | None = None
        self.files = 0

    def ticks(self, slot: Slot) -> list[Row]:
        """Draw ticks of a key on a day, in the order of time."""
        symbol, day = slot
        minutes = self.data.draw(st.lists(st.integers(0, 39), min_size=1, max_size=6, unique=True))
        prices = [Decimal(self.data.draw(st.integers(1, 50))) / 10 for _ in minutes]
        at = [day * DAY + 9 * HOUR + minute * MINUTE + 1 for minute in sorted(minutes)]
        return [trade(symbol, moment, price, size=price) for moment, price in zip(at, prices, strict=True)]

    def slot(self) -> Slot:
        return self.data.draw(st.sampled_from("AB")), self.data.draw(st.sampled_from(PAST))

    def file(self, rows: list[Row]) -> Path:
        self.files += 1
        return tick_file(self.folder / f"{self.files}.parquet", self.query.plan.entity, rows)

    def tick(self) -> None:
        rows = self.ticks((self.data.draw(st.sampled_from("AB")), LIVE))
        self.live += rows
        self.market.send(*rows)

    def replay(self) -> None:
        slots = {self.slot() for _ in range(self.data.draw(st.integers(1, 3)))} - self.past.keys()
        found = {slot: self.ticks(slot) for slot in slots}
        if not found:
            return
        self.past |= found
        self.swap = None
        rows = sorted((row for mine in found.values() for row in mine), key=lambda row: row["at"])
        source = ticks_of(self.file(rows))
        replayed(self.market, source, NOW)
        assert replayed(self.market, source, NOW).written.total() == 0

    def upsert(self) -> None:
        """Add the bars that another engine has made of ticks, frame by frame."""
        slot = self.slot()
        if slot in self.past:
            return
        self.past[slot], self.swap = self.ticks(slot), None
        made = market_of(self.query, 1)
        made.send(*self.past[slot])
        made.at(NOW)
        for period in self.query.frames:
            there = table_of(self.market, period.kind, now=START + NOW)
            table = real_bars(made, period)
            assert there.add_range(table).written == table.num_rows
            assert there.add_range(table).written == 0

    def swap_in(self) -> None:
        slot = self.slot()
        rows = self.ticks(slot)
        self.market.run()
        span: dict[str, Any] = {"start": slot[1] * DAY, "end": (slot[1] + 1) * DAY}
        source = ticks_of(self.file(rows), **span)
        before = dict(self.past)
        report = swapped(self.market, source, NOW, self.folder)
        self.past[slot] = rows
        self.swap = None if report.undo_file is None else (report.undo_file, before)

    def undo(self) -> None:
        if self.swap is not None:
            self.market.run()
            file, before = self.swap
            undone(self.market, file, NOW)
            self.past, self.swap = before, None

    def run(self) -> None:
        self.market.run()

    def beat(self) -> None:
        self.market.at(NOW)

    def restart(self) -> None:
        self.market.restart()

    def wanted(self) -> dict[str, list[Row]]:
        """The bars of all the ticks, as an engine makes them that sees them in the order of time."""
        whole = market_of(self.query, self.partitions)
        rows = [row for mine in self.past.values() for row in mine]
        for row in [*sorted(rows, key=lambda row: row["at"]), *self.live]:
            whole.send(row)
        whole.at(NOW)
        return contents(whole)


def market_of(query: BarQuery, partitions: int) -> Market:
    """A market whose heartbeats know both keys from the start."""
    made = Market.of(query, hours=HOURS, partitions=partitions)
    made.sent += [trade("A", 0), trade("B", 0)]
    return made


def real_bars(made: Market, period: Period) -> pa.Table:
    """The bars with ticks of a market, as users get them."""
    topic = naming.bars_topic(made.context.name, made.entity.name, period)
    table = user_table(pa.Table.from_batches([made.log.view(topic).data]))
    return table.filter(pc.invert(table["synthetic"])).drop_columns(["source_cut", "origin"])


ACTIONS = [
    "tick",
    "replay",
    "replay",
    "upsert",
    "upsert",
    "swap_in",
    "swap_in",
    "undo",
    "undo",
    "run",
    "beat",
    "restart",
]


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(data=st.data())
def test_any_order_of_all_ways_ends_in_the_bars_of_the_ticks(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(QUERIES)), label="query")
    partitions = data.draw(st.sampled_from([1, 2]), label="partitions")
    with TemporaryDirectory() as folder:
        play = Play(data, Path(folder), QUERIES[name], partitions)
        for action in data.draw(st.lists(st.sampled_from(ACTIONS), max_size=9), label="actions"):
            getattr(play, action)()
        play.market.at(NOW)
        assert contents(play.market) == play.wanted()
        before = play.market.written()
        play.market.restart()
        play.market.at(NOW)
        assert play.market.written() == before
