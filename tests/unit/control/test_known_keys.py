from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ashioto import keys
from ashioto.control.known_keys import KeyFinder, known_keys
from ashioto.log.base import Batch, TopicSpec
from ashioto.testing.memory_log import MemoryLog

if TYPE_CHECKING:
    from ashioto.log.base import Slice

TOPIC = "t.rate_bars_1m"
Key = tuple[str, ...]


def bars(found: list[tuple[Key, int]], *, gone: bool = False, partition: int = 0) -> Batch:
    """Bars of keys, or their deletion."""
    record = [keys.encode([*key, keys.time_part(start)]) for key, start in found]
    return Batch(
        topic=TOPIC,
        partition=partition,
        keys=pa.array(record, pa.binary()),
        timestamps=np.zeros(len(found), dtype=np.int64),
        data=pa.RecordBatch.from_pydict({"x": np.zeros(len(found), dtype=np.int64)}),
        tombstones=np.ones(len(found), dtype=np.bool_) if gone else None,
    )


@pytest.fixture
def log() -> MemoryLog:
    return made_log()


def made_log() -> MemoryLog:
    """A log with a topic of bars."""
    log = MemoryLog()
    log.create([TopicSpec(name=TOPIC, partitions=2, cleanup="compact", schema=pa.schema({"x": pa.int64()}))])
    return log


TEXT = st.text(st.sampled_from("aZ\\\x1f\x1e \t\u001fu001fé\U0001f600"), max_size=4)
KEYS = st.lists(st.tuples(TEXT, TEXT), max_size=6, unique=True)


@given(KEYS, KEYS, st.integers(1, 3))
def test_keys_of_any_text_are_found_at_once_and_as_they_come(early: list[Key], late: list[Key], each: int) -> None:
    log = made_log()
    log.append([bars([(key, start) for key in early for start in range(each)])])
    finder = KeyFinder(log, TOPIC)
    assert finder.keys == set(early)
    assert sorted(known_keys(log, TOPIC)) == sorted(early)
    log.append([bars([(key, start) for key in late for start in range(each)], partition=1)])
    assert finder.poll() == bool(set(late) - set(early))
    assert finder.keys == {*early, *late}
    assert not finder.poll()


def test_one_key_that_begins_like_another_is_not_taken_for_it(log: MemoryLog) -> None:
    found: list[Key] = [("FX", "EUR"), ("FX", "EURUSD"), ("FX", ""), ("F", "XEUR"), ("FX", "EUR\x1fUSD")]
    log.append([bars([(key, 5) for key in found])])
    assert sorted(known_keys(log, TOPIC)) == sorted(found)


def test_deleted_bars_are_no_bars(log: MemoryLog) -> None:
    log.append([bars([(("A",), 1), (("B",), 1)])])
    log.append([bars([(("A",), 1)], gone=True)])
    finder = KeyFinder(log, TOPIC)
    assert finder.keys == {("B",)}
    log.append([bars([(("C",), 1)], gone=True)])
    assert not finder.poll()
    assert finder.keys == {("B",)}


class Trimmed:
    """Shows another log's records from an offset on only."""

    def __init__(self, inner: MemoryLog, start: int) -> None:
        self._inner, self.start, self.reads = inner, start, 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def read(self, topic: str, partition: int, offset: int, *, max_rows: int = 262_144) -> Slice | None:
        """Read, below the first offset from the first on."""
        self.reads += 1
        assert self.reads < 10
        return self._inner.read(topic, partition, max(offset, self.start), max_rows=max_rows)


@pytest.mark.parametrize(("start", "found"), [(2, {("A",), ("C",)}), (3, {("A",)})])
def test_history_that_was_trimmed_is_passed_over(log: MemoryLog, start: int, found: set[Key]) -> None:
    log.append([bars([(("A",), 1)])])
    trimmed = Trimmed(log, start)
    finder = KeyFinder(trimmed, TOPIC)
    log.append([bars([(("B",), 1)])])
    log.append([bars([(("C",), 1)])])
    finder.poll()
    assert finder.keys == found
    reads = trimmed.reads
    assert not finder.poll()
    assert trimmed.reads == reads


def test_a_topic_that_was_made_anew_is_read_from_its_beginning(log: MemoryLog) -> None:
    log.append([bars([(("A",), 1), (("A",), 2)])])
    finder = KeyFinder(log, TOPIC)
    spec = log.describe(TOPIC).spec
    log.delete([TOPIC])
    log.create([spec])
    log.append([bars([(("B",), 1)])])
    assert finder.poll()
    assert finder.keys == {("A",), ("B",)}
