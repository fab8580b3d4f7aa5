"""The producer of columns, read by Confluent's consumer, and what it says of what it cannot do."""

from __future__ import annotations

import random
import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic
from tests.unit.log.kafka.support import TOPIC

from ashioto.log.kafka.client import CONSUMER, PRODUCER
from ashioto.log.kafka.consumer import AT, LAST, STAND_IN_MS
from ashioto.log.kafka.producer import ColumnProducer
from ashioto.log.kafka.write import Outgoing, send

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ashioto.log.kafka.topics import Topic

Row = tuple[int, bytes, bytes | None, int, dict[str, bytes | None]]
BYTES = (b"", b"\x00", b"x", b"key", b"\xff" * 300, b"v" * 70_000)


@pytest.fixture
def topic(kafka: str, unique: str) -> Topic:
    admin = AdminClient({"bootstrap.servers": kafka})
    admin.create_topics([NewTopic(unique, 2, 1)])[unique].result(30)
    return replace(TOPIC, real=unique)


@pytest.fixture
def made(kafka: str) -> Iterator[Callable[..., ColumnProducer]]:
    """Makes producers."""
    every: list[ColumnProducer] = []

    def make(**settings: Any) -> ColumnProducer:
        settings = {name.replace("_", "."): value for name, value in settings.items()}
        every.append(ColumnProducer({**PRODUCER, "bootstrap.servers": kafka, **settings}))
        return every[-1]

    yield make
    for one in every:
        one.close()


def records(
    topic: Topic, keys: list[bytes], values: list[bytes | None], times: list[int], partition: int = 0
) -> Outgoing:
    return Outgoing(
        topic=topic, partition=partition, keys=pa.array(keys, pa.binary()), values=pa.array(values, pa.large_binary()),
        times=np.array(times, dtype=np.int64),
    )  # fmt: skip


def some(topic: Topic, rows: int, partition: int = 0) -> Outgoing:
    return records(topic, [b"k"] * rows, [b"v"] * rows, list(range(1_000, 1_000 + rows)), partition)


def read(bootstrap: str, topic: Topic, partition: int = 0) -> list[Row]:
    """Return what Confluent's consumer reads."""
    consumer = Consumer({**CONSUMER, "bootstrap.servers": bootstrap, "group.id": "objects"})
    consumer.assign([TopicPartition(topic.real, partition, 0)])
    found: list[Row] = []
    while True:
        for one in consumer.consume(1_000, 0.2):
            error = one.error()
            if error is not None:
                assert error.code() == KafkaError._PARTITION_EOF
                consumer.close()
                return found
            headers = dict(one.headers() or [])
            found.append((one.offset() or 0, one.key() or b"", one.value(), one.timestamp()[1], headers))  # type: ignore[arg-type]


def test_what_it_sends_is_what_another_client_reads(
    kafka: str, topic: Topic, made: Callable[..., ColumnProducer]
) -> None:
    draw = random.Random(20_261_128)  # noqa: S311  # no secret
    producer = made(transactional_id=topic.real)
    producer.init_transactions(30)
    sent: list[tuple[bytes, bytes | None, int]] = []
    offsets: list[int] = []
    lasts = 0
    for size in (1, 2, 40, 3_000):
        keys = [draw.choice(BYTES[:5]) for _ in range(size)]
        values = [draw.choice([None, *BYTES]) if row % 40 == 0 else draw.choice(BYTES[:4]) for row in range(size)]
        times = [draw.choice([-5, 0, STAND_IN_MS, 2, 1_700_000_000_000]) if row < 50 else row for row in range(size)]
        whole = records(topic, [b"left", *keys], [b"out", *values], [9, *times])
        one = Outgoing(topic=topic, partition=0, keys=whole.keys[1:], values=whole.values[1:], times=whole.times[1:])
        producer.begin_transaction()
        send(producer, [one, some(topic, 5, 1)], in_transaction=True)
        assert producer.flush(30) == 0
        producer.commit_transaction(30)
        assert one.arrived
        offsets += one.offsets.tolist()
        sent += zip(keys, values, times, strict=True)
        lasts += 1
    found = read(kafka, topic)
    assert [row[0] for row in found] == offsets
    told = [int(headers.get(AT) or at) if at == STAND_IN_MS else at for *_, at, headers in found]
    assert [(key, value, at) for (_, key, value, _, _), at in zip(found, told, strict=True)] == sent
    assert sum(LAST in headers for *_, headers in found) == lasts
    assert len(read(kafka, topic, 1)) == 5 * lasts


def test_a_full_queue_is_waited_for(kafka: str, topic: Topic, made: Callable[..., ColumnProducer]) -> None:
    producer = made(queue_buffering_max_messages=500)
    one = some(topic, 20_000)
    producer.send(one, {})
    assert producer.flush(30) == 0
    assert one.offsets.tolist() == list(range(20_000)) == [row[0] for row in read(kafka, topic)]


def test_threads_may_send_at_once(kafka: str, topic: Topic, made: Callable[..., ColumnProducer]) -> None:
    producer = made(linger_ms=0)
    batches = [some(topic, 1 + number % 3) for number in range(60)]

    def work(mine: list[Outgoing]) -> None:
        for one in mine:
            producer.send(one, {})
            producer.flush(30)
            assert one.arrived

    threads = [threading.Thread(target=work, args=(batches[number::4],)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(one.arrived for one in batches)
    assert sorted(at for one in batches for at in one.offsets) == [row[0] for row in read(kafka, topic)]


def test_one_that_another_has_replaced_says_so(topic: Topic, made: Callable[..., ColumnProducer]) -> None:
    older, newer = made(transactional_id=topic.real), made(transactional_id=topic.real)
    older.init_transactions(30)
    newer.init_transactions(30)
    older.begin_transaction()
    one = some(topic, 3)
    older.send(one, {})
    older.flush(30)
    assert not one.arrived
    assert older.spoilt is not None
    assert older.spoilt.code() in {KafkaError._FENCED, KafkaError.INVALID_PRODUCER_EPOCH, KafkaError.PRODUCER_FENCED}
    newer.begin_transaction()
    assert newer.spoilt is None
    newer.send(one.again(), {})
    assert newer.flush(30) == 0
    newer.commit_transaction(30)


def test_what_does_not_arrive_is_counted_and_given_up(topic: Topic) -> None:
    producer = ColumnProducer({**PRODUCER, "bootstrap.servers": "127.0.0.1:1"})
    one = some(topic, 3)
    producer.send(one, {})
    assert producer.flush(0.1) == 3
    producer.purge()
    assert producer.flush(5.0) == 0
    assert one.failed is not None
    assert one.failed.code() == KafkaError._PURGE_QUEUE
    assert not one.arrived
    producer.close()
    producer.close()


def test_transactions_out_of_order_are_errors(topic: Topic, made: Callable[..., ColumnProducer]) -> None:
    producer = made(transactional_id=topic.real)
    with pytest.raises(KafkaException) as caught:
        producer.begin_transaction()
    assert caught.value.args[0].code() == KafkaError._STATE


def test_a_topic_that_is_not_there_fails_its_records(kafka: str, unique: str) -> None:
    settings = {**PRODUCER, "bootstrap.servers": kafka, "topic.metadata.propagation.max.ms": 100}
    producer = ColumnProducer({**settings, "message.timeout.ms": 2_000})
    one = some(replace(TOPIC, real=unique), 2)
    producer.send(one, {})
    assert producer.flush(30) == 0
    assert one.failed is not None
    assert one.failed.code() in {KafkaError._UNKNOWN_TOPIC, KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._MSG_TIMED_OUT}
    producer.close()
