"""What was committed before a view is in it, also while somebody else's open transaction hides it from readers."""

from __future__ import annotations

import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pytest
from confluent_kafka import KafkaException, Producer
from tests.support_kafka_log import open_kafka_log

from ashioto.errors import LogBusyError
from ashioto.log.base import Batch, TopicSpec

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ashioto.log.kafka import KafkaLog

STATE = TopicSpec(name="state", cleanup="compact", schema=pa.schema({"x": pa.int64()}))


def record(x: int) -> Batch:
    data = pa.RecordBatch.from_pydict({"x": [x]})
    return Batch(topic="state", partition=0, keys=pa.array([b"k"]), timestamps=np.array([1_000]), data=data)


@pytest.fixture
def opened(kafka: str, unique: str) -> Iterator[Producer]:
    """Somebody else, who is to begin a transaction and not to end it."""
    other = Producer({"bootstrap.servers": kafka, "transactional.id": f"{unique}.other", "acks": "all"})
    other.init_transactions(30)
    yield other
    with suppress(KafkaException):  # it was ended already
        other.abort_transaction(30)


def begin(other: Producer, unique: str) -> None:
    other.begin_transaction()
    other.produce(f"{unique}.state", key=b"x", value=None, partition=0)
    assert other.flush(30) == 0


@contextmanager
def hidden(kafka: str, registry: str, unique: str, folder: Path, other: Producer) -> Iterator[KafkaLog]:
    """Open a log whose second record stands behind an open transaction of another."""
    with open_kafka_log(kafka, registry, unique, folder, visible_timeout_s=0.05) as log:
        log.create([STATE])
        log.append([record(1)])
        begin(other, unique)
        log.append([record(2)])
        yield log


def test_a_view_waits_until_nothing_is_hidden(
    kafka: str, registry: str, unique: str, tmp_path: Path, opened: Producer
) -> None:
    with hidden(kafka, registry, unique, tmp_path, opened) as log:
        ends = threading.Timer(0.5, lambda: opened.abort_transaction(30))
        ends.start()
        assert log.view("state").data.to_pylist() == [{"x": 2}]
        ends.join()


def test_who_does_not_wait_sees_what_readers_see_and_knows_how_much_is_hidden(
    kafka: str, registry: str, unique: str, tmp_path: Path, opened: Producer
) -> None:
    with hidden(kafka, registry, unique, tmp_path, opened) as log:
        assert log.view("state", settled=False).data.to_pylist() == [{"x": 1}]
        written = log.end_offsets("state", committed=False)
        assert written[0] == log.end_offsets("state")[0] + 2
        opened.abort_transaction(30)
        assert log.view("state").data.to_pylist() == [{"x": 2}]
        assert log.end_offsets("state")[0] >= written[0], "whoever waits for it gets there"
        assert log.view("state", settled=False).data.to_pylist() == [{"x": 2}]


def test_a_view_that_waits_for_too_long_says_so(
    kafka: str, registry: str, unique: str, tmp_path: Path, opened: Producer
) -> None:
    times = {"transaction_timeout_s": 0.5, "request_timeout_s": 2.0}
    with open_kafka_log(kafka, registry, unique, tmp_path) as log:
        log.create([STATE])
        begin(opened, unique)
    with open_kafka_log(kafka, registry, unique, tmp_path, **times) as log, pytest.raises(LogBusyError, match="hides"):
        log.view("state")
