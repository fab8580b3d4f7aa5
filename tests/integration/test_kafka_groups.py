"""What consumer groups of others have read, on a real broker."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pytest
from confluent_kafka import Consumer, TopicPartition
from tests.support_kafka_log import open_kafka_log

from ashioto.engines.sql.reading import Reading
from ashioto.errors import UnknownTopicError
from ashioto.log.base import Batch, TopicSpec
from ashioto.log.groups import GroupOffsets

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ashioto.log.kafka import KafkaLog

SCHEMA = pa.schema({"n": pa.int64()})


@pytest.fixture
def log(kafka: str, registry: str, unique: str, tmp_path: Path) -> Iterator[KafkaLog]:
    with open_kafka_log(kafka, registry, unique, tmp_path) as opened:
        opened.create([TopicSpec(name="ticks", partitions=2, schema=SCHEMA)])
        yield opened


def batch(partition: int, count: int) -> Batch:
    """Return ticks."""
    data = pa.RecordBatch.from_pylist([{"n": n} for n in range(count)], schema=SCHEMA)
    keys = pa.array([b"k"] * count, pa.binary())
    times = np.arange(count, dtype=np.int64)
    return Batch(topic="ticks", partition=partition, keys=keys, timestamps=times, data=data)


def test_what_a_group_has_read_is_known_and_forgotten(log: KafkaLog, kafka: str, unique: str) -> None:
    assert isinstance(log, GroupOffsets)
    group = f"{unique}.query"
    assert log.committed(group, "ticks") == {}
    log.forget(group)
    log.append([batch(0, 3)])
    reader = Consumer({"bootstrap.servers": kafka, "group.id": group})
    reader.commit(offsets=[TopicPartition(f"{unique}.ticks", 0, 2)], asynchronous=False)
    reader.close()
    assert log.committed(group, "ticks") == {0: 2}
    log.forget(group)
    assert log.committed(group, "ticks") == {}
    with pytest.raises(UnknownTopicError):
        log.committed(group, "none")


def test_the_end_of_a_transaction_needs_no_reading(log: KafkaLog, kafka: str, unique: str) -> None:
    group = f"{unique}.query"
    log.append([batch(0, 3), batch(1, 2)])
    assert log.end_offsets("ticks") == {0: 4, 1: 3}, "several partitions are written in one transaction"
    reader = Consumer({"bootstrap.servers": kafka, "group.id": group})
    places = [TopicPartition(f"{unique}.ticks", 0, 3), TopicPartition(f"{unique}.ticks", 1, 1)]
    reader.commit(offsets=places, asynchronous=False)
    reader.close()
    assert Reading(log).cuts(group, "ticks") == {0: 4, 1: 1}
