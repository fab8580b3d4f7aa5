"""Measures ticks from Avro topics on Kafka into six frames of bars, against a bare consumer with the same settings.

Run as `python bench/kafka_stream.py [--ticks N] [--symbols N] [--partitions N]`. The ticks are there before the clock
starts; then a process reads them all as messages and does nothing else, then another runs the engine over them until
every tick is in a durable bar. Both are one process; figures are of wall time and of CPU time, kernels are compiled
before.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
from kafka_world import World, consumed, load, world
from market import FRAMES, declared, schedule_batch, tick_data

from ashioto.clock import SystemClock
from ashioto.deploy.bootstrap import ensure_topics
from ashioto.engines.embedded.runner import QueryRunner
from ashioto.engines.embedded.warmup import warm_up
from ashioto.log.base import Batch
from ashioto.log.kafka.client import CONSUMER
from ashioto.log.partition import partitions_of
from ashioto.schedule.calendars import calendar_sessions
from ashioto.schema.arrow import key_column

ROWS = 100_000
RATE = 5
"""Ticks a millisecond of event time, over all symbols."""
START = int(datetime(2024, 3, 4, tzinfo=UTC).timestamp()) * 1000
TOPIC = "bench.rate"


def ticks(first: int, symbols: int, partitions: int) -> list[Batch]:
    """Return a piece of the stream, by partition."""
    at = START + (first + np.arange(ROWS)) // RATE
    data = tick_data(first, at, symbols)
    keys = key_column(["symbol"], data)
    places = partitions_of(keys, partitions)
    found = []
    for number in range(partitions):
        rows = np.flatnonzero(places == number)
        part = pa.array(rows)
        found.append(Batch(
            topic=TOPIC, partition=number, keys=keys.take(part), timestamps=at[rows], data=data.take(part),
        ))  # fmt: skip
    return found


def bare(there: World, count: int, partitions: int) -> None:
    wall, cpu = consumed(there.bootstrap, TOPIC, partitions, count, CONSUMER)
    print(json.dumps({"wall": wall, "cpu": cpu}), flush=True)


def engine(there: World, count: int) -> None:
    """Run the engine until all ticks are in durable bars."""
    with there.log(f"engine{time.time_ns()}", topic_ttl_s=60.0) as log:
        warm_up(declared()[1])
        runner = QueryRunner(log, declared()[1], clock=SystemClock())
        wall, cpu = time.perf_counter(), time.process_time()
        while sum(p.ticks for p in runner.progress) < count:
            runner.poll()
        runner.drain()
        took = {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu, "bars": runner.written}
        print(json.dumps(took), flush=True)


def measured(there: World, what: str, options: argparse.Namespace) -> dict[str, float]:
    sizes = ["--ticks", str(options.ticks), "--partitions", str(options.partitions)]
    command = [sys.executable, __file__, "--only", what, *sizes, *there.arguments()]
    said = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    found: dict[str, float] = json.loads(said.splitlines()[-1])
    return found


def measure(options: argparse.Namespace) -> None:
    with world() as there:
        with there.log() as log:
            ensure_topics(log, [declared()[0]], partitions=options.partitions)
            hours = calendar_sessions("24x7", date(2024, 3, 1), date(2024, 3, 31))
            log.append([schedule_batch(options.symbols, hours)])
            for first in range(0, options.ticks, ROWS):
                log.append(ticks(first, options.symbols, options.partitions))
        print(f"{options.ticks:,} ticks of {options.symbols} symbols in {options.partitions} partitions; {load()}")
        alone, made = measured(there, "bare", options), measured(there, "engine", options)
        for name, took in (("bare consumer", alone), (f"bars of {' '.join(FRAMES)}", made)):
            rate, cpu = options.ticks / took["wall"], took["cpu"] / options.ticks * 1e6
            print(f"{name}: {rate:,.0f} ticks/s, {cpu:.2f} s of CPU a million")
        print(
            f"the engine has {alone['wall'] / made['wall']:.0%} of the rate of the bare consumer, and takes "
            f"{made['cpu'] / alone['cpu']:.1f} times its CPU; {made['bars']:,} bar updates; {load()}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ticks", type=int, default=5_000_000)
    parser.add_argument("--symbols", type=int, default=100)
    parser.add_argument("--partitions", type=int, default=2)
    parser.add_argument("--only", choices=["bare", "engine"], help=argparse.SUPPRESS)
    parser.add_argument("--world", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.only is None:
        measure(options)
        return
    bootstrap, registry, folder = options.world
    there = World(bootstrap=bootstrap, registry=registry, folder=Path(folder))
    if options.only == "bare":
        bare(there, options.ticks, options.partitions)
    else:
        engine(there, options.ticks)


if __name__ == "__main__":
    main()
