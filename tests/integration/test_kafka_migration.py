"""History on the embedded log and on Kafka: replay, upsert, swap and undo leave the same bars, bit for bit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from tests.support_engine import DAY, HOUR, START, Market, bars
from tests.support_kafka_log import open_kafka_log
from tests.support_migration import (
    LATER,
    at_ms,
    contents,
    ends_of,
    hours,
    replayed,
    some_ticks,
    swapped,
    tick_file,
    ticks_of,
    undone,
)

from ashioto import Period, TimeBucket
from ashioto.clock import ManualClock
from ashioto.files.reading import open_files
from ashioto.log.embedded import EmbeddedLog
from ashioto.migration.mapping import BarMap
from ashioto.migration.upsert import BarUpsert

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ashioto.log.base import Log

QUERY = bars("1m", "5m", "1h", "1d", grace=1_000)
PARTITIONS = 3
EDGE = 3 * DAY
"""Ticks from here on have come live; those before are history."""
ROWS = some_ticks(600)
OTHERS = some_ticks(500, seed=2)


@dataclass
class Sides:
    """The same market twice.

    Args:
        mine: On the embedded log.
        theirs: On Kafka.
    """

    mine: Market
    theirs: Market

    def both(self, what: Any) -> Any:
        """Do something on both, which must say the same and leave the same bars; returns what it said."""
        said = [what(market) for market in (self.mine, self.theirs)]
        assert said[0] == said[1]
        assert contents(self.theirs, without={"source_cut", "first_seq", "last_seq"}) == contents(
            self.mine, without={"source_cut", "first_seq", "last_seq"}
        )
        return said[0]


@pytest.fixture
def sides(kafka: str, registry: str, unique: str, tmp_path: Path) -> Iterator[Sides]:
    with EmbeddedLog(tmp_path / "log.db") as mine, open_kafka_log(kafka, registry, unique, tmp_path) as theirs:
        yield Sides(live(mine), live(theirs))


def live(log: Log) -> Market:
    market = Market.of(QUERY, hours=hours(), partitions=PARTITIONS, log=log)
    market.send(*(row for row in ROWS if at_ms(row) >= EDGE))
    market.at(LATER)
    return market


@pytest.fixture
def history(tmp_path: Path, sides: Sides) -> Path:
    return tick_file(tmp_path / "history.parquet", sides.mine.entity, [row for row in ROWS if at_ms(row) < EDGE])


def test_replayed_history_is_the_same(sides: Sides, history: Path) -> None:
    found = sides.both(lambda market: replayed(market, ticks_of(history), LATER).written)
    assert found["1m"] > 100
    ends = ends_of(sides.theirs)
    assert sides.both(lambda market: dict(replayed(market, ticks_of(history), LATER).written)) == {}
    assert ends_of(sides.theirs) == ends
    sides.both(lambda market: market.at(LATER + HOUR))


def test_swapped_bars_are_the_same_and_so_are_those_that_are_put_back(
    sides: Sides, history: Path, tmp_path: Path
) -> None:
    sides.both(lambda market: replayed(market, ticks_of(history), LATER).written)
    before = [contents(market, without=set()) for market in (sides.mine, sides.theirs)]
    other = tick_file(tmp_path / "other.parquet", sides.mine.entity, OTHERS)
    files: dict[int, Path] = {}

    def swap(market: Market) -> Any:
        folder = tmp_path / f"undo{len(files)}"
        folder.mkdir()
        report = swapped(market, ticks_of(other), LATER, folder)
        assert report.undo_file is not None
        files[id(market)] = report.undo_file
        return report.added, report.changed, report.removed, report.equal, report.applied

    added, changed, *_, applied = sides.both(swap)
    assert added
    assert changed
    assert applied
    back = sides.both(lambda market: undone(market, files[id(market)], LATER))
    assert (back.others, back.already, back.applied) == (0, 0, True)
    assert [contents(market, without=set()) for market in (sides.mine, sides.theirs)] == before
    sides.both(lambda market: market.at(LATER + HOUR))


def test_imported_bars_are_the_same(sides: Sides, history: Path, tmp_path: Path) -> None:
    sides.both(lambda market: replayed(market, ticks_of(history), LATER).written)
    wanted = Period.minutes(5)
    clock = ManualClock(START + LATER + HOUR)
    table = TimeBucket.set(QUERY.bar(wanted), wanted, log=sides.mine.log, clock=clock).read("V", "A")
    real = table.filter(pc.invert(table["synthetic"]))
    higher = pa.array([price + (row % 3) for row, price in enumerate(real["high"].to_pylist())], real["high"].type)
    file = tmp_path / "bars.parquet"
    pq.write_table(real.set_column(real.schema.get_field_index("high"), "high", higher), file)

    def upsert(market: Market) -> Any:
        there = TimeBucket.set(QUERY.bar(wanted), wanted, log=market.log, clock=clock)
        return BarUpsert(there, open_files([str(file)]), BarMap()).run(clock=clock)

    report = sides.both(upsert)
    assert report.added.written == sum(row % 3 > 0 for row in range(real.num_rows))
    sides.both(lambda market: market.run())
    assert sides.both(upsert).added.written == 0
