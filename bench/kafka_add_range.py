"""Measures `add_range` of finished bars into Kafka against the bare producer of the same bytes.

Run as `python bench/kafka_add_range.py [--rows N] [--pieces N] [--concurrency N]`. Both sides take turns piece by piece
in one run. The bare producer is Confluent's with the same settings and no transactions: it gets keys, values and times
that were made before, and does nothing else.
"""

from __future__ import annotations

import argparse
import time
from typing import TYPE_CHECKING, Any

from bars_add import SERIES, bars, recorded, seconds, table_of, trading
from confluent_kafka import Producer
from kafka_world import load, world

from ashioto import BarAddOptions, BarAddReport
from ashioto.deploy.bootstrap import ensure_topics
from ashioto.log.kafka.client import PRODUCER
from ashioto.log.kafka.write import Outgoing, prepared

if TYPE_CHECKING:
    from ashioto.log.kafka import KafkaLog


def outgoing(log: KafkaLog, table: Any) -> list[Outgoing]:
    """Return the records that `add_range` would send."""
    now_ms = time.time_ns() // 1_000_000
    found = [batch for group in recorded(table, log) for batch in group]
    return [prepared(log._topics.find(one.topic), one, log._values, now_ms) for one in found]  # noqa: SLF001


Records = list[tuple[str, int, list[tuple[bytes, bytes | None, int]]]]


def plain(found: list[Outgoing]) -> Records:
    """Return records as a plain producer is given them."""
    columns = [(one, (one.keys.to_pylist(), one.values.to_pylist(), one.times.tolist())) for one in found]
    return [(one.topic.real, one.partition, list(zip(*given, strict=True))) for one, given in columns]


def produce(producer: Producer, records: Records) -> None:
    """Send records as the library wants it, and wait until all have arrived."""
    for real, partition, rows in records:
        for row, (key, value, at) in enumerate(rows):
            while True:
                try:
                    producer.produce(real, value, key, partition, timestamp=at)
                except BufferError:
                    producer.poll(0.1)
                else:
                    break
            if row % 8192 == 0:
                producer.poll(0)
    assert producer.flush(60) == 0


def compare(rows: int, pieces: int, partitions: int, options: BarAddOptions) -> None:
    adds = bares = 0.0
    with world() as there, there.log("add", prefix="add.") as add, there.log("bare", prefix="bare.") as bare:
        for log in (add, bare):
            ensure_topics(log, [trading], partitions=partitions)
        producer = Producer({**PRODUCER, "bootstrap.servers": there.bootstrap})
        table_of(add).add_range(bars(SERIES, piece=pieces, pieces=pieces))
        print(f"{rows:,} bars in {partitions} partitions; {load()}")
        for piece in range(pieces):
            table = bars(rows, piece=piece, pieces=pieces)
            records = plain(outgoing(bare, table))
            bares += seconds(lambda: produce(producer, records))  # noqa: B023  # called here
            adds += seconds(lambda: table_of(add).add_range(table, options))  # noqa: B023  # called here
        again = seconds(lambda: report(table_of(add).add_range(table, options), table.num_rows))
        print(f"add_range: {rows / adds:,.0f} bars/s ({adds:.1f} s)")
        print(f"bare producer of the same bytes: {rows / bares:,.0f} bars/s ({bares:.1f} s)")
        print(f"add_range has {bares / adds:.0%} of the rate of the bare producer; to reach: 80 %; {load()}")
        print(f"added a second time, nothing is written: {table.num_rows / again:,.0f} bars/s")


def report(found: BarAddReport, rows: int) -> None:
    assert found == BarAddReport(skipped=rows), found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--pieces", type=int, default=5)
    parser.add_argument("--partitions", type=int, default=2)
    parser.add_argument("--concurrency", type=int, default=1)
    given = parser.parse_args()
    compare(given.rows, given.pieces, given.partitions, BarAddOptions(concurrency=given.concurrency))


if __name__ == "__main__":
    main()
