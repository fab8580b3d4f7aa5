"""Measures durable appends to the embedded log against writing and syncing the same bytes to a plain file.

Run as `python bench/log_append.py [--folder FOLDER] [--batches N]`; both sides take turns within one run, and the
figures are medians, so that the ratio holds on a machine whose disk is shared.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from functools import partial
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from ashioto.log.base import Batch, TopicSpec
from ashioto.log.embedded import EmbeddedLog
from ashioto.log.payload import encode_batch

if TYPE_CHECKING:
    from collections.abc import Callable

TEXT = pa.dictionary(pa.int32(), pa.string())
TIME = pa.timestamp("ms", tz="UTC")
PRICE = pa.decimal64(18, 5)
TICK_ROWS, SYMBOLS, BAR_ROWS = 100_000, 200, 10_000
TICKS = TopicSpec(
    name="bench.ticks", schema=pa.schema({"symbol": TEXT, "time": TIME, "price": PRICE, "size": pa.int64()})
)
BARS = TopicSpec(
    name="bench.bars",
    cleanup="compact",
    schema=pa.schema(
        {"symbol": pa.string(), "bucket_start": TIME, "bucket_end": TIME, "market_date": pa.date32()}
        | dict.fromkeys(("open", "high", "low", "close"), PRICE)
        | {"volume": pa.int64(), "final": pa.bool_(), "synthetic": pa.bool_(), "origin": pa.string()}
    ),
)


def typed(values: np.ndarray, kind: pa.DataType) -> pa.Array:
    plain = pa.array(np.ascontiguousarray(values, dtype=np.int64))
    return pa.Array.from_buffers(kind, len(plain), plain.buffers())


def tick_batch(seed: int) -> Batch:
    rng = np.random.default_rng(seed)
    names = pa.array([f"SYM{n:04}" for n in range(SYMBOLS)])
    codes = pa.array(rng.integers(0, SYMBOLS, TICK_ROWS), pa.int32())
    times = seed * 1_000_000 + np.sort(rng.integers(0, 1_000_000, TICK_ROWS))
    columns = [
        pa.DictionaryArray.from_arrays(codes, names),
        typed(times, TIME),
        typed(100_000 + np.cumsum(rng.integers(-5, 6, TICK_ROWS)), PRICE),
        pa.array(rng.integers(1, 500, TICK_ROWS)),
    ]
    keys = pa.DictionaryArray.from_arrays(codes, pa.array([f"1\x1fSYM{n:04}".encode() for n in range(SYMBOLS)]))
    data = pa.RecordBatch.from_arrays(columns, schema=TICKS.schema)
    return Batch(topic=TICKS.name, partition=0, keys=keys, timestamps=times, data=data)


def bar_batch(seed: int) -> Batch:
    at = np.arange(BAR_ROWS)
    starts = (seed // 2 * BAR_ROWS + at) // SYMBOLS * 60_000
    names = [f"SYM{n:04}" for n in (at % SYMBOLS).tolist()]
    prices = np.random.default_rng(seed).integers(90_000, 110_000, BAR_ROWS)
    columns = [
        pa.array(names),
        typed(starts, TIME),
        typed(starts + 60_000, TIME),
        pa.array((starts // 86_400_000).astype(np.int32)).view(pa.date32()),
        *(typed(prices + shift, PRICE) for shift in (0, 9, -9, 3)),
        pa.array(prices),
        pa.array(np.ones(BAR_ROWS, np.bool_)),
        pa.array(np.zeros(BAR_ROWS, np.bool_)),
        pa.array(["stream"] * BAR_ROWS),
    ]
    keys = pa.array([f"1\x1f{n}\x1f{t:013}".encode() for n, t in zip(names, starts.tolist(), strict=True)])
    data = pa.RecordBatch.from_arrays(columns, schema=BARS.schema)
    return Batch(topic=BARS.name, partition=0, keys=keys, timestamps=starts, data=data)


def seconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def raw_write(file: int, payload: bytes) -> None:
    os.write(file, payload)
    os.fsync(file)


def measure(log: EmbeddedLog, file: int, batches: list[Batch]) -> tuple[float, float, float]:
    """Return median seconds of an append, of a raw write with sync, and of encoding alone."""
    appends, raws, encodings = [], [], []
    for batch in batches:
        payload = encode_batch(batch)
        encodings.append(seconds(partial(encode_batch, batch)))
        raws.append(seconds(partial(raw_write, file, payload)))
        appends.append(seconds(partial(log.append, [batch])))
    return median(appends), median(raws), median(encodings)


def report(name: str, rows: int, figures: tuple[float, float, float]) -> None:
    append, raw, encode = figures
    print(
        f"{name}: {rows / append:,.0f} rows/s ({append * 1e3:.1f} ms for {rows:,}, encoding {encode * 1e3:.1f}); "
        f"write + fsync of the same bytes takes {raw * 1e3:.1f} ms, {raw / append:.0%} of that"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path.cwd())
    parser.add_argument("--batches", type=int, default=30)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as folder, EmbeddedLog(Path(folder, "log.db")) as log:
        log.create([TICKS, BARS])
        file = os.open(Path(folder, "raw"), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        report("ticks", TICK_ROWS, measure(log, file, [tick_batch(n) for n in range(options.batches)]))
        report("bars into the key index", BAR_ROWS, measure(log, file, [bar_batch(n) for n in range(options.batches)]))
        os.close(file)
        total = TICK_ROWS * options.batches
        took = seconds(lambda: [log.read(TICKS.name, 0, at, max_rows=TICK_ROWS) for at in range(0, total, TICK_ROWS)])
        print(f"read back: {total / took:,.0f} ticks/s")
        keys = log.end_offsets(BARS.name)[0] // 2
        took = seconds(lambda: log.view(BARS.name))
        print(f"view: {keys / took:,.0f} bars/s of {keys:,}")


if __name__ == "__main__":
    main()
