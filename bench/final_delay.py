"""Measures how long after its deadline a final bar can be read, in real time, through the embedded log.

Run as `python bench/final_delay.py [--symbols 100 1000] [--seconds 30] [--folder FOLDER]`. One process sends ticks of
every symbol, one runs the engine and the heartbeats as `rc dev` does, and this one looks for new bars of one second as
fast as it can. A bar's deadline is its end and the grace. Beside it stands one bare durable append of as many bars,
since a final bar costs two commits: one of the heartbeats, one of the bars.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
from market import Hours, Rate, symbol_names

import ashioto as ao
from ashioto import Period
from ashioto.cli.dev import DevServer, run_until_stopped
from ashioto.cli.dev_screen import Screen
from ashioto.cli.ticks_simulate import run as simulate
from ashioto.clock import SystemClock
from ashioto.deploy.bootstrap import ensure_topics
from ashioto.log.base import Batch
from ashioto.log.embedded import EmbeddedLog
from ashioto.schedule.calendars import calendar_sessions
from ashioto.schema.arrow import int64_view
from ashioto.testing.ticks import SimulationOptions, TickSimulator

GRACE = timedelta(milliseconds=200)
TOPIC = "bench.rate_bars_1s"
WARM_UP = 5
"""Seconds until everything is compiled and every symbol has had a tick."""

context = ao.Context("bench")
bars = (
    context.events(Rate)
    .time_frame(
        Hours,
        (Rate.symbol == Hours.symbol) & (Hours.open <= Rate.at) & (Rate.at < Hours.close),
        day_key=Hours.market_date,
    )
    .tumbling(Rate.at, Period.seconds(1), ensure_continuous=True, grace=GRACE)
    .select(**ao.ohlcv(Rate.price, Rate.size))
    .to_query()
)


def prepare(log: EmbeddedLog, symbols: int) -> None:
    """Make the topics and a schedule that is open all day."""
    ensure_topics(log, [context])
    today = datetime.now(UTC).date()
    rows = calendar_sessions("24x7", today - timedelta(days=1), today + timedelta(days=2)).to_table()
    parts = [rows.append_column("symbol", [[name] * rows.num_rows]) for name in symbol_names(symbols)]
    context.set(Hours, log=log).add_range(pa.concat_tables(parts))


def send(path: Path, symbols: int, rate: float) -> None:
    """Send ticks of every symbol until stopped."""
    with EmbeddedLog(path) as log:
        keys = [(name,) for name in symbol_names(symbols)]
        simulator = TickSimulator(Rate.__entity__, keys, SimulationOptions(rate=rate))
        simulate(context.set(Rate, log=log), simulator, SystemClock(), None, [None] * symbols)


def serve(path: Path) -> None:
    """Run the project until stopped."""
    with EmbeddedLog(path) as log:
        run_until_stopped(DevServer(log=log, contexts=[context]), Screen(sys.stderr))


def watch(path: Path, seconds: float) -> np.ndarray:
    """Return the delay of every final bar that appears in a stretch of time, ms."""
    clock, grace = SystemClock(), GRACE // timedelta(milliseconds=1)
    delays: list[int] = []
    newest: dict[str, int] = {}
    with EmbeddedLog(path) as log:
        offset, end = log.end_offsets(TOPIC)[0], clock.monotonic() + seconds
        while clock.monotonic() < end:
            part = log.read(TOPIC, 0, offset)
            now = clock.now_ms()
            if part is None:
                clock.sleep(0.001)
                continue
            offset = part.base_offset + part.data.num_rows
            final = part.data.filter(part.data.column("final"))
            ends = int64_view(final.column("bucket_end")).tolist()
            for symbol, until in zip(final.column("symbol").to_pylist(), ends, strict=True):
                if until > newest.get(symbol, 0):  # a final bar that is revised counts once
                    newest[symbol] = until
                    delays.append(now - until - grace)
    return np.array(delays)


def bare_append(path: Path, symbols: int) -> float:
    """Return how long one durable append of a bar of every symbol takes, ms, the median of twenty."""
    took = []
    with EmbeddedLog(path) as log:
        part = log.read(TOPIC, 0, 0, max_rows=symbols)
        assert part is not None
        spec = log.describe(TOPIC).spec
    with tempfile.TemporaryDirectory(dir=path.parent) as folder, EmbeddedLog(Path(folder, "bare.db")) as log:
        log.create([spec])
        batch = Batch(topic=TOPIC, partition=0, keys=part.keys, timestamps=part.timestamps, data=part.data)
        for _ in range(20):
            start = time.perf_counter()
            log.append([batch])
            took.append(time.perf_counter() - start)
    return float(np.median(took)) * 1000


def measure(path: Path, symbols: int, seconds: float, rate: float) -> None:
    with EmbeddedLog(path) as log:
        prepare(log, symbols)
    command = [sys.executable, __file__, "--log", str(path), "--symbols", str(symbols), "--rate", str(rate)]
    with (
        subprocess.Popen([*command, "--role", "serve"], stderr=subprocess.DEVNULL) as server,
        subprocess.Popen([*command, "--role", "send"]) as sender,
    ):
        try:
            time.sleep(WARM_UP)
            delays = watch(path, seconds)
        finally:
            sender.terminate()
            server.terminate()
    bare = bare_append(path, symbols)
    p50, p99 = np.percentile(delays, [50, 99])
    print(
        f"{symbols:5,} symbols, {len(delays):6,} final bars of 1s: readable {p50:.0f} ms after the deadline (p50), "
        f"{p99:.0f} ms (p99), {delays.max():.0f} ms at most; to reach: p99 50 ms. "
        f"A bare durable append of {symbols:,} bars: {bare:.1f} ms, so p50 is {p50 / bare:.1f} times that"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--symbols", type=int, nargs="+", default=[100, 1000])
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--rate", type=float, default=2.0, help="Ticks a second of each symbol.")
    parser.add_argument("--folder", type=Path, default=Path.cwd())
    parser.add_argument("--log", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--role", choices=["serve", "send"], help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.role == "serve":
        serve(options.log)
    elif options.role == "send":
        send(options.log, options.symbols[0], options.rate)
    else:
        for symbols in options.symbols:
            with tempfile.TemporaryDirectory(dir=options.folder) as folder:
                measure(Path(folder, "log.db"), symbols, options.seconds, options.rate)


if __name__ == "__main__":
    main()
