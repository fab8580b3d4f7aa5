"""The consumer of columns against Confluent's own, on records of every kind, and what it says of what it cannot do."""

from __future__ import annotations

import json
import random
import threading
import uuid
from typing import TYPE_CHECKING, Any

import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from ashioto.log.kafka.client import CONSUMER
from ashioto.log.kafka.consumer import AT, LAST, STAND_IN_MS, ColumnConsumer

if TYPE_CHECKING:
    from collections.abc import Iterator

Row = tuple[int, int, bytes | None, bytes | None]
BYTES = (None, b"", b"\x00", b"x", b"key", b"\xff" * 300)
COUNT = 3_000


@pytest.fixture(scope="module")
def topic(kafka: str) -> str:
    """A topic with records of every kind: without key or value, with headers, aborted ones, and ends between them."""
    name = f"t{uuid.uuid4().hex}"
    admin = AdminClient({"bootstrap.servers": kafka})
    admin.create_topics([NewTopic(name, 1, 1)])[name].result(30)
    draw = random.Random(20_261_128)  # noqa: S311  # no secret
    producer = Producer({"bootstrap.servers": kafka, "transactional.id": name})
    producer.init_transactions(30)
    sent = 0
    while sent < COUNT:
        producer.begin_transaction()
        size = draw.choice([1, 2, 7, 400])
        for row in range(size):
            at = draw.choice([STAND_IN_MS, 1_700_000_000_000 + row])
            headers: list[Any] = [(AT, str(-row).encode())] if at == STAND_IN_MS and row % 2 else []
            headers += [("other", None)] if row % 3 == 0 else []
            headers += [(LAST, b"")] if row == size - 1 else []
            value = draw.choice([*BYTES, b"v" * draw.randrange(50_000)]) if row % 50 == 0 else draw.choice(BYTES)
            producer.produce(name, value, draw.choice(BYTES), 0, timestamp=at, headers=headers)
        if draw.random() < 0.8:
            producer.commit_transaction(30)
            sent += size
        else:
            producer.flush(30)
            producer.abort_transaction(30)
    return name


@pytest.fixture
def consumer(kafka: str) -> Iterator[ColumnConsumer]:
    made = ColumnConsumer({**CONSUMER, "bootstrap.servers": kafka, "group.id": "columns"})
    yield made
    made.close()


def theirs(bootstrap: str, topic: str) -> tuple[list[Row], int]:
    """Return all records as Confluent's consumer reads them, and where the partition ends."""
    other = Consumer({**CONSUMER, "bootstrap.servers": bootstrap, "group.id": "objects"})
    other.assign([TopicPartition(topic, 0, 0)])
    found: list[Row] = []
    while True:
        for one in other.consume(1_000, 0.2):
            error = one.error()
            if error is not None:
                assert error.code() == KafkaError._PARTITION_EOF
                other.close()
                return found, one.offset() or 0
            found.append((one.offset() or 0, told(one), one.key(), one.value()))


def told(message: Message) -> int:
    at = message.timestamp()[1]
    noted = dict(message.headers() or []).get(AT)
    return int(noted) if at == STAND_IN_MS and noted is not None else at


@pytest.mark.parametrize("most", [1, 7, 100_000])
def test_it_reads_what_the_consumer_of_objects_reads(
    kafka: str, topic: str, consumer: ColumnConsumer, most: int
) -> None:
    expected, end = theirs(kafka, topic)
    assert len(expected) >= COUNT
    consumer.assign(topic, 0, 0)
    found: list[Row] = []
    stop = 0
    while stop < end:
        part = consumer.consume(most, 0.1)
        assert len(part.offsets) <= most
        stop = max(stop, part.stop)
        keys, values = part.keys.to_pylist(), part.values.to_pylist()
        found += zip(part.offsets.tolist(), part.times.tolist(), keys, values, strict=True)
        part.keys.validate(full=True)
        part.values.validate(full=True)
    assert found == expected
    assert stop == end


def test_it_knows_the_last_record_of_an_append(kafka: str, topic: str, consumer: ColumnConsumer) -> None:
    offsets = [row[0] for row in theirs(kafka, topic)[0]]
    lasts = {at for at, after in zip(offsets, [*offsets[1:], -1], strict=True) if after != at + 1}
    consumer.assign(topic, 0, 0)
    for at in offsets[:500]:
        part = consumer.consume(1, 5.0)
        while not len(part.offsets):
            part = consumer.consume(1, 5.0)
        assert part.offsets.tolist() == [at]
        assert part.is_last == (at in lasts)


def test_an_offset_that_is_not_there_is_an_error(kafka: str, topic: str) -> None:
    strict = {**CONSUMER, "bootstrap.servers": kafka, "group.id": "strict", "auto.offset.reset": "error"}
    consumer = ColumnConsumer(strict)
    consumer.assign(topic, 0, 1_000_000)

    def consume() -> None:
        for _ in range(300):
            consumer.consume(1, 0.1)

    with pytest.raises(KafkaException) as caught:
        consume()
    assert caught.value.args[0].code() == KafkaError._AUTO_OFFSET_RESET
    consumer.close()


def test_a_setting_that_is_refused_is_named() -> None:
    with pytest.raises(KafkaException, match=r"no\.such"):
        ColumnConsumer({"no.such": 1})
    with pytest.raises(KafkaException, match="isolation"):
        ColumnConsumer({"isolation.level": "loose"})


def test_troubles_and_statistics_are_told(kafka: str) -> None:
    errors: list[KafkaError] = []
    told: list[str] = []
    settings = {**CONSUMER, "group.id": "told", "statistics.interval.ms": 50, "stats_cb": told.append}
    nobody = ColumnConsumer({**settings, "bootstrap.servers": "127.0.0.1:1", "error_cb": errors.append})
    somebody = ColumnConsumer({**settings, "bootstrap.servers": kafka})
    nobody.assign("x", 0, 0)
    for _ in range(600):
        nobody.consume(1, 0.1)
        somebody.consume(1, 0.0)
        if told and errors:
            break
    nobody.close()
    somebody.close()
    assert errors[0].code() in {KafkaError._TRANSPORT, KafkaError._ALL_BROKERS_DOWN}
    assert json.loads(told[0])["type"] == "consumer"


def test_a_closed_one_leaves_no_thread_behind(kafka: str, topic: str) -> None:
    def threads() -> int:
        from pathlib import Path

        return len(list(Path("/proc/self/task").iterdir()))

    before = threads()
    for _ in range(5):
        one = ColumnConsumer({**CONSUMER, "bootstrap.servers": kafka, "group.id": "many"})
        one.assign(topic, 0, 0)
        one.consume(10, 5.0)
        one.close()
        one.close()
    assert threads() <= before
    assert threading.active_count() <= before
