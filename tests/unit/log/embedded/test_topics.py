"""Topics that are changed while others use them."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from tests.contract.log_contract import STATE, TEXT, TICKS, batch, xs_of

from ashioto.clock import ManualClock
from ashioto.errors import LogError, StaleEpochError, UnknownTopicError
from ashioto.log.base import Fence, TopicSpec
from ashioto.log.embedded import EmbeddedLog
from ashioto.log.embedded import topics as embedded_topics

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

NARROW = pa.schema({"s": TEXT})


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[tuple[EmbeddedLog, EmbeddedLog]]:
    """Return two logs of one file, as two processes have them; both have used the topics."""
    with EmbeddedLog(tmp_path / "log.db") as one, EmbeddedLog(tmp_path / "log.db") as two:
        one.create([TICKS, STATE])
        one.append([batch("t.ticks", [("a", 1)]), batch("t.state", [("a", 1)])])
        assert xs_of(two, "t.ticks") == two.view("t.state").data.column("x").to_pylist() == [1]
        yield one, two


def test_another_process_notices_a_change_at_its_next_call(pair: tuple[EmbeddedLog, EmbeddedLog]) -> None:
    one, two = pair
    for spec in (TICKS, STATE):
        one.alter(replace(spec, schema=NARROW))
    found = two.read("t.ticks", 0, 0)
    assert found is not None
    assert found.data.to_pylist() == two.view("t.state").data.to_pylist() == [{"s": "a"}]
    assert two.describe("t.ticks").spec.schema.equals(NARROW)
    with pytest.raises(LogError, match="has the columns x, s"):
        two.append([batch("t.ticks", [("a", 2)])])


def test_another_process_notices_a_topic_that_was_deleted_and_made_again(
    pair: tuple[EmbeddedLog, EmbeddedLog],
) -> None:
    one, two = pair
    one.delete(["t.state", "t.ticks"])
    with pytest.raises(UnknownTopicError):
        two.read("t.ticks", 0, 0)
    with pytest.raises(UnknownTopicError):
        two.view("t.state")
    one.create([STATE, TICKS])
    assert two.end_offsets("t.ticks") == {0: 0, 1: 0}
    assert two.append([batch("t.ticks", [("b", 5)])])[0].base_offset == 0
    assert xs_of(one, "t.ticks") == [5]
    assert one.view("t.state").keys == []


def test_topics_are_looked_up_once_until_something_changes(
    pair: tuple[EmbeddedLog, EmbeddedLog], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = pair
    looked: list[str] = []
    find = embedded_topics.find_topic

    def find_and_tell(connection: Any, name: str) -> Any:
        looked.append(name)
        return find(connection, name)

    monkeypatch.setattr(embedded_topics, "find_topic", find_and_tell)
    for _ in range(3):
        two.append([batch("t.ticks", [("a", 2)])])
        two.view("t.state")
    assert looked == []
    one.alter(replace(TICKS, schema=NARROW))
    looked.clear()
    for _ in range(3):
        two.end_offsets("t.ticks")
        two.view("t.state")
    assert looked == ["t.ticks", "t.state"]


def appending_while(log: EmbeddedLog, change: Callable[[], object], rows: list[tuple[str, int]], **given: Any) -> Any:
    """Append in a thread that has prepared its batch when the change comes; return what came of it."""
    outcome: list[Any] = []
    prepared, changed = threading.Event(), threading.Event()
    put = log._queue.put

    class Waiting(type(log._queue)):  # type: ignore[misc]  # the class is private
        def put(self, job: Any) -> None:
            prepared.set()
            assert changed.wait(30)
            put(job)

        def take(self) -> Any:
            return taken()

    taken = log._queue.take
    log._queue = Waiting()

    def append() -> None:
        try:
            outcome.extend(log.append([batch("t.state", [("k", 0)]), batch("t.ticks", rows)], **given))
        except LogError as error:
            outcome.append(error)

    thread = threading.Thread(target=append)
    thread.start()
    assert prepared.wait(30)
    change()
    changed.set()
    thread.join()
    return outcome


def test_an_append_that_was_prepared_before_a_change_is_checked_again(
    pair: tuple[EmbeddedLog, EmbeddedLog],
) -> None:
    one, two = pair
    fence = Fence(name="f", epoch=9)
    out = appending_while(two, lambda: one.alter(replace(TICKS, schema=NARROW)), [("a", 2)], fence=fence)
    assert "has the columns x, s" in str(out[0])
    assert one.end_offsets("t.ticks") == {0: 1, 1: 0}
    assert one.view("t.state").keys == [b"a"]
    assert one.append([], fence=Fence(name="f", epoch=8)) == []


def test_an_append_that_was_prepared_before_a_deletion_is_refused(pair: tuple[EmbeddedLog, EmbeddedLog]) -> None:
    one, two = pair
    out = appending_while(two, lambda: one.delete(["t.ticks"]), [("a", 2)])
    assert isinstance(out[0], UnknownTopicError)
    assert one.view("t.state").keys == [b"a"]


def test_an_append_that_still_fits_is_written_for_the_topic_as_it_is(pair: tuple[EmbeddedLog, EmbeddedLog]) -> None:
    one, two = pair

    def make_again() -> None:
        one.delete(["t.ticks", "t.state"])
        one.create([TopicSpec(name="t.first", schema=NARROW), TICKS, STATE])

    out = appending_while(two, make_again, [("b", 3)])
    assert [(done.topic, done.base_offset, done.count) for done in out] == [("t.state", 0, 1), ("t.ticks", 0, 1)]
    assert one.read("t.first", 0, 0) is None
    assert xs_of(one, "t.ticks") == [3]
    assert one.view("t.state").keys == [b"k"]


def test_a_stale_writer_is_still_told_so(pair: tuple[EmbeddedLog, EmbeddedLog]) -> None:
    one, two = pair

    def change() -> None:
        one.alter(replace(TICKS, retention_ms=5))
        one.append([], fence=Fence(name="f", epoch=3))

    out = appending_while(two, change, [("a", 2)], fence=Fence(name="f", epoch=2))
    assert isinstance(out[0], StaleEpochError)
    assert xs_of(one, "t.ticks") == [1]


@pytest.mark.parametrize("rows", [0, 1, 2, 3, 4, 7])
def test_the_key_index_is_rewritten_page_by_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows: int) -> None:
    monkeypatch.setattr(embedded_topics, "PAGE", 2)
    with EmbeddedLog(tmp_path / "log.db") as log:
        log.create([STATE, replace(STATE, name="t.other")])
        named = [("" if at == 0 else f"k{at}", at) for at in range(rows)]
        log.append([batch("t.state", named), batch("t.other", [("k1", 9)])])
        log.alter(replace(STATE, schema=pa.schema({"new": pa.string(), "x": pa.int64()})))
        assert log.view("t.state").data.to_pylist() == [{"new": None, "x": at} for at in range(rows)]
        assert log.view("t.state").offsets.tolist() == list(range(rows))
        assert log.view("t.other").data.to_pylist() == [{"x": 9, "s": "k1"}]


def test_a_compact_topic_takes_no_column_that_it_cannot_keep(pair: tuple[EmbeddedLog, EmbeddedLog]) -> None:
    one, two = pair
    with pytest.raises(LogError, match="the column v is list"):
        one.alter(replace(STATE, schema=pa.schema({"s": TEXT, "v": pa.list_(pa.int64())})))
    assert two.describe("t.state").spec == STATE
    assert two.view("t.state").data.to_pylist() == [{"x": 1, "s": "a"}]


def test_the_same_declaration_writes_nothing(pair: tuple[EmbeddedLog, EmbeddedLog]) -> None:
    one, _ = pair
    before = one._writer.total_changes()
    one.alter(TICKS)
    one.delete(["t.never"])
    assert one._writer.total_changes() == before


def test_a_new_retention_counts_from_the_next_time_old_records_go(tmp_path: Path) -> None:
    clock = ManualClock(1_000_000)
    with EmbeddedLog(tmp_path / "log.db", clock=clock) as log:
        log.create([TICKS])
        log.append([batch("t.ticks", [("a", 1)])])
        log.alter(replace(TICKS, retention_ms=1000))
        clock.advance(61_000)
        log.append([batch("t.ticks", [("a", 2)])])
        assert xs_of(log, "t.ticks") == [2]
        log.alter(replace(TICKS, retention_ms=None))
        clock.advance(600_000)
        log.append([batch("t.ticks", [("a", 3)])])
        assert xs_of(log, "t.ticks") == [2, 3]


def test_nothing_of_a_deleted_topic_stays_in_the_file(pair: tuple[EmbeddedLog, EmbeddedLog]) -> None:
    one, _ = pair
    one.delete(["t.ticks", "t.state"])
    for table in ("topics", "partitions", "batches", "newest"):
        assert list(one._writer.execute(f"SELECT count(*) FROM {table}")) == [(0,)]  # noqa: S608
