"""Measures Flink: ticks into bars beside the embedded engine, the delay of final bars, and the size of its state.

Run as `python bench/flink.py [--only NAME ...] [--ticks N] [--frames 1m,5m ...]`; names are rate, delay, state and, if
asked for, soak. All is one run on one broker, one registry and one cluster with two slots and jobs of parallelism two.
For rate and state the ticks are there before a job starts, and both engines read the same topic. A job's time goes from
when Flink calls it RUNNING until every tick is in a bar of every frame that can be read; what planning took is told
apart.
"""

from __future__ import annotations

import argparse
import time
from typing import TYPE_CHECKING

from flink_delay import delay
from flink_soak import soak
from flink_world import Cluster, Load, Run, always_open, bar_topics, cluster, declared, prepare, run, version_of
from kafka_world import load

from ashioto.clock import SystemClock
from ashioto.deploy.bootstrap import ensure_topics
from ashioto.engines.embedded.runner import QueryRunner
from ashioto.engines.embedded.warmup import warm_up

if TYPE_CHECKING:
    import ashioto as ao
    from ashioto.logical.nodes import Query

ALWAYS = "always open: "
FRAMES = ("1m", "1m,5m,1h", "1m,5m,1h,1d,1w,1mo", f"{ALWAYS}1m")
SIX = FRAMES[2]
NAMES = ("rate", "delay", "state", "soak")
INTERVAL_MS = 1_000


def query_of(text: str) -> tuple[ao.Context, Query]:
    """Return the query with frames, of a market with sessions unless the text says otherwise."""
    frames = tuple(text.removeprefix(ALWAYS).split(","))
    return always_open(frames) if text.startswith(ALWAYS) else declared(frames=frames)


def embedded(there: Cluster, prefix: str, text: str, ticks: int) -> float:
    """Make the same bars by the embedded engine, into topics that are made anew; returns seconds."""
    context, plan = query_of(text)
    with there.log(prefix, "embedded") as log:
        log.delete(bar_topics(plan))
        ensure_topics(log, [context], partitions=2)
        warm_up(plan)
        runner = QueryRunner(log, plan, clock=SystemClock())
        begun = time.perf_counter()
        while sum(p.ticks for p in runner.progress) < ticks:
            runner.poll()
        runner.drain()
        return time.perf_counter() - begun


def rate(there: Cluster, number: int, text: str, options: argparse.Namespace) -> None:
    """Print what both engines make of the same ticks."""
    prefix, (context, plan) = f"rate{number}.", query_of(text)
    given = Load(ticks=options.ticks, symbols=options.symbols, rate=options.rate)
    with there.log(prefix, "flink") as log:
        volume = prepare(log, context, plan, given)
        engine = there.engine(log, prefix, interval_ms=INTERVAL_MS)
        found = run(there, log, engine, plan, ticks=given.ticks, volume=volume)
        engine.stop(version_of(plan))
        engine.close()
    alone = embedded(there, prefix, text, given.ticks)
    print_rate(text, given, found, alone)


def print_rate(text: str, given: Load, found: Run, alone: float) -> None:
    """Print a row."""
    flink, mine = given.ticks / found.made, given.ticks / alone
    rest = max(found.made - found.first, 1e-3)
    steady = f"{given.ticks * (1 - found.early) / rest:,.0f}" if found.early < 1 else "-"
    print(
        f"{text:>20}  {flink:>9,.0f}  {steady:>9}  {mine:>9,.0f}  {mine / flink:>5.1f}  {found.planned:>6.1f}  "
        f"{found.first:>6.1f}  {found.made:>6.1f}  {found.committed:>7.1f}  {found.bars:>7,}  {load()}\n"
        f"{'busiest':>20}  {found.busiest}",
        flush=True,
    )


def rates(there: Cluster, options: argparse.Namespace) -> None:
    """Print both engines' rates by frames."""
    print(
        f"{options.ticks:,} ticks of {options.symbols} symbols in 2 partitions, {options.rate:g} a second each; "
        "ticks/s (`after first`: without the time until the first bars), times in s"
    )
    print(f"{'frames':>20}  {'Flink':>9}  after 1st   embedded  ratio  planned  first    made  commit.     bars")
    for number, text in enumerate(options.frames):
        rate(there, number, text, options)


def state(there: Cluster, options: argparse.Namespace) -> None:
    """Print how large a checkpoint is that holds the ticks of some minutes."""
    context, plan = query_of(SIX)
    minutes, symbols = options.state_minutes, options.state_symbols
    given = Load(ticks=minutes * 60 * symbols, symbols=symbols, rate=1.0)
    with there.log("state.", "flink") as log:
        volume = prepare(log, context, plan, given)
        engine = there.engine(log, "state.", interval_ms=5_000)
        found = run(there, log, engine, plan, ticks=given.ticks, volume=volume)
        size, took = there.saved()
        engine.stop(version_of(plan))
        engine.close()
    hour = size * 60 / minutes * 1000 / symbols
    print(
        f"state ({SIX}): {size / 1e6:,.1f} MB after {minutes} minutes of {symbols:,} symbols at 1 tick/s, made in "
        f"{found.made:.0f} s ({given.ticks / found.made:,.0f} ticks/s): {hour / 1e6:,.0f} MB "
        f"an hour and 1,000 symbols, {size / given.ticks:.0f} bytes a tick; saved in {took:,} ms; {load()}\n"
        f"{'busiest':>20}  {found.busiest}",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="+", choices=NAMES, default=NAMES[:-1])
    parser.add_argument("--ticks", type=int, default=1_000_000)
    parser.add_argument("--symbols", type=int, default=100)
    parser.add_argument("--rate", type=float, default=10.0, help="Ticks a second of event time of each symbol.")
    parser.add_argument("--frames", nargs="+", default=FRAMES, help=f"'{ALWAYS}1m' is without sessions.")
    parser.add_argument("--base", default="10s", help="Frame whose final bars are watched.")
    parser.add_argument("--deadlines", type=int, default=6)
    parser.add_argument("--state-minutes", type=int, default=10)
    parser.add_argument("--state-symbols", type=int, default=1_000)
    parser.add_argument("--soak-minutes", type=int, default=10)
    parser.add_argument("--soak-rate", type=float, default=20_000.0, help="Ticks a second of all symbols.")
    parser.add_argument("--heap-mb", type=int, default=2_048, help="Heap of the task manager.")
    parser.add_argument("--set", nargs="+", default=[], help="Settings of jobs to try, NAME=VALUE.")
    parser.add_argument("--keep-state", action="store_true", help="Jobs never forget state: what forgetting costs.")
    options = parser.parse_args()
    given = dict(one.split("=", 1) for one in options.set)
    with cluster(heap_mb=options.heap_mb, given=given, forgets=not options.keep_state) as there:
        if "rate" in options.only:
            rates(there, options)
        if "delay" in options.only:
            delay(there, base=options.base, symbols=20, rate=5.0, interval_ms=INTERVAL_MS, deadlines=options.deadlines)
        if "state" in options.only:
            state(there, options)
        if "soak" in options.only:
            each = options.soak_rate / options.symbols
            soak(
                there, frames=("1m", "5m", "1h"), symbols=options.symbols, rate=each, interval_ms=INTERVAL_MS,
                minutes=options.soak_minutes,
            )  # fmt: skip


if __name__ == "__main__":
    main()
