"""Ticks in files, and the places where migrations of a market run."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from tests.support_engine import DAY, EPOCH, HOUR, START, Market, batch_of, trade

from ashioto.files.reading import open_files
from ashioto.files.rows import ColumnSource
from ashioto.migration.replay import ReplayOptions, ReplayReport, replay
from ashioto.migration.running import MigrationLog, Place
from ashioto.migration.swap import SwapOptions, SwapReport, swap
from ashioto.migration.taken import TickSource
from ashioto.migration.undo import UndoOptions, UndoReport, undo
from ashioto.migration.undo_file import UndoFile

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tests.support_engine import Row

    from ashioto.clock import Clock
    from ashioto.dsl import BarQuery
    from ashioto.logical.nodes import Entity

FRAMES = ("1m", "5m", "1h", "1d", "1w")
LATER = 16 * DAY
ENV = ("dev", "local")
WHERE_FROM = {"origin", "source_cut", "first_seq", "last_seq"}


def hours(days: int = 8) -> list[tuple[str, int, int]]:
    """Nine to five, B half an hour later; C is never open."""
    nine = [("A", d * DAY + 9 * HOUR, d * DAY + 17 * HOUR) for d in range(days)]
    return [*nine, *(("B", o + HOUR // 2, c) for _, o, c in nine)]


def some_ticks(count: int, *, days: int = 6, seed: int = 1, symbols: str = "AB") -> list[Row]:
    """Ticks in the order of time, some of them out of session."""
    rng = np.random.default_rng(seed)
    at = np.sort(rng.integers(8 * HOUR, days * DAY, count))
    names, prices = rng.integers(0, len(symbols), count), rng.integers(100, 999, count)
    return [
        trade(symbols[n], int(t), Decimal(int(p)) / 100, size=Decimal(int(p) % 7))
        for t, n, p in zip(at, names, prices, strict=True)
    ]


def live(query: BarQuery, rows: Sequence[Row], *, now: int = LATER, partitions: int = 1) -> Market:
    """A market whose engine has seen these ticks."""
    market = Market.of(query, hours=hours(), partitions=partitions)
    if rows:
        market.send(*rows)
    market.at(now)
    return market


def tick_file(path: Path, entity: Entity, rows: Sequence[Row]) -> Path:
    """Write ticks as a Parquet file."""
    batch = batch_of(entity, rows)
    columns = []
    for column in batch.columns:
        kind = column.type
        wide = pa.types.is_decimal64(kind)
        columns.append(column.cast(pa.decimal128(kind.precision, kind.scale)) if wide else column)
    pq.write_table(pa.table(columns, names=batch.schema.names), path)
    return path


def ticks_of(
    *files: Path, start: int | None = None, end: int | None = None, source: ColumnSource | None = None, threads: int = 1
) -> TickSource:
    """Return what is replayed; times in ms since START."""
    return TickSource(
        files=tuple(open_files([str(file) for file in files])),
        source=source or ColumnSource(),
        start_ms=None if start is None else START + start,
        end_ms=None if end is None else START + end,
        threads=threads,
    )


def place_of(log: Any, clock: Clock, now: int, *, holder: str = "") -> Place:
    """Return where a migration runs; the time in ms since START."""
    found: MigrationLog = log
    return Place(log=found, env=ENV, clock=clock, now_ms=START + now, holder=holder)


def replayed(market: Market, source: TickSource, now: int, **options: Any) -> ReplayReport:
    """Replay into the bars of a market's first query."""
    place = place_of(market.log, market.clock, now)
    return replay(place, market.queries[0].plan, source, ReplayOptions(**options))


def swapped(market: Market, source: TickSource, now: int, folder: Path, *, agreed: bool = True) -> SwapReport:
    """Swap the bars of a market's first query."""
    options = SwapOptions(folder=folder, agreed=lambda _: agreed)
    return swap(place_of(market.log, market.clock, now), market.queries[0].plan, source, options)


def undone(market: Market, file: Path, now: int, *, force: bool = False, agreed: bool = True) -> UndoReport:
    """Put the bars of a market's first query back."""
    options = UndoOptions(agreed=lambda _: agreed, force=force)
    return undo(place_of(market.log, market.clock, now), market.queries[0].plan, UndoFile(file), options)


def contents(market: Market, *, without: set[str] = WHERE_FROM) -> dict[str, list[Row]]:
    """Return the bars of every frame as they stand, hidden partials included, some columns apart."""
    frames = [period.kind for period in market.queries[0].plan.frames]
    return {
        kind: [{name: value for name, value in row.items() if name not in without} for row in market.table(kind)]
        for kind in frames
    }


def until(bars: dict[str, list[Row]], last: dict[str, list[Row]]) -> dict[str, list[Row]]:
    """Return bars of each key up to the last one that others have: nobody fills on without an engine."""
    found = {}
    for kind, rows in bars.items():
        ends = {row["symbol"]: row["bucket_start"] for row in last[kind]}
        found[kind] = [row for row in rows if row["symbol"] in ends and row["bucket_start"] <= ends[row["symbol"]]]
    return found


def at_ms(row: Row) -> int:
    """Return the time of a tick, ms since START."""
    ms: int = round((row["at"] - EPOCH).total_seconds() * 1000) - START
    return ms


def ends_of(market: Market) -> dict[str, dict[int, int]]:
    """Return where every topic ends, to see whether anything was written."""
    topics: Any = market.log
    return {topic: market.log.end_offsets(topic) for topic in topics.topics()}
