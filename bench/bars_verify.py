"""Measures how fast bars are verified: rows a second and the peak of memory, beside a join of the same by duckdb.

Run as `python bench/bars_verify.py [--bars N] [--symbols N]`. The ratio is our time to that of the peer.
"""

from __future__ import annotations

import argparse
import resource
import time
from collections.abc import Callable, Iterator

import numpy as np
import pyarrow as pa

from ashioto.migration.verify import BarsVerifier

START = 1_704_067_200_000
PART = 1 << 18
SCHEMA = pa.schema(
    [
        ("symbol", pa.string()),
        ("bucket_start", pa.timestamp("ms", tz="UTC")),
        *((name, pa.decimal128(18, 5)) for name in ("open", "high", "low", "close")),
        ("volume", pa.decimal128(38, 2)),
        ("ticks", pa.int64()),
    ]
)


def decimals(units: np.ndarray, kind: pa.DataType) -> pa.Array:
    words = np.zeros((units.shape[0], 2), dtype=np.int64)
    words[:, 0] = units
    return pa.Array.from_buffers(kind, units.shape[0], [None, pa.py_buffer(words)])


def batches(bars: int, symbols: int, *, wrong: int) -> Iterator[pa.RecordBatch]:
    """Bars by symbol and time, made anew each time; every `wrong`-th close differs."""
    names = pa.array([f"SYM{n:04}" for n in range(symbols)])
    each = bars // symbols
    for low in range(0, bars, PART):
        row = np.arange(low, min(low + PART, bars))
        code, minute = np.minimum(row // each, symbols - 1), row % each
        price = 110_000 + (row * 7919) % 1000
        close = price + (row % wrong == 0) if wrong else price
        columns = [
            names.take(pa.array(code)),
            pa.array(START + minute * 60_000).cast(SCHEMA.field("bucket_start").type),
            *(decimals(p, SCHEMA.field("open").type) for p in (price, price + 9, price - 9, close)),
            decimals(price, SCHEMA.field("volume").type),
            pa.array(row % 100),
        ]
        yield pa.RecordBatch.from_arrays(columns, schema=SCHEMA)


def stream(bars: int, symbols: int, *, wrong: int = 0) -> pa.RecordBatchReader:
    return pa.RecordBatchReader.from_batches(SCHEMA, batches(bars, symbols, wrong=wrong))


def timed(name: str, rows: int, work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    found = work()
    seconds = time.perf_counter() - begun
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{name:12} {seconds:7.2f} s {rows / seconds / 1e6:7.2f} M bars/s  peak {peak:,.0f} MB  {found}", flush=True)
    return seconds


def verify(bars: int, symbols: int) -> str:
    found = BarsVerifier().compare(stream(bars, symbols), stream(bars, symbols, wrong=1_000_003), keys=["symbol"])
    return f"equal {found.equal:,}, unequal {found.unequal:,}"


def join(bars: int, symbols: int) -> str:
    import duckdb

    base = duckdb.connect()
    base.register("expected", stream(bars, symbols))
    base.execute("create table e as select * from expected")
    base.register("actual", stream(bars, symbols, wrong=1_000_003))
    base.execute("create table a as select * from actual")
    same = " and ".join(f"e.{n} is not distinct from a.{n}" for n in SCHEMA.names[2:])
    counts = f"count(*) filter ({same}), count(*) filter (not ({same}))"
    query = f"select {counts} from e full join a using (symbol, bucket_start)"
    equal, unequal = base.execute(query).fetchall()[0]
    return f"equal {equal:,}, unequal {unequal:,}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bars", type=int, default=10_000_000)
    parser.add_argument("--symbols", type=int, default=100)
    options = parser.parse_args()
    bars, symbols = options.bars, options.symbols
    timed("only made", 2 * bars, lambda: sum(b.num_rows for _ in "ea" for b in stream(bars, symbols)))
    ours = timed("verify", bars, lambda: verify(bars, symbols))
    peer = timed("duckdb", bars, lambda: join(bars, symbols))
    print(f"time of verify to that of a full join in duckdb: {ours / peer:.2f}")


if __name__ == "__main__":
    main()
