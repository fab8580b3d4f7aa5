"""Measures the heartbeat: take-over after kill -9 and after SIGTERM, catch-up, 100,000 symbols on a core, memory.

Run as `python bench/heartbeat.py [--only NAME ...] [--folder FOLDER]`; names are takeover, catchup, core and memory. A
take-over is timed from the signal to the first append of the new epoch, with three `rc hb run` beside each other. The
others run in a process of their own, on simulated time, with durable appends; beside them stand bare appends of the
same records in the same pieces.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from market import declared, environment, make_project, schedule_batch, start_role

from ashioto.clock import ManualClock, SystemClock
from ashioto.control.roles import heartbeat_role
from ashioto.control.specs import derive_spec, heartbeat_specs, spec_batch
from ashioto.control.state import heartbeat_state
from ashioto.deploy.bootstrap import ensure_topics
from ashioto.heartbeat.orchestrator import Orchestrator
from ashioto.log.base import Batch, Fence
from ashioto.log.embedded import EmbeddedLog
from ashioto.schedule.calendars import calendar_sessions

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ENV = ("dev", "local")
ROLE = heartbeat_role(ENV, "bench")
MINUTE = 60_000
START = 1_710_115_200_000
"""2024-03-11, a Monday, midnight UTC; simulated time begins here."""
BEATS = "bench.rate_hb"
NAMES = ("takeover", "catchup", "core", "memory")


def takeovers(folder: Path, times: int, number: signal.Signals) -> list[float]:
    """Return how long after a signal to the active heartbeat another one had appended, ms."""
    clock, took = SystemClock(), []
    today = datetime.now(UTC).date()
    processes: list[subprocess.Popen[bytes]] = []
    with EmbeddedLog(make_project(folder, ("1m",), timedelta(seconds=5))) as log:
        log.append([schedule_batch(100, calendar_sessions("24x7", today, today + timedelta(days=20)))])
        key = heartbeat_specs(log, ENV)[0].key(ENV)
        try:
            for turn in range(times):
                while len(processes) < 3:
                    processes.append(start_role(folder, "hb", "run"))
                active, epoch = settled(log, processes, clock, folder / "roles.out", turn + 2)
                since = clock.monotonic()
                active.send_signal(number)
                while (state := heartbeat_state(log, key)) is None or state.epoch <= epoch:
                    assert clock.monotonic() < since + 60, (folder / "roles.out").read_text("utf-8")
                    clock.sleep(0.001)
                took.append((clock.monotonic() - since) * 1000)
                active.wait()
                processes.remove(active)
        finally:
            for process in processes:
                process.kill()
                process.wait()
    return took


def settled(
    log: EmbeddedLog, processes: Sequence[subprocess.Popen[bytes]], clock: SystemClock, out: Path, standing_by: int
) -> tuple[subprocess.Popen[bytes], int]:
    """Return the active process and its epoch, once so many have said that they stand by, or after a while."""
    since = clock.monotonic()
    while True:
        lease = log.lease(ROLE)
        holder = None if lease is None or lease.holder is None else lease.holder.pid
        active = next((p for p in processes if p.pid == holder), None)
        is_up = out.read_text("utf-8").count("stands by") >= standing_by or clock.monotonic() - since > 5
        if active is not None and lease is not None and is_up:
            return active, lease.epoch
        clock.sleep(0.05)


def prepare(log: EmbeddedLog, symbols: int, *, days: int, grace: timedelta) -> ManualClock:
    """Make topics, a schedule that is always open and the specification of bars of a minute, from START on."""
    context, plan = declared(frames=("1m",), grace=grace)
    ensure_topics(log, [context])
    first = date(2024, 3, 11)
    log.append([schedule_batch(symbols, calendar_sessions("24x7", first, first + timedelta(days=days)))])
    log.append([spec_batch(ENV, [derive_spec(plan, version=1, updated_ms=START)])])
    return ManualClock(START)


def beating(log: EmbeddedLog, clock: ManualClock) -> Orchestrator:
    orchestrator = Orchestrator(log, env=ENV, context="bench", clock=clock)
    orchestrator.promote(Fence(name=ROLE, epoch=1), "bench")
    return orchestrator


def send_until(orchestrator: Orchestrator, clock: ManualClock, until: int) -> int:
    """Send what is due, deadline by deadline, until a time, ms."""
    sent = 0
    while (wake := orchestrator.wake_ms()) is not None and wake <= until:
        clock.advance(max(wake - clock.now_ms(), 0))
        sent += orchestrator.step()
    return sent


def stored(log: EmbeddedLog) -> Iterator[Batch]:
    """Yield the markers in a log, in pieces of 100,000 as they were appended."""
    offset = 0
    while (part := log.read(BEATS, 0, offset, max_rows=100_000)) is not None:
        offset = part.next_offset
        yield Batch(topic=BEATS, partition=0, keys=part.keys, timestamps=part.timestamps, data=part.data)


def bare(folder: Path, log: EmbeddedLog, limit: int) -> tuple[float, float, int]:
    """Append the first markers of a log to another one; returns seconds, seconds of the CPU, and how many records."""
    wall = cpu = 0.0
    rows = 0
    with EmbeddedLog(folder / "bare.db") as other:
        other.create([log.describe(BEATS).spec])
        for batch in stored(log):
            begun = time.perf_counter(), time.process_time()
            other.append([batch])
            wall, cpu = wall + time.perf_counter() - begun[0], cpu + time.process_time() - begun[1]
            rows += batch.data.num_rows
            if rows >= limit:
                break
    return wall, cpu, rows


def catch_up(folder: Path, symbols: int, minutes: int) -> None:
    with EmbeddedLog(folder / "log.db") as log:
        clock = prepare(log, symbols, days=3, grace=timedelta(0))
        clock.advance(minutes * MINUTE)
        begun, sent = time.perf_counter(), 0
        orchestrator = beating(log, clock)
        longest = 0.0
        while sent < 2 * symbols * minutes:
            at = time.perf_counter()
            sent += orchestrator.step()
            longest = max(longest, time.perf_counter() - at)
        took = time.perf_counter() - begun
        alone, _, rows = bare(folder, log, 2 * symbols * minutes)
    print(
        f"catch-up: {sent:,} markers ({symbols:,} symbols, {minutes:,} minutes) in {took:.1f} s, "
        f"{sent / took / 1e3:.0f} k/s, longest step {longest * 1000:.0f} ms; to reach: 60 s. "
        f"Bare appends of the same {rows:,}: {alone:.1f} s, so it takes {took / alone:.1f} times that"
    )


def core(folder: Path, symbols: int, minutes: int) -> None:
    with EmbeddedLog(folder / "log.db") as log:
        clock = prepare(log, symbols, days=2, grace=timedelta(seconds=5))
        orchestrator = beating(log, clock)
        send_until(orchestrator, clock, START + 2 * MINUTE)
        begun, wall, sent, steps = time.process_time(), time.perf_counter(), 0, []
        for minute in range(2, 2 + minutes):
            at = time.perf_counter()
            sent += send_until(orchestrator, clock, START + (minute + 1) * MINUTE)
            steps.append(time.perf_counter() - at)
        cpu, wall = (time.process_time() - begun) / minutes, (time.perf_counter() - wall) / minutes
        _, alone, rows = bare(folder, log, sent)
    alone *= sent / rows / minutes
    print(
        f"core: {symbols:,} symbols at 1m: {cpu:.2f} s of the CPU a minute ({wall:.2f} s of time, both deadlines), "
        f"{cpu / 60:.1%} of one core, {sent // minutes:,} markers a minute. "
        f"Bare appends of as many: {alone:.2f} s of the CPU, so it takes {cpu / alone:.1f} times that"
    )


def memory(folder: Path, symbols: int, hours: int) -> None:
    found: dict[int, float] = {}
    with EmbeddedLog(folder / "log.db") as log:
        clock = prepare(log, symbols, days=3, grace=timedelta(seconds=5))
        orchestrator = beating(log, clock)
        sent, begun = 0, time.perf_counter()
        for hour in range(1, hours + 1):
            sent += send_until(orchestrator, clock, START + hour * 3_600_000)
            found[hour] = resident_mb()
    took = time.perf_counter() - begun
    print(
        f"memory: {symbols:,} symbols, {hours} h of simulated time, {sent:,} markers in {took:.0f} s: "
        f"{found[1]:.0f} MB after 1 h, {found[hours]:.0f} MB after {hours} h, {max(found.values()):.0f} MB at most"
    )


def resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def percentiles(took: list[float]) -> str:
    p50, p99 = np.percentile(took, [50, 99])
    return f"p50 {p50:.0f} ms, p99 {p99:.0f} ms, {max(took):.0f} ms at most ({len(took)} times)"


def measure(name: str, folder: Path, times: int) -> None:
    if name == "takeover":
        for number, said in (
            (signal.SIGKILL, "kill -9; to reach: p99 3 s"),
            (signal.SIGTERM, "SIGTERM; to reach: 1 s"),
        ):
            place = folder / number.name
            place.mkdir()
            print(f"take-over after {said}: {percentiles(takeovers(place, times, number))}", flush=True)
    elif name == "catchup":
        catch_up(folder, 1_000, 1_800)
    elif name == "core":
        core(folder, 100_000, 10)
    else:
        memory(folder, 1_000, 24)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="+", choices=NAMES, default=list(NAMES))
    parser.add_argument("--times", type=int, default=50, help="How many take-overs of each kind.")
    parser.add_argument("--folder", type=Path, default=Path.cwd())
    parser.add_argument("--here", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.here:
        measure(options.only[0], options.here, options.times)
        return
    for name in options.only:
        with tempfile.TemporaryDirectory(dir=options.folder) as folder:
            command = [sys.executable, __file__, "--only", name, "--times", str(options.times), "--here", folder]
            subprocess.run(command, env=environment(), check=True)


if __name__ == "__main__":
    main()
