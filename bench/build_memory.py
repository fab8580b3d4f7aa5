"""Measures `rc bars build` on a large Parquet file: seconds, ticks a second, and the peak of its memory.

Run as `python bench/build_memory.py [--ticks N] [--folder FOLDER]`. The ratio is the peak to the size of what it reads.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import tempfile
import time
from pathlib import Path
from shutil import which

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

ROWS = 1_000_000
START = 1_709_251_200_000


def write(file: Path, ticks: int) -> None:
    rng = np.random.default_rng(3)
    schema = pa.schema(
        [("ts", pa.timestamp("ms")), ("symbol", pa.dictionary(pa.int32(), pa.string())), ("bid", pa.float64())]
    )
    symbols = pa.array([f"PAIR{n:02}" for n in range(20)])
    with pq.ParquetWriter(file, schema, compression="zstd", use_dictionary=["symbol"]) as writer:
        for low in range(0, ticks, ROWS):
            at = START + np.sort(rng.integers(low * 20, (low + ROWS) * 20, ROWS))
            codes = pa.array(rng.integers(0, 20, ROWS, dtype=np.int32))
            bid = np.round(1.1 + rng.integers(-500, 501, ROWS) / 1e5, 5)
            columns = [pa.array(at).cast(schema[0].type), pa.DictionaryArray.from_arrays(codes, symbols), pa.array(bid)]
            writer.write_batch(pa.RecordBatch.from_arrays(columns, schema=schema))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ticks", type=int, default=100_000_000)
    parser.add_argument("--folder", type=Path, default=Path.cwd())
    options = parser.parse_args()
    command = which("rc") or str(Path(__file__).parents[1] / ".venv/bin/rc")
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        ticks, bars = Path(folder, "ticks.parquet"), Path(folder, "bars.parquet")
        write(ticks, options.ticks)
        print(f"{options.ticks:,} ticks of 20 symbols in {ticks.stat().st_size / 1e6:,.0f} MB of Parquet", flush=True)
        call = [
            command,
            "bars",
            "build",
            str(ticks),
            "--period",
            "1m,5m,15m,1h,4h,1d",
            "--time",
            "ts",
            "--price",
            "bid",
        ]
        call += ["--key-column", "symbol", "--scale", "5", "--out", str(bars)]
        start = time.perf_counter()
        subprocess.run(call, check=True)
        took = time.perf_counter() - start
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
        read = options.ticks * (8 + 4 + 8)
        print(f"{took:.1f} s, {options.ticks / took / 1e6:.1f} M ticks/s, {pq.read_metadata(bars).num_rows:,} bars")
        print(f"peak memory {peak / 1e6:,.0f} MB: {peak / read:.2f} of the columns it read ({read / 1e6:,.0f} MB)")


if __name__ == "__main__":
    main()
