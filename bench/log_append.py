"""Measures durable appends to the embedded log against writing and syncing the same bytes to a plain file.

Run as `python bench/log_append.py [--folder FOLDER] [--batches N] [--bulk ROWS]`; both sides take turns within one
run, and the figures are medians, so that the ratio holds on a machine whose disk is shared. The second half is the key
index: what it costs appends when it is kept up to date at once, and when it follows behind them.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from ashioto.log.base import Batch, TopicSpec
from ashioto.log.embedded import EmbeddedLog
from ashioto.log.embedded.index import Bounds
from ashioto.log.payload import encode_batch

if TYPE_CHECKING:
    from collections.abc import Callable

TEXT = pa.dictionary(pa.int32(), pa.string())
TIME = pa.timestamp("ms", tz="UTC")
PRICE = pa.decimal64(18, 5)
TICK_ROWS, SYMBOLS, BAR_ROWS = 100_000, 200, 10_000
ALL = Bounds(rows=0, batches=0, age_ms=-1)
KEYS, FRAMES = 10_000, ("1m", "5m", "1h", "1d")
SECONDS, ROOM = 12, 60
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
    keys = pa.array([f"1\x1f{n}\x1f{t:013}".encode() for n, t in zip(names, starts.tolist(), strict=True)])
    return replace(bars_of(names, starts, seed), keys=keys)


def bars_of(names: list[str], starts: np.ndarray, seed: int) -> Batch:
    rows = len(names)
    prices = np.random.default_rng(seed).integers(90_000, 110_000, rows)
    columns = [
        pa.array(names),
        typed(starts, TIME),
        typed(starts + 60_000, TIME),
        pa.array((starts // 86_400_000).astype(np.int32)).view(pa.date32()),
        *(typed(prices + shift, PRICE) for shift in (0, 9, -9, 3)),
        pa.array(prices),
        pa.array(np.ones(rows, np.bool_)),
        pa.array(np.zeros(rows, np.bool_)),
        pa.array(["stream"] * rows),
    ]
    data = pa.RecordBatch.from_arrays(columns, schema=BARS.schema)
    return Batch(topic=BARS.name, partition=0, keys=pa.array(names, pa.binary()), timestamps=starts, data=data)


def flush_batch(frame: str, start: int, seed: int) -> Batch:
    """Make a bar for each of 10,000 symbols, each of which lies elsewhere in the key index."""
    names = [f"SYM{n:05}" for n in range(KEYS)]
    starts = np.full(KEYS, start)
    keys = pa.array([f"1\x1f{n}\x1f{start:013}".encode() for n in names])
    return replace(bars_of(names, starts, seed), topic=f"bench.bars_{frame}", keys=keys)


def run_batch(seed: int) -> Batch:
    """Make 100,000 bars of one symbol, as a bulk load does."""
    starts = np.arange(TICK_ROWS) * 60_000
    keys = pa.array([b"1\x1fSYM%05d\x1f%013d" % (seed, at) for at in starts.tolist()])
    return replace(bars_of([f"SYM{seed:05}"] * TICK_ROWS, starts, seed), topic="bench.bars_bulk", keys=keys)


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


def written() -> int:
    """Return how many bytes this process has written so far."""
    return int(Path("/proc/self/io").read_text().split("wchar:")[1].split()[0])


def index_all(log: EmbeddedLog, topic: str) -> None:
    indexer = log._indexer  # noqa: SLF001 (nobody else needs it step by step)
    for _ in indexer.steps(topic, ALL):
        indexer.checkpoint()


def flushes(folder: Path, *, at_once: bool) -> tuple[float, float, float]:
    """Return median and largest seconds of flushes of one frame, and bytes written for each.

    Args:
        folder: Where the file goes.
        at_once: Index each flush before the next.
    """
    spec = replace(BARS, name="bench.bars_1m")
    with EmbeddedLog(folder / f"flush{at_once}.db", background=not at_once) as log:
        log.create([spec])
        for minute in range(ROOM):
            log.append([flush_batch("1m", minute * 60_000, minute)])
        index_all(log, spec.name)
        took, before = [], written()
        for minute in range(ROOM, ROOM + SECONDS):
            batch = flush_batch("1m", minute * 60_000, minute)
            took.append(seconds(partial(append, log, batch, at_once=at_once)))
            time.sleep(0.5)
        return median(took), max(took), (written() - before) / SECONDS


def append(log: EmbeddedLog, batch: Batch, *, at_once: bool) -> None:
    log.append([batch])
    if at_once:
        index_all(log, batch.topic)


def live(folder: Path) -> tuple[float, float, float]:
    """Return median and largest seconds of a second's flush of four frames, and bytes written for each flush."""
    with EmbeddedLog(folder / "live.db") as log:
        log.create([replace(BARS, name=f"bench.bars_{frame}") for frame in FRAMES])
        took, before = [], written()
        for at in range(2 * SECONDS):
            batches = [flush_batch(frame, 0, at) for frame in FRAMES]
            took.append(seconds(partial(log.append, batches)))
            time.sleep(max(0.0, 1.0 - took[-1]))
        return median(took), max(took), (written() - before) / len(took)


def views(folder: Path) -> None:
    """Tell how long a view takes with a tail of 100,000 records and without one."""
    with EmbeddedLog(folder / "views.db", background=False) as log:
        log.create([replace(BARS, name="bench.bars_1m")])
        for minute in range(10):
            log.append([flush_batch("1m", minute * 60_000, minute)])
        with EmbeddedLog(log.path, background=False) as other:
            first = seconds(partial(other.view, "bench.bars_1m", limit=1))
        for word in ("with a tail of 100,000", "without a tail"):
            point = median(seconds(partial(look, log, at, 1)) for at in range(0, KEYS, 50))
            few = median(seconds(partial(look, log, at, 10)) for at in range(0, KEYS, 50))
            end = median(seconds(partial(log.read, "bench.bars_1m", 0, 100_000)) for _ in range(500))
            ends = median(seconds(partial(log.end_offsets, "bench.bars_1m")) for _ in range(500))
            print(
                f"{word}: the newest bar of a key {point * 1e6:.0f} us, 10 bars {few * 1e6:.0f} us, "
                f"read at the end {end * 1e6:.0f} us, end offsets {ends * 1e6:.0f} us"
            )
            index_all(log, "bench.bars_1m")
        print(f"first view of a process that finds a tail of 100,000: {first * 1e3:.0f} ms")


def look(log: EmbeddedLog, symbol: int, limit: int) -> None:
    prefix = f"1\x1fSYM{symbol:05}\x1f".encode()
    assert len(log.view("bench.bars_1m", start=prefix, stop=prefix + b"\xff", limit=limit, reverse=True).keys) == limit


def bulk(folder: Path, rows: int) -> None:
    with EmbeddedLog(folder / "bulk.db") as log:
        log.create([replace(BARS, name="bench.bars_bulk")])
        took = [seconds(partial(log.append, [run_batch(at)])) for at in range(rows // TICK_ROWS)]
        print(f"bulk load: {rows / sum(took):,.0f} bars/s of {rows:,}, longest append {max(took) * 1e3:.0f} ms")


def key_index(folder: Path, bulk_rows: int) -> None:
    now, behind = flushes(folder, at_once=True), flushes(folder, at_once=False)
    for word, (middle, most, size) in (("indexed at once", now), ("indexed behind", behind)):
        print(f"flush of {KEYS:,} keys, {word}: {middle * 1e3:.1f} ms, most {most * 1e3:.1f}, {size / 1e6:.1f} MB")
    print(f"ratio: {now[0] / behind[0]:.1f}")
    middle, most, size = live(folder)
    print(
        f"{KEYS:,} live keys in {len(FRAMES)} topics: {middle * 1e3:.1f} ms a second, most {most * 1e3:.1f}, "
        f"{size / 1e6:.1f} MB"
    )
    views(folder)
    bulk(folder, bulk_rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path.cwd())
    parser.add_argument("--batches", type=int, default=30)
    parser.add_argument("--bulk", type=int, default=10_000_000)
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
        key_index(Path(folder), options.bulk)


if __name__ == "__main__":
    main()
