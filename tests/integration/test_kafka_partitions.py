"""Keys and partitions are those of Kafka: of its Java class, and of the partitioner that other clients use."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from ashioto import keys
from ashioto.log.partition import murmur2, partition_of
from ashioto.testing.stack import find_java
from ashioto.testing.stack.jars import Jars

if TYPE_CHECKING:
    from confluent_kafka import KafkaError, Message

VECTORS = json.loads((Path(__file__).parents[1] / "golden" / "partitions.json").read_text(encoding="utf-8"))
SOURCE = Path(__file__).with_name("Murmur2.java")
PARTITIONS = 7


def test_kafkas_own_class_still_gives_the_hashes_of_the_vectors(java: None) -> None:
    del java
    if shutil.which("javac") is None:
        pytest.skip("needs a Java that compiles; the partitioner of librdkafka is asked in any case")
    jars = Jars()
    classpath = ":".join(sorted(str(jars.folder("kafka") / jar.name) for jar in jars.files("kafka")))
    said = subprocess.run(
        [find_java().command, "-cp", classpath, str(SOURCE)],
        input="".join(f"{keys.encode(v['parts']).hex()}\n" for v in VECTORS),
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert [int(line) for line in said.stdout.split()] == [v["murmur2"] for v in VECTORS]


def test_a_producer_of_another_program_puts_keys_where_ours_are(kafka: str, unique: str) -> None:
    admin = AdminClient({"bootstrap.servers": kafka})
    admin.create_topics([NewTopic(unique, num_partitions=PARTITIONS, replication_factor=1)])[unique].result(30)
    producer = Producer({"bootstrap.servers": kafka, "partitioner": "murmur2_random"})
    found: dict[bytes, int] = {}

    def told(error: KafkaError | None, message: Message) -> None:
        assert error is None
        key = message.key()
        assert isinstance(key, bytes)
        found[key] = message.partition() or 0

    wanted = [keys.encode(v["parts"]) for v in VECTORS]
    for key in wanted:
        producer.produce(unique, b"x", key, on_delivery=told)
    assert producer.flush(30) == 0
    assert found == {key: partition_of(key, PARTITIONS) for key in wanted}
    assert {key: (murmur2(key) & 0x7FFFFFFF) % PARTITIONS for key in wanted} == found
