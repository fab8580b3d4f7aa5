"""Sends ticks for minutes and tells, minute by minute, how far a job on Flink is behind and how much state it keeps."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pyarrow.compute as pc
from flink_delay import ticking
from flink_world import PARTITIONS, PATIENCE_S, SOURCE, bar_topics, open_market, version_of
from kafka_world import load
from market import declared

from ashioto.clock import SystemClock
from ashioto.deploy.bootstrap import wanted_topics

if TYPE_CHECKING:
    from flink_world import Cluster

PREFIX = "soak."
SECONDS = 60


def soak(there: Cluster, *, frames: tuple[str, ...], symbols: int, rate: float, interval_ms: int, minutes: int) -> None:
    """Print a line a minute, and in the end whether every tick is in a bar of every frame."""
    clock = SystemClock()
    context, plan = declared(frames=frames)
    print(f"{symbols:,} symbols at {rate:g} ticks/s into {','.join(frames)}, saved every {interval_ms} ms")
    print(f"{'minute':>8}  {'sent':>10}  {'behind':>8}  {'state MB':>8}  saved in ms")
    with there.log(PREFIX, "ticks") as log:
        log.create(wanted_topics([context], partitions=PARTITIONS, in_sql=True))
        open_market(log, plan, symbols, datetime.now(UTC).date(), days=3)
        engine, version = there.engine(log, PREFIX, interval_ms=interval_ms), version_of(plan)
        engine.register(version)
        with ticking(log, symbols, rate) as ticks:
            for minute in range(1, minutes + 1):
                for _ in range(SECONDS):  # what is read counts when it is asked for again, after a later checkpoint
                    clock.sleep(1.0)
                    read = sum((engine.progress(version) or {}).values())
                sent = sum(log.end_offsets(SOURCE).values())
                size, took = there.saved()
                print(f"{minute:>8}  {sent:>10,}  {sent - read:>8,}  {size / 1e6:>8,.1f}  {took:,}", flush=True)
        sent, until = sum(ticks), clock.monotonic() + PATIENCE_S
        while {pc.sum(log.view(topic).data.column("ticks")).as_py() for topic in bar_topics(plan)} != {sent}:
            assert clock.monotonic() < until, "ticks are missing"
            clock.sleep(0.1)
        print(f"every one of {sent:,} ticks is in a bar of every frame; {load()}", flush=True)
        engine.stop(version)
        engine.close()
