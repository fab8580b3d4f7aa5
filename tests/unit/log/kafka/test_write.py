from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

import pyarrow as pa
import pytest
from tests.contract.log_contract import VALUE, batch
from tests.unit.log.kafka.support import TOPIC, Schemas

from ashioto.errors import LogError
from ashioto.log.kafka.read import AT, LAST
from ashioto.log.kafka.values import Values
from ashioto.log.kafka.write import Outgoing, appended, prepared, send

if TYPE_CHECKING:
    from confluent_kafka import Producer

    from ashioto.log.base import Batch
    from ashioto.schema.registry import SchemaRegistry

NOW = 10_000
VALUES = Values(cast("SchemaRegistry", Schemas()))


class FakeProducer:
    """Keeps what it is given, and is full every third time."""

    def __init__(self) -> None:
        self.sent: list[tuple[bytes, bytes | None, int, int, dict[str, str]]] = []
        self.polls = self.tries = 0

    def poll(self, _: float) -> None:
        self.polls += 1

    def produce(self, topic: str, value: bytes | None, key: bytes, partition: int, **named: Any) -> None:
        self.tries += 1
        if self.tries % 3 == 0:
            raise BufferError
        assert topic == TOPIC.real
        self.sent.append((key, value, partition, named["timestamp"], dict(named["headers"])))


def sent(*found: Outgoing, in_transaction: bool) -> list[tuple[bytes, bytes | None, int, int, dict[str, str]]]:
    producer = FakeProducer()
    send(cast("Producer", producer), found, in_transaction=in_transaction)
    assert producer.polls
    return producer.sent


def made(one: Batch) -> Outgoing:
    return prepared(TOPIC, one, VALUES, NOW)


def test_only_the_last_record_of_a_partition_in_a_transaction_says_so() -> None:
    batches = [batch("t.ticks", [("a", 1), ("b", 2)]), batch("t.ticks", [("c", 3)], partition=1)]
    found = [made(one) for one in (*batches, batch("t.ticks", [("d", 4)]), batch("t.ticks", []))]
    assert [key for key, *_, headers in sent(*found, in_transaction=True) if LAST in headers] == [b"c", b"d"]
    assert not any(headers for *_, headers in sent(*found, in_transaction=False))


@pytest.mark.parametrize(("x", "at", "told"), [(1, 10, None), (0, 1, "0"), (-3, 1, "-30")])
def test_times_that_kafka_does_not_know_go_beside_it(x: int, at: int, told: str | None) -> None:
    ((_, _, _, time, headers),) = sent(made(batch("t.ticks", [("a", x)])), in_transaction=False)
    assert (time, headers.get(AT)) == (at, told)


def test_deletions_have_no_value() -> None:
    found = made(batch("t.ticks", [("a", 1), ("b", 2)], dead=[True, False]))
    assert [value is None for value in found.values] == [True, False]


def test_a_record_that_is_too_large_is_named_before_anything_is_sent() -> None:
    data = pa.RecordBatch.from_pylist([{"x": 1, "s": "a"}, {"x": 2, "s": "b" * 600}], schema=VALUE)
    with pytest.raises(LogError, match=r"record 1 of a batch for t\.ticks has 6\d\d bytes, and 488 are allowed"):
        made(replace(batch("t.ticks", [("a", 1), ("b", 2)]), data=data))


def test_a_record_ahead_of_the_clock_is_named_before_anything_is_sent() -> None:
    made(batch("t.ticks", [("a", (NOW + 500) // 10)]))
    with pytest.raises(LogError, match=r"record 1 .* is dated 510 ms ahead of the clock, and 500 are allowed"):
        made(batch("t.ticks", [("a", 1), ("b", (NOW + 510) // 10)]))


@pytest.mark.parametrize(
    ("offsets", "end", "wanted"),
    [
        ([5, 6, 7], 9, [(5, 3, 9)]),
        ([5, 6, 7], 12, [(5, 3, 8)]),
        ([5, 7, 8], 10, [(5, 1, 6), (7, 2, 10)]),
        ([], 4, [(4, 0, 4)]),
    ],
)
def test_a_batch_went_where_its_records_did(offsets: list[int], end: int, wanted: list[tuple[int, int, int]]) -> None:
    keys: list[bytes] = [b"k"] * len(offsets)
    one = Outgoing(
        topic=TOPIC, partition=0, keys=keys, values=[b""] * len(keys), times=[1] * len(keys), offsets=offsets
    )
    runs = appended(one, end, in_transaction=True)
    assert [(run.base_offset, run.count, run.next_offset) for run in runs] == wanted


def test_without_a_transaction_nothing_stands_behind_a_record() -> None:
    one = Outgoing(topic=TOPIC, partition=0, keys=[b"k"], values=[b""], times=[1], offsets=[5])
    assert appended(one, 7, in_transaction=False)[0].next_offset == 6
