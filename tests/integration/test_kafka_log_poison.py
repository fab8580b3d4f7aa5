"""Bad records on a real broker: dead letters equal the injected set, and the rest arrives."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
from confluent_kafka import Producer
from tests.contract.log_contract import STATE, TICKS, batch, rows_at, slices_of, xs_of
from tests.support_kafka_log import open_kafka_log

from ashioto.errors import LogError
from ashioto.log.base import TopicSpec
from ashioto.log.dead_letters import DEAD_LETTERS, DEAD_SCHEMA
from ashioto.schema.framing import frame_prefix

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ashioto.log.kafka import KafkaLog

BURIED = TopicSpec(name=DEAD_LETTERS, schema=DEAD_SCHEMA)
MARKERS = TopicSpec(name="t.ticks_hb", schema=TICKS.schema)
HUGE = b"\x00" + b"x" * 900_000


@pytest.fixture
def log(kafka: str, registry: str, unique: str, tmp_path: Path) -> Iterator[KafkaLog]:
    with open_kafka_log(kafka, registry, unique, tmp_path) as log:
        log.create([TICKS, STATE, BURIED])
        yield log


def put_raw(log: KafkaLog, topic: str, records: list[tuple[bytes | None, bytes | None]]) -> None:
    """Write records as any other client may."""
    producer = Producer({"bootstrap.servers": log.options.bootstrap, "acks": "all"})
    for key, value in records:
        producer.produce(log.options.prefix + topic, value, key, 0, timestamp=1_000)
    assert producer.flush(20) == 0


def good_value(log: KafkaLog, x: int) -> bytes:
    topic = log._topics.find("t.ticks")
    (value,) = log._values.encode(topic, batch("t.ticks", [("raw", x)]).data).to_pylist()
    assert isinstance(value, bytes)
    return value


def letters(log: KafkaLog) -> list[tuple[str, int, int, bytes | None, bytes | None]]:
    return [
        (row["source_topic"], row["source_partition"], row["source_offset"], row["record_key"], row["value"])
        for row in rows_at(log, DEAD_LETTERS).values()
    ]


def test_dead_letters_are_what_was_injected_and_the_rest_arrives(log: KafkaLog) -> None:
    good = good_value(log, 5)
    bad: list[tuple[bytes | None, bytes | None]] = [
        (b"truncated", good[:-1]),
        (b"trailing", good + b"\x00"),
        (b"unknown schema", frame_prefix(2_000_000_000) + good[5:]),
        (b"no number of a schema", frame_prefix(2**32 - 1) + good[5:]),
        (b"wrong magic", b"\x01" + good[1:]),
        (b"empty", b""),
        (b"huge", HUGE),
        (None, good),
    ]
    log.append([batch("t.ticks", [("a", 1), ("a", 2)])])
    at = log.end_offsets("t.ticks")[0]
    for number, one in enumerate(bad):
        put_raw(log, "t.ticks", [one, (b"k", good_value(log, 10 + number))])
    put_raw(log, "t.ticks", [(b"gone", None)])
    log.append([batch("t.ticks", [("a", 3)])])
    wanted = [("t.ticks", 0, at + 2 * number, *one) for number, one in enumerate(bad)]
    for _ in range(2):
        found = rows_at(log, "t.ticks")
        assert [row["x"] for row in found.values()] == [1, 2, *range(10, 10 + len(bad)), None, 3]
        assert [row["@"] for row in found.values() if row["@dead"]] == [b"gone"]
        assert letters(log) == wanted
    reasons = [row["reason"] for row in rows_at(log, DEAD_LETTERS).values()]
    assert all(reasons)
    assert len(set(reasons)) >= 5


def test_a_view_keeps_what_could_be_read_last(log: KafkaLog) -> None:
    log.append([batch("t.state", [("a", 1), ("b", 2)])])
    put_raw(log, "t.state", [(b"a", b"nonsense"), (b"b", None)])
    page = log.view("t.state")
    assert (page.keys, page.data.column("x").to_pylist()) == ([b"a"], [1])
    assert [(topic, value) for topic, *_, value in letters(log)] == [("t.state", b"nonsense")]


def test_a_reader_without_dead_letters_goes_on_all_the_same(
    kafka: str, registry: str, unique: str, tmp_path: Path
) -> None:
    with open_kafka_log(kafka, registry, unique, tmp_path) as log:  # there is no topic of dead letters
        log.create([TICKS])
        put_raw(log, "t.ticks", [(b"a", b"nonsense")])
        log.append([batch("t.ticks", [("a", 1)])])
        assert xs_of(log, "t.ticks") == [1]
    with open_kafka_log(kafka, registry, unique, tmp_path, dead_letters=False) as log:
        log.create([BURIED])
        assert xs_of(log, "t.ticks") == [1]
        assert letters(log) == []


def test_only_bad_records_are_passed_over(log: KafkaLog) -> None:
    put_raw(log, "t.ticks", [(b"a", b"nonsense")] * 3)
    assert [(part.next_offset, len(part.keys)) for part in slices_of(log, "t.ticks")] == [(3, 0)]


def test_a_marker_ahead_of_the_clock_is_refused_and_nothing_of_its_append_written(log: KafkaLog) -> None:
    log.create([MARKERS])
    ahead = int(time.time() * 1000) + 120_000
    with pytest.raises(LogError, match="ahead of the clock"):
        log.append([batch("t.ticks", [("a", 1)]), batch("t.ticks_hb", [("a", ahead // 10)])])
    log.append([batch("t.ticks", [("far", ahead)])])
    assert (xs_of(log, "t.ticks"), xs_of(log, "t.ticks_hb")) == ([ahead], [])


def test_a_record_that_is_too_large_is_refused_and_nothing_of_its_append_written(log: KafkaLog) -> None:
    with pytest.raises(LogError, match="are allowed"):
        log.append([batch("t.ticks", [("a", 1)]), batch("t.state", [("k" * 1_000_000, 1)])])
    assert xs_of(log, "t.ticks") == []
