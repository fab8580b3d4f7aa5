from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, cast

import numpy as np
import pyarrow as pa
import pytest
from tests.contract.log_contract import VALUE, batch
from tests.unit.log.kafka.support import TOPIC, Schemas

from ashioto.errors import LogError
from ashioto.log.kafka.consumer import AT, LAST
from ashioto.log.kafka.values import Values
from ashioto.log.kafka.write import Outgoing, appended, prepared, send

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ashioto.log.base import Batch
    from ashioto.log.kafka.producer import ColumnProducer
    from ashioto.schema.registry import SchemaRegistry

NOW = 10_000
VALUES = Values(cast("SchemaRegistry", Schemas()))


Sent = tuple[bytes, bytes | None, int, int, dict[str, str]]


class FakeProducer:
    """Keeps what it is given."""

    def __init__(self) -> None:
        self.sent: list[Sent] = []

    def send(self, one: Outgoing, special: Mapping[int, Sequence[tuple[bytes, bytes]]]) -> None:
        assert one.topic.real == TOPIC.real
        keys, values, times = one.keys.to_pylist(), one.values.to_pylist(), one.raw().times.tolist()
        for row, (key, value, at) in enumerate(zip(keys, values, times, strict=True)):
            headers = {name.decode(): told.decode() for name, told in special.get(row, ())}
            self.sent.append((key, value, one.partition, at, headers))


def sent(*found: Outgoing, in_transaction: bool) -> list[Sent]:
    producer = FakeProducer()
    send(cast("ColumnProducer", producer), found, in_transaction=in_transaction)
    return producer.sent


def made(one: Batch) -> Outgoing:
    return prepared(TOPIC, one, VALUES, NOW)


def arrived(offsets: list[int]) -> Outgoing:
    one = made(batch("t.ticks", [("k", 1)] * len(offsets)))
    one.take(np.array(offsets, dtype=np.int64), one.times)
    assert one.arrived
    return one


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
    assert found.values.is_null().to_pylist() == [True, False]


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
    one = arrived(offsets)
    runs = appended(one, end, in_transaction=True)
    assert [(run.base_offset, run.count, run.next_offset) for run in runs] == wanted


def test_without_a_transaction_nothing_stands_behind_a_record() -> None:
    assert appended(arrived([5]), 7, in_transaction=False)[0].next_offset == 6
