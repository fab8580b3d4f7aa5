"""Measures `add_range` of finished bars against a bare append of the same records, and its peak memory.

Run as `python bench/bars_add.py [--rows N] [--folder FOLDER]`; both sides take turns piece by piece within one run, so
that the ratio holds on a machine whose disk is shared. Memory is that of a process of its own, which adds all rows from
one table; the table itself is subtracted.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

import ashioto as ao
from ashioto import BarAddOptions, BarAddReport, Field, Period, TimeBucket
from ashioto.bars.timebucket import BarTable
from ashioto.deploy.bootstrap import ensure_topics
from ashioto.log.base import Batch, Log
from ashioto.log.embedded import EmbeddedLog

SERIES, PIECES, MINUTE = 200, 10, 60_000
START = int(datetime(2020, 1, 1, tzinfo=UTC).timestamp()) * 1000
TIME, PRICE = pa.timestamp("ms", tz="UTC"), pa.decimal128(18, 5)
ONE = Period.minutes(1)


class Rate(ao.Stream):
    broker: Field[str] = ao.key()
    symbol: Field[str] = ao.key()
    at: Field[datetime] = ao.timestamp()
    price: Field[Decimal] = ao.decimal(18, 5)
    size: Field[int] = ao.field()


trading = ao.Context("trading")
rate_bars = (
    trading.events(Rate)
    .time_frame(ao.AlwaysOpen)
    .tumbling(Rate.at, ONE, ensure_continuous=True)
    .select(**ao.ohlcv(Rate.price, Rate.size))
    .to_query()
)


class Recorder:
    """Keeps what is appended, and passes everything else on."""

    def __init__(self, inner: Log) -> None:
        self.inner, self.batches = inner, list[list[Batch]]()

    def append(self, batches: list[Batch], **_: Any) -> list[Any]:
        self.batches.append(batches)
        return []

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


def prices(numbers: np.ndarray) -> pa.Array:
    words = np.zeros((len(numbers), 2), dtype=np.int64)
    words[:, 0] = numbers
    return pa.Array.from_buffers(PRICE, len(numbers), [None, pa.py_buffer(words)])


def bars(rows: int, *, piece: int = 0, pieces: int = 1, by_time: bool = False) -> pa.Table:
    """Return bars of some symbols, in the order of their keys or of time."""
    series = SERIES // pieces
    each = rows // SERIES
    symbol, minute = np.repeat(np.arange(series), each), np.tile(np.arange(each), series)
    if by_time:
        symbol, minute = np.tile(np.arange(series), each), np.repeat(np.arange(each), series)
    names = pa.array([f"SYM{n:04}" for n in range(piece * series, (piece + 1) * series)])
    rng = np.random.default_rng(piece)
    middle = rng.integers(90_000, 110_000, len(symbol))
    spread = rng.integers(0, 50, len(symbol))
    return pa.table(
        {
            "broker": pa.repeat("FX", len(symbol)),
            "symbol": names.take(pa.array(symbol)),
            "bucket_start": pa.array(START + minute * MINUTE).cast(TIME),
            "open": prices(middle),
            "high": prices(middle + spread),
            "low": prices(middle - spread),
            "close": prices(middle + spread // 2),
            "volume": pa.array(spread),
            "ticks": pa.array(spread + 1),
        }
    )


def opened(folder: str, name: str) -> EmbeddedLog:
    log = EmbeddedLog(Path(folder, name))
    ensure_topics(log, [trading])
    return log


def table_of(log: Any) -> BarTable:
    return TimeBucket.set(rate_bars.bar(ONE), ONE, log=log)


def seconds(call: Any) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def recorded(table: pa.Table, log: Log) -> list[list[Batch]]:
    recorder = Recorder(log)
    table_of(recorder).add_range(table)
    return recorder.batches


def compare(rows: int, folder: str, options: BarAddOptions) -> None:
    adds, bares, checks = 0.0, 0.0, 0.0
    with opened(folder, "add.db") as add, opened(folder, "bare.db") as bare:
        for piece in range(PIECES):
            table = bars(rows, piece=piece, pieces=PIECES)
            batches: list[list[Batch]] = []
            checks += seconds(lambda: batches.extend(recorded(table, bare)))  # noqa: B023  # called here
            bares += seconds(lambda: [bare.append(batch) for batch in batches])  # noqa: B023  # called here
            adds += seconds(lambda: table_of(add).add_range(table, options))  # noqa: B023  # called here
        again = seconds(lambda: report(table_of(add).add_range(table, options), table.num_rows))
        print(f"add_range: {rows / adds:,.0f} bars/s ({adds:.1f} s for {rows:,}); of it without the log {checks:.1f} s")
        print(f"bare append of the same records: {rows / bares:,.0f} bars/s ({bares:.1f} s)")
        print(f"add_range has {bares / adds:.0%} of the rate of the bare append")
        print(f"added a second time, nothing is written: {table.num_rows / again:,.0f} bars/s")


def report(found: BarAddReport, rows: int) -> None:
    assert found == BarAddReport(skipped=rows)


def peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def memory(rows: int, *, by_time: bool) -> None:
    table = bars(rows, by_time=by_time)
    with tempfile.TemporaryDirectory() as folder, opened(folder, "log.db") as log:
        before = peak_mib()
        took = seconds(lambda: table_of(log).add_range(table))
        order = "time" if by_time else "key"
        print(
            f"memory, in the order of {order}: peak {peak_mib():,.0f} MiB, before it {before:,.0f}; the table is "
            f"{table.nbytes / 2**20:,.0f}; {rows / took:,.0f} bars/s"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--concurrency", type=int, default=1)
    parser.add_argument("--folder", type=Path, default=Path.cwd())
    parser.add_argument("--memory", choices=["key", "time"])
    given = parser.parse_args()
    if given.memory is not None:
        memory(given.rows, by_time=given.memory == "time")
        return
    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        compare(given.rows, folder, BarAddOptions(concurrency=given.concurrency))
    for order in ("key", "time"):
        subprocess.run([sys.executable, __file__, "--memory", order, "--rows", str(given.rows)], check=True)


if __name__ == "__main__":
    main()
