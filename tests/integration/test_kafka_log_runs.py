"""What stands between records on a real broker: other writers, ends of transactions, and aborted ones."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest
from confluent_kafka import Producer
from tests.contract.log_contract import STATE, TICKS, batch, rows_at, slices_of, xs_of
from tests.support_kafka_log import open_kafka_log

from ashioto.errors import UnknownTopicError
from ashioto.log.kafka.blocks import PartitionReader

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ashioto.log.kafka import KafkaLog
    from ashioto.log.kafka.view import Record


@pytest.fixture
def log(kafka: str, registry: str, unique: str, tmp_path: Path) -> Iterator[KafkaLog]:
    with open_kafka_log(kafka, registry, unique, tmp_path) as log:
        log.create([TICKS, STATE])
        yield log


@pytest.fixture
def other(kafka: str, registry: str, unique: str, tmp_path: Path, log: KafkaLog) -> Iterator[KafkaLog]:
    """A second log in the same world, which shares the files of the views."""
    del log
    with open_kafka_log(kafka, registry, unique, tmp_path, topic_ttl_s=0.0) as other:
        yield other


def transaction(log: KafkaLog, name: str) -> Producer:
    producer = Producer({"bootstrap.servers": log.options.bootstrap, "transactional.id": log.options.prefix + name})
    producer.init_transactions(20)
    producer.begin_transaction()
    return producer


def test_aborted_records_are_passed_over_wherever_they_stand(log: KafkaLog) -> None:
    for x in range(3):
        producer = transaction(log, "other")
        producer.produce(log.options.prefix + "t.ticks", b"never", b"k", 0)
        producer.flush(20)
        producer.abort_transaction(20)
        log.append([batch("t.ticks", [("a", x), ("b", x)])])
    producer = transaction(log, "other")
    producer.produce(log.options.prefix + "t.ticks", b"never", b"k", 0)
    producer.flush(20)
    producer.abort_transaction(20)
    assert xs_of(log, "t.ticks") == [0, 0, 1, 1, 2, 2]
    parts = slices_of(log, "t.ticks")
    assert parts[-1].next_offset == log.end_offsets("t.ticks")[0]
    assert [len(part.keys) for part in parts if len(part.keys)] == [2, 2, 2]


def test_an_open_transaction_of_another_hides_what_comes_after_it_until_it_ends(log: KafkaLog) -> None:
    producer = transaction(log, "other")
    producer.produce(log.options.prefix + "t.ticks", b"never", b"k", 0)
    assert producer.flush(20) == 0
    done = log.append([batch("t.ticks", [("a", 1), ("b", 2)])])
    assert [(one.base_offset, one.count) for one in done] == [(1, 2)]
    assert (log.end_offsets("t.ticks")[0], log.read("t.ticks", 0, 0)) == (0, None)
    producer.abort_transaction(20)
    log._ends.wait({("t.ticks", 0): 2}, {"t.ticks": log._topics.find("t.ticks")}, 20)
    assert xs_of(log, "t.ticks") == [1, 2]


def test_records_of_two_writers_at_once_are_told_apart_by_their_runs(log: KafkaLog, other: KafkaLog) -> None:
    rows, rounds = 30_000, 3
    runs: dict[str, list[tuple[int, int, int]]] = {"a": [], "b": []}
    start = threading.Barrier(2, timeout=60)

    def write(name: str, mine: KafkaLog) -> None:
        for number in range(rounds):
            start.wait()
            done = mine.append([batch("t.ticks", [(name, number * rows + n) for n in range(rows)])])
            assert sum(one.count for one in done) == rows
            at = number * rows
            for one in done:
                runs[name].append((one.base_offset, one.count, at))
                at += one.count

    threads = [threading.Thread(target=write, args=pair) for pair in (("a", log), ("b", other))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = rows_at(log, "t.ticks")
    assert len(found) == 2 * rounds * rows
    assert sum(len(one) for one in runs.values()) > 2 * rounds  # some came in between the others
    for name, places in runs.items():
        for base, count, first in places:
            got = [(found[base + n]["@"], found[base + n]["x"]) for n in range(count)]
            assert got == [(name.encode(), first + n) for n in range(count)]


def test_two_logs_on_one_cache_see_each_other_at_once(log: KafkaLog, other: KafkaLog) -> None:
    for x in range(10):
        writer, reader = (log, other) if x % 2 else (other, log)
        writer.append([batch("t.state", [(f"k{x % 3}", x), ("z", x)], dead=[x % 4 == 3, False])])
        for one in (reader, writer):
            page = one.view("t.state")
            assert page.data.column("x").to_pylist()[-1] == x
    assert log.view("t.state").keys == other.view("t.state").keys == [b"k0", b"k2", b"z"]


def test_a_topic_that_another_has_deleted_and_made_again_is_noticed(log: KafkaLog, other: KafkaLog) -> None:
    log.append([batch("t.state", [("a", 1), ("b", 2)]), batch("t.ticks", [("a", 1)])])
    assert (other.view("t.state").keys, xs_of(other, "t.ticks")) == ([b"a", b"b"], [1])
    log.delete(["t.state", "t.ticks"])
    with pytest.raises(UnknownTopicError):
        other.view("t.state")
    with pytest.raises(UnknownTopicError):
        other.append([batch("t.ticks", [("a", 2)])])
    log.create([STATE, TICKS])
    assert (other.view("t.state").keys, xs_of(other, "t.ticks")) == ([], [])
    log.append([batch("t.state", [("c", 3)]), batch("t.ticks", [("c", 3)])])
    assert (other.view("t.state").keys, xs_of(other, "t.ticks")) == ([b"c"], [3])


@pytest.fixture
def fetched(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The offsets that views have fetched."""
    met: list[int] = []
    inner = PartitionReader.records

    def counting(*given: Any) -> tuple[list[Record], int]:
        found = inner(*given)
        met.extend(at for _, at, _, _ in found[0])
        return found

    monkeypatch.setattr(PartitionReader, "records", counting)
    return met


def test_a_log_that_was_opened_again_goes_on_from_its_cache(
    log: KafkaLog, kafka: str, registry: str, unique: str, tmp_path: Path, fetched: list[int]
) -> None:
    log.append([batch("t.state", [(f"k{x}", x) for x in range(50)])])
    log.view("t.state")
    for x in (600, 700):  # nobody looks in between
        log.append([batch("t.state", [("k7", x)])])
    del fetched[:]
    with open_kafka_log(kafka, registry, unique, tmp_path) as again:
        page = again.view("t.state", start=b"k7", limit=1)
    assert (page.keys, page.data.column("x").to_pylist(), len(fetched)) == ([b"k7"], [700], 1)


def test_what_a_log_wrote_between_two_looks_is_not_fetched_again(
    log: KafkaLog, other: KafkaLog, fetched: list[int]
) -> None:
    for x in range(5):
        assert log.view("t.state").data.column("x").to_pylist() == ([x - 1, x - 1] if x else [])
        log.append([batch("t.state", [("a", x), ("b", x)])])
    log.append([batch("t.state", [("a", 0)], dead=[True])])
    assert [(r["s"], r["x"]) for r in log.view("t.state").data.to_pylist()] == [("b", 4)]
    assert len(fetched) == 1  # the deletion, which nobody had looked before
    other.append([batch("t.state", [("c", 9), ("b", 9)])])
    log.append([batch("t.state", [("b", 10), ("d", 10)])])
    page = log.view("t.state")
    assert (page.keys, page.data.column("x").to_pylist()) == ([b"b", b"c", b"d"], [10, 9, 10])
