"""Measures how long a heartbeat on Kafka takes to send what was due while nobody was active, against a bare producer.

Run as `python bench/kafka_catch_up.py [--symbols N] [--minutes N]`; there are two markers a minute of each symbol. The
bare producer sends as many bytes in transactions of the same size, with the same settings.
"""

from __future__ import annotations

import argparse
import time
from datetime import date, timedelta
from typing import TYPE_CHECKING, Final

from confluent_kafka import Producer
from kafka_world import load, world
from market import declared, schedule_batch

from ashioto.clock import ManualClock
from ashioto.control.roles import heartbeat_role
from ashioto.control.specs import derive_spec, spec_batch
from ashioto.deploy.bootstrap import ensure_topics
from ashioto.heartbeat.options import HeartbeatOptions
from ashioto.heartbeat.orchestrator import Orchestrator
from ashioto.log.base import Fence
from ashioto.log.kafka.client import PRODUCER
from ashioto.schedule.calendars import calendar_sessions

if TYPE_CHECKING:
    from ashioto.log.kafka import KafkaLog

ENV: Final = ("dev", "local")
MINUTE: Final = 60_000
START: Final = 1_710_115_200_000
"""2024-03-11, a Monday, midnight UTC."""
BEATS: Final = "bench.rate_hb"


def prepare(log: KafkaLog, symbols: int, partitions: int) -> None:
    context, plan = declared(frames=("1m",), grace=timedelta(0))
    ensure_topics(log, [context], partitions=partitions)
    first = date(2024, 3, 11)
    log.append([schedule_batch(symbols, calendar_sessions("24x7", first, first + timedelta(days=5)))])
    log.append([spec_batch(ENV, [derive_spec(plan, version=1, updated_ms=START)])])


def caught_up(log: KafkaLog, count: int, minutes: int) -> tuple[float, float, int]:
    """Send everything; returns seconds, the longest step, and how many were sent."""
    clock = ManualClock(START + minutes * MINUTE)
    orchestrator = Orchestrator(log, env=ENV, context="bench", clock=clock)
    begun, sent, longest = time.perf_counter(), 0, 0.0
    orchestrator.promote(Fence(name=heartbeat_role(ENV, "bench"), epoch=1), "bench")
    while sent < count:
        at = time.perf_counter()
        sent += orchestrator.step()
        longest = max(longest, time.perf_counter() - at)
    return time.perf_counter() - begun, longest, sent


def bare(log: KafkaLog, bootstrap: str, limit: int) -> tuple[float, int]:
    """Send the first markers again to a topic of their own, in transactions; returns seconds and how many."""
    size = HeartbeatOptions().max_rows
    producer = Producer({**PRODUCER, "bootstrap.servers": bootstrap, "transactional.id": "bare"})
    producer.init_transactions(30)
    wall, count, at = 0.0, 0, 0
    topic = log._topics.find(BEATS)  # noqa: SLF001
    while count < limit and (part := log.read(BEATS, 0, at, max_rows=size)) is not None:
        at, keys = part.next_offset, part.keys.to_pylist()
        values, times = log._values.encode(topic, part.data), part.timestamps.tolist()  # noqa: SLF001
        begun = time.perf_counter()
        producer.begin_transaction()
        for key, value, when in zip(keys, values, times, strict=True):
            producer.produce("bare", value, key, 0, timestamp=when)
        producer.commit_transaction(60)
        wall, count = wall + time.perf_counter() - begun, count + len(keys)
    return wall, count


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--symbols", type=int, default=1_000)
    parser.add_argument("--minutes", type=int, default=1_800)
    parser.add_argument("--partitions", type=int, default=2)
    options = parser.parse_args()
    wanted = 2 * options.symbols * options.minutes
    with world(settings={"auto.create.topics.enable": "true"}) as there, there.log(topic_ttl_s=600.0) as log:
        prepare(log, options.symbols, options.partitions)
        print(f"{options.symbols:,} symbols, {options.minutes:,} minutes, {options.partitions} partitions; {load()}")
        took, longest, sent = caught_up(log, wanted, options.minutes)
        print(
            f"catch-up: {sent:,} markers in {took:.1f} s, {sent / took:,.0f}/s, longest step {longest * 1000:.0f} ms; "
            f"to reach: 3.6 M in 60 s; {load()}", flush=True,
        )  # fmt: skip
        alone, count = bare(log, there.bootstrap, sent // 4)
        rate = count / alone
        share = sent / took / rate
        print(f"bare producer, {count:,} of them again: {rate:,.0f}/s; the heartbeat has {share:.0%} of it; {load()}")


if __name__ == "__main__":
    main()
