from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pytest
from tests.support_flink_server import GroupLog

from ashioto.engines.sql.reading import Reading
from ashioto.errors import UnknownTopicError
from ashioto.log.base import Batch, Slice, TopicSpec

if TYPE_CHECKING:
    from ashioto.log.base import TopicInfo

SCHEMA = pa.schema({"n": pa.int64()})


class Ticks(GroupLog):
    """A log with a topic of two partitions; offsets that are `hollow` hold no record."""

    def __init__(self) -> None:
        super().__init__()
        self.create([TopicSpec(name="ticks", partitions=2, schema=SCHEMA)])
        self.starts: dict[int, int] = {}
        self.hollow: set[tuple[int, int]] = set()
        self.reads = 0

    def describe(self, topic: str) -> TopicInfo:
        """Return the topic, which may have lost its beginning."""
        info = super().describe(topic)
        return replace(info, start_offsets=info.start_offsets | self.starts)

    def read(self, topic: str, partition: int, offset: int, *, max_rows: int = 262_144) -> Slice | None:
        """Return records, those left out that are hollow."""
        self.reads += 1
        found = super().read(topic, partition, offset, max_rows=max_rows)
        if found is None or (partition, offset) not in self.hollow:
            return found
        return replace(found, keys=found.keys[:0], timestamps=found.timestamps[:0], data=found.data[:0],
                       next_offset=offset + 1)  # fmt: skip

    def send(self, partition: int, *times: int) -> None:
        """Append records."""
        data = pa.RecordBatch.from_pylist([{"n": at} for at in times], schema=SCHEMA)
        keys = pa.array([b"k"] * len(times), pa.binary())
        self.append([Batch(topic="ticks", partition=partition, keys=keys,
                           timestamps=np.array(times, dtype=np.int64), data=data)])  # fmt: skip


@pytest.fixture
def log() -> Ticks:
    made = Ticks()
    made.send(0, 1, 2, 3, 4)
    made.send(1, 10, 20)
    return made


def test_a_group_that_has_said_nothing_has_not_begun(log: Ticks) -> None:
    assert Reading(log).cuts("g", "ticks") is None


def test_what_a_group_has_not_said_is_unread_from_where_the_topic_begins(log: Ticks) -> None:
    log.groups["g"] = {0: 3}
    log.starts = {1: 1}
    assert Reading(log).cuts("g", "ticks") == {0: 3, 1: 1}
    assert Reading(log).unread("ticks", {0: 3, 1: 1}) == 2
    log.starts = {0: 4, 1: 2}
    assert Reading(log).cuts("g", "ticks") == {0: 4, 1: 2}


def test_ends_of_transactions_need_no_reading(log: Ticks) -> None:
    log.groups["g"] = {0: 2, 1: 1}
    log.hollow = {(0, 2), (0, 3)}
    reading = Reading(log)
    assert reading.cuts("g", "ticks") == {0: 4, 1: 1}
    seen = log.reads
    assert reading.cuts("g", "ticks") == {0: 4, 1: 1}
    assert log.reads == seen + 1, "what was found hollow is not read again"


def test_a_record_behind_the_end_of_a_transaction_is_unread(log: Ticks) -> None:
    log.groups["g"] = {0: 2, 1: 2}
    log.hollow = {(0, 2)}
    reading: Any = Reading(log)
    assert reading.cuts("g", "ticks") == {0: 3, 1: 2}
    log.groups["g"] = {0: 4, 1: 2}
    assert reading.cuts("g", "ticks") == {0: 4, 1: 2}


def test_the_oldest_tick_that_is_left_counts_only_where_some_are_lost(log: Ticks) -> None:
    reading = Reading(log)
    assert reading.lost_before_ms("ticks") is None
    log.starts = {0: 2}
    assert reading.lost_before_ms("ticks") == 3
    log.starts = {0: 2, 1: 1}
    assert reading.lost_before_ms("ticks") == 20
    log.hollow = {(1, 1)}
    assert reading.lost_before_ms("ticks") == 3
    log.starts = {0: 4, 1: 2}
    assert reading.lost_before_ms("ticks") is None


def test_a_topic_that_is_not_there_is_told(log: Ticks) -> None:
    with pytest.raises(UnknownTopicError):
        Reading(log).cuts("g", "none")
