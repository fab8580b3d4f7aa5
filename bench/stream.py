"""Measures ticks through the embedded log into six frames of durable bars, and how long a killed engine is behind.

Run as `python bench/stream.py [--ticks N] [--symbols N] [--folder FOLDER]`. One process appends ticks with durable
commits; another runs the engine and the heartbeats, in the ticks' own time. Then the engine is killed in the middle of
the stream, and a new process is timed from its start until every tick in the log is in a durable bar. The ratio is to
appending alone.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
from market import FRAMES, declared, schedule_batch, tick_data

from ashioto.clock import ManualClock, SystemClock
from ashioto.control.election import LeaseElection
from ashioto.control.processes import this_process
from ashioto.control.roles import heartbeat_role
from ashioto.control.specs import derive_spec, spec_batch
from ashioto.deploy.bootstrap import ensure_topics
from ashioto.engines.embedded.runner import QueryRunner
from ashioto.heartbeat.orchestrator import Orchestrator
from ashioto.log.base import Batch, Fence
from ashioto.log.embedded import EmbeddedLog
from ashioto.schedule.calendars import calendar_sessions
from ashioto.schema.arrow import key_column

ENV = ("dev", "local")
GRACE = timedelta(seconds=1)
ROWS = 100_000
RATE = 5
"""Ticks a millisecond of event time, over all symbols: so 20 M ticks are 67 minutes of market."""
START = int(datetime(2024, 3, 4, tzinfo=UTC).timestamp()) * 1000


def prepare(log: EmbeddedLog, symbols: int) -> None:
    """Make the topics, a schedule that is open for 24 hours a day, and the specification of the heartbeats."""
    context, query = declared(grace=GRACE)
    ensure_topics(log, [context])
    log.append([schedule_batch(symbols, calendar_sessions("24x7", date(2024, 3, 1), date(2024, 3, 31)))])
    log.append([spec_batch(ENV, [derive_spec(query, version=1, updated_ms=START)])])


def tick_batch(first: int, symbols: int) -> Batch:
    at = START + (first + np.arange(ROWS)) // RATE
    data = tick_data(first, at, symbols)
    return Batch(topic="bench.rate", partition=0, keys=key_column(["symbol"], data), timestamps=at, data=data)


def send(path: Path, batches: list[Batch]) -> float:
    """Append durably; returns the seconds it took."""
    with EmbeddedLog(path) as log:
        start = time.perf_counter()
        for batch in batches:
            log.append([batch])
        return time.perf_counter() - start


def engine(path: Path, ticks: int) -> None:
    """Run the engine and the heartbeats until so many ticks are in durable bars; print the wall time of that."""
    with EmbeddedLog(path) as log:
        runner = QueryRunner(log, declared(grace=GRACE)[1], clock=SystemClock())
        before = runner.progress[0].source_offset
        clock = ManualClock(START)
        beats = Orchestrator(log, env=ENV, context="bench", clock=clock)
        role = LeaseElection(log, heartbeat_role(ENV, "bench"), holder=this_process(), clock=SystemClock())
        beats.promote(Fence(name=role.name, epoch=role.campaign() or 0), "bench")
        print("ready", before, flush=True)
        while runner.progress[0].source_offset < ticks:
            busy = runner.poll()
            clock.advance(max(START + runner.progress[0].source_offset // RATE - clock.now_ms(), 0))
            while beats.step():
                pass
            if not busy:
                time.sleep(0.001)
        runner.drain()
        print(json.dumps({"at": time.time(), "bars": runner.written, "from": before}), flush=True)


def start_engine(path: Path, ticks: int) -> subprocess.Popen[str]:
    command = [sys.executable, __file__, "--engine", str(path), "--ticks", str(ticks)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def answer(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline()


def measure(folder: Path, ticks: int, symbols: int) -> None:
    batches = [tick_batch(first, symbols) for first in range(0, ticks, ROWS)]
    alone, path = folder / "alone.db", folder / "log.db"
    for file in (alone, path):
        with EmbeddedLog(file) as log:
            prepare(log, symbols)
    appended = send(alone, batches)
    print(f"appending alone, durable: {ticks / appended / 1e6:.2f} M ticks/s")

    process = start_engine(path, ticks)
    answer(process)
    begun = time.time()
    send(path, batches)
    done = json.loads(answer(process))
    process.wait()
    took = done["at"] - begun
    print(
        f"ticks to durable bars of {' '.join(FRAMES)}: {ticks / took / 1e6:.2f} M ticks/s ({ticks:,} ticks of "
        f"{symbols} symbols, {done['bars']:,} bar updates, {took:.1f} s; {appended / took:.0%} of appending alone)"
    )

    crash = folder / "crash.db"
    with EmbeddedLog(crash) as log:
        prepare(log, symbols)
    process = start_engine(crash, ticks)
    answer(process)
    half = batches[: len(batches) // 2]
    send(crash, half)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    begun = time.time()
    process = start_engine(crash, len(half) * ROWS)
    answer(process)
    done = json.loads(answer(process))
    process.wait()
    behind = len(half) * ROWS - done["from"]
    caught_up = done["at"] - begun
    print(
        f"killed and started again: caught up after {caught_up:.2f} s, Python's start included; was {behind:,} behind"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ticks", type=int, default=20_000_000)
    parser.add_argument("--symbols", type=int, default=100)
    parser.add_argument("--folder", type=Path, default=Path.cwd())
    parser.add_argument("--engine", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.engine:
        engine(options.engine, options.ticks)
        return
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        measure(Path(folder), options.ticks, options.symbols)


if __name__ == "__main__":
    main()
