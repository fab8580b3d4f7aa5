"""Measures `rc migrate replay` into six frames on the embedded log, against `rc bars build` of the same file.

Run as `python bench/replay.py [--ticks N] [--symbols N] [--folder FOLDER]`. Both run as processes of their own, one
after the other, so that the peak of each one's memory is its own. A second replay, which finds every bar there, is
measured too. The build writes a Parquet file; the replay writes a durable log with keys, and can merge with a stream.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ashioto.cli.project import open_project

ROWS = 1_000_000
START = 1_709_251_200_000
FRAMES = "1m,5m,15m,1h,4h,1d"
DECLARED = """
from datetime import datetime
from decimal import Decimal

import ashioto as ao
from ashioto import Field, Period


class Rate(ao.Stream):
    symbol: Field[str] = ao.key()
    ts: Field[datetime] = ao.timestamp()
    price: Field[Decimal] = ao.decimal(18, 5)
    size: Field[Decimal] = ao.decimal(18, 0)


trading = ao.Context("trading")
rate_bars = (
    trading.events(Rate)
    .time_frame(ao.AlwaysOpen)
    .tumbling(Rate.ts, *map(Period.parse, "{frames}".split(",")), ensure_continuous=True)
    .select(**ao.ohlcv(Rate.price, Rate.size))
    .to_query()
)
"""


def write(file: Path, ticks: int, symbols: int) -> None:
    rng = np.random.default_rng(3)
    schema = pa.schema(
        [
            ("ts", pa.timestamp("ms", tz="UTC")),
            ("symbol", pa.dictionary(pa.int32(), pa.string())),
            ("price", pa.float64()),
            ("size", pa.int64()),
        ]
    )
    names = pa.array([f"SYM{n:04}" for n in range(symbols)])
    with pq.ParquetWriter(file, schema, compression="zstd", use_dictionary=["symbol"]) as writer:
        for low in range(0, ticks, ROWS):
            rows = min(ROWS, ticks - low)
            at = START + np.sort(rng.integers(low * 20, (low + rows) * 20, rows))
            codes = pa.array(rng.integers(0, symbols, rows, dtype=np.int32))
            price = np.round(1.1 + rng.integers(-500, 501, rows) / 1e5, 5)
            columns = [
                pa.array(at).cast(schema[0].type),
                pa.DictionaryArray.from_arrays(codes, names),
                pa.array(price),
                pa.array(rng.integers(1, 500, rows)),
            ]
            writer.write_batch(pa.RecordBatch.from_arrays(columns, schema=schema))


def measured(folder: Path, *args: str) -> tuple[float, int]:
    """Run `rc` and return how long it took, s, and the peak of its memory, bytes."""
    begun = time.perf_counter()
    with subprocess.Popen([sys.executable, "-m", "ashioto.cli.app", *args], cwd=folder) as process:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"rc {' '.join(args)} failed")
    return time.perf_counter() - begun, usage.ru_maxrss * 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ticks", type=int, default=20_000_000)
    parser.add_argument("--symbols", type=int, default=20)
    parser.add_argument("--folder", type=Path, default=Path.cwd())
    options = parser.parse_args()
    root = Path(tempfile.mkdtemp(dir=options.folder))
    try:
        ticks = root / "ticks.parquet"
        write(ticks, options.ticks, options.symbols)
        size = ticks.stat().st_size / 1e6
        print(f"{options.ticks:,} ticks of {options.symbols} symbols in {size:,.0f} MB of Parquet", flush=True)
        measured(root, "init")
        (root / "bars.py").write_text(DECLARED.replace("{frames}", FRAMES))
        measured(root, "infra", "apply")
        named = ("--time", "ts", "--price", "price", "--size", "size", "--key-column", "symbol", "--scale", "5")
        build = measured(
            root, "bars", "build", str(ticks), "--period", FRAMES, *named, "--size-scale", "0", "--out", "b.parquet"
        )
        first = measured(root, "migrate", "replay", str(ticks))
        again = measured(root, "migrate", "replay", str(ticks))
        report(root, options.ticks, build, first, again)
    finally:
        shutil.rmtree(root)


def report(
    root: Path, ticks: int, build: tuple[float, int], first: tuple[float, int], again: tuple[float, int]
) -> None:
    os.chdir(root)
    sys.path.insert(0, str(root))
    log = open_project().log
    bars = sum(sum(log.end_offsets(f"trading.rate_bars_{kind}").values()) for kind in FRAMES.split(","))
    print(f"{bars:,} bars; the log has {(root / '.ashioto' / 'log.db').stat().st_size / 1e6:,.0f} MB")
    for name, (seconds, peak) in (("bars build", build), ("replay", first), ("replay again", again)):
        print(f"{name:<13} {seconds:6.1f} s  {ticks / seconds / 1e6:6.2f} M ticks/s  peak {peak / 1e6:7,.0f} MB")
    print(f"replay to build: {first[0] / build[0]:.2f} of its time, {first[1] / build[1]:.2f} of its memory")


if __name__ == "__main__":
    main()
