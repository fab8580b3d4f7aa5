from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import apsw
import numpy as np
import pyarrow as pa
import pytest
from tests.contract.log_contract import STATE, TICKS, VALUE, batch, xs_of

from ashioto.clock import ManualClock
from ashioto.errors import LogBusyError, LogCorruptError, LogError, StaleEpochError
from ashioto.log.base import Fence, TopicSpec
from ashioto.log.embedded import EmbeddedLog
from ashioto.log.embedded import write as sqlite_write

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MINUTE = 60_000


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(1_000_000)


@pytest.fixture
def log(tmp_path: Path, clock: ManualClock) -> Iterator[EmbeddedLog]:
    with EmbeddedLog(tmp_path / "log.db", clock=clock, busy_timeout_ms=50, compact_keep_ms=5 * MINUTE) as log:
        log.create([TICKS, STATE])
        yield log


def test_all_is_there_after_opening_again(log: EmbeddedLog) -> None:
    log.append([batch("t.ticks", [("a", 1)]), batch("t.state", [("a", 2)])], fence=Fence(name="f", epoch=4))
    log.close()
    with EmbeddedLog(log.path) as again:
        assert xs_of(again, "t.ticks") == [1]
        assert again.view("t.state").data.to_pylist() == [{"x": 2, "s": "a"}]
        assert again.describe("t.ticks").spec == TICKS
        with pytest.raises(StaleEpochError):
            again.append([], fence=Fence(name="f", epoch=3))


def test_a_closed_log_says_so(log: EmbeddedLog) -> None:
    log.close()
    log.close()
    for call in (lambda: log.append([]), lambda: log.create([TICKS]), lambda: log.describe("t.ticks")):
        with pytest.raises(LogError, match="is closed"):
            call()


def test_a_held_file_is_busy_and_works_later(log: EmbeddedLog) -> None:
    other = apsw.Connection(str(log.path))
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(LogBusyError, match="another process holds the log"):
        log.append([batch("t.ticks", [("a", 1)])])
    assert log.read("t.ticks", 0, 0) is None
    other.execute("ROLLBACK")
    other.close()
    log.append([batch("t.ticks", [("a", 2)])])
    assert xs_of(log, "t.ticks") == [2]


def test_appends_that_wait_share_one_commit(log: EmbeddedLog, monkeypatch: pytest.MonkeyPatch) -> None:
    commits: list[int] = []

    def committing() -> bool:
        commits.append(1)
        return False

    log._writer.set_commit_hook(committing)
    log.append([], fence=Fence(name="f", epoch=2))
    failed: list[Exception] = []

    def append(number: int) -> None:
        try:
            fence = Fence(name="f", epoch=1) if number == 3 else None
            log.append([batch("t.ticks", [("a", number)])], fence=fence)
        except StaleEpochError as error:
            failed.append(error)

    waiting = threading.Semaphore(0)
    put = type(log._queue).put

    def put_and_tell(queue: Any, job: Any) -> None:
        put(queue, job)
        waiting.release()

    monkeypatch.setattr(type(log._queue), "put", put_and_tell)
    threads = [threading.Thread(target=append, args=(number,)) for number in range(6)]
    with log._writing:
        commits.clear()
        for thread in threads:
            thread.start()
        for _ in threads:
            assert waiting.acquire(timeout=30)
    for thread in threads:
        thread.join()
    assert len(commits) == 1
    assert sorted(xs_of(log, "t.ticks")) == [0, 1, 2, 4, 5]
    assert len(failed) == 1


def test_a_group_that_is_interrupted_fails_for_all(log: EmbeddedLog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log, "_trim", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        log.append([batch("t.ticks", [("a", 1)])])
    monkeypatch.undo()
    assert log.append([batch("t.ticks", [("a", 2)])])[0].base_offset == 0
    assert xs_of(log, "t.ticks") == [2]


def test_large_batches_are_stored_in_parts(log: EmbeddedLog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_write, "MAX_STORED_ROWS", 3)
    dead = [at == 7 for at in range(8)]
    done = log.append([batch("t.state", [(f"k{at}", at) for at in range(8)], dead=dead)])
    assert (done[0].base_offset, done[0].count) == (0, 8)
    counts = [count for (count,) in log._writer.execute("SELECT count FROM batches")]
    assert counts == [3, 3, 2]
    part = log.read("t.state", 0, 2, max_rows=4)
    assert part is not None
    assert (part.data.column("x").to_pylist(), part.next_offset) == ([2, 3, 4, 5], 6)
    assert log.view("t.state").offsets.tolist() == list(range(7))


def test_old_records_go_after_their_retention(tmp_path: Path, clock: ManualClock) -> None:
    kept = TopicSpec(name="t.kept", schema=VALUE)
    short = TopicSpec(name="t.short", schema=VALUE, retention_ms=2 * MINUTE)
    with EmbeddedLog(tmp_path / "log.db", clock=clock) as log:
        log.create([kept, short])
        log.append([batch("t.kept", [("a", 1)]), batch("t.short", [("a", 1), ("a", 2)])])
        clock.advance(2 * MINUTE)
        log.append([batch("t.short", [("a", 3)])])
        assert xs_of(log, "t.short") == [1, 2, 3]
        clock.advance(MINUTE)
        log.append([batch("t.short", [("a", 4)])])
        assert xs_of(log, "t.short") == [3, 4]
        info = log.describe("t.short")
        assert (info.start_offsets, info.end_offsets) == ({0: 2}, {0: 4})
        clock.advance(60 * MINUTE)
        log.append([batch("t.kept", [("a", 2)])])
        assert log.read("t.short", 0, 0) is None
        assert log.describe("t.short").start_offsets == {0: 4}
        assert log.append([batch("t.short", [("a", 5)])])[0].base_offset == 4
        assert xs_of(log, "t.kept") == [1, 2]


def test_records_go_at_most_once_a_minute(tmp_path: Path, clock: ManualClock) -> None:
    with EmbeddedLog(tmp_path / "log.db", clock=clock) as log:
        log.create([TopicSpec(name="t.short", schema=VALUE, retention_ms=1000)])
        log.append([batch("t.short", [("a", 1)])])
        clock.advance(59_000)
        log.append([batch("t.short", [("a", 2)])])
        assert xs_of(log, "t.short") == [1, 2]
        clock.advance(1_000)
        log.append([batch("t.short", [("a", 3)])])
        assert xs_of(log, "t.short") == [2, 3]


def test_compact_topics_keep_the_newest_of_each_key_for_ever(log: EmbeddedLog, clock: ManualClock) -> None:
    log.append([batch("t.state", [("a", 1), ("b", 2)])])
    clock.advance(6 * MINUTE)
    log.append([batch("t.state", [("c", 3)])])
    assert xs_of(log, "t.state") == [3]
    page = log.view("t.state")
    assert page.keys == [b"a", b"b", b"c"]
    assert page.offsets.tolist() == [0, 1, 2]


def test_a_damaged_batch_names_the_file_and_the_place(log: EmbeddedLog) -> None:
    log.append([batch("t.ticks", [("a", 1)])])
    log._writer.execute("UPDATE batches SET payload = substr(payload, 1, 40)")
    with pytest.raises(LogCorruptError, match=r"log\.db is damaged.*t\.ticks/0/0"):
        log.read("t.ticks", 0, 0)


def test_a_compact_topic_refuses_types_it_cannot_keep(log: EmbeddedLog) -> None:
    odd = TopicSpec(name="t.odd", cleanup="compact", schema=pa.schema({"v": pa.list_(pa.int64())}))
    with pytest.raises(LogError, match="the column v is list"):
        log.create([odd])


def test_polling_at_the_end_does_not_read_batches(log: EmbeddedLog) -> None:
    log.append([batch("t.ticks", [("a", 1)])])
    log._writer.execute("UPDATE batches SET payload = x'00'")
    assert log.read("t.ticks", 0, 1) is None


def test_at_the_end_no_batch_is_looked_for(log: EmbeddedLog) -> None:
    log.append([batch("t.ticks", [("a", 1), ("a", 2)])])
    assert xs_of(log, "t.ticks", offset=1) == [2]
    asked: list[str] = []

    def note(_: object, sql: str, __: object) -> bool:
        asked.append(sql)
        return True

    (reader,) = log._readers.idle
    reader.exec_trace = note
    for offset in (2, 3):
        assert log.read("t.ticks", 0, offset) is None
    assert log.read("t.ticks", 1, 0) is None
    assert asked
    assert [sql for sql in asked if "batches" in sql] == []
    assert xs_of(log, "t.ticks", offset=1) == [2]
    assert [sql for sql in asked if "batches" in sql] != []


def test_a_short_read_leaves_later_batches_alone(log: EmbeddedLog) -> None:
    for x in range(3):
        log.append([batch("t.ticks", [("a", x), ("b", x)])])
    log._writer.execute("UPDATE batches SET payload = x'00' WHERE base_offset = 4")
    part = log.read("t.ticks", 0, 1, max_rows=3)
    assert part is not None
    assert part.data.column("x").to_pylist() == [0, 1, 1]
    with pytest.raises(LogCorruptError):
        log.read("t.ticks", 0, 1, max_rows=4)


def test_two_logs_of_one_file_see_each_other(log: EmbeddedLog) -> None:
    with EmbeddedLog(log.path) as other:
        other.create([TopicSpec(name="t.other", schema=VALUE)])
        log.append([batch("t.other", [("a", 1)])])
        other.append([batch("t.other", [("a", 2)])])
        assert xs_of(log, "t.other") == [1, 2]
        with pytest.raises(StaleEpochError):
            log.append([], fence=Fence(name="f", epoch=1)) or other.append([], fence=Fence(name="f", epoch=0))


def test_timestamps_may_come_in_any_integer_type(log: EmbeddedLog) -> None:
    one = batch("t.ticks", [("a", 1)])
    small = type(one)(
        topic="t.ticks", partition=0, keys=one.keys, timestamps=np.array([5], dtype=np.int32), data=one.data
    )  # fmt: skip
    log.append([small])
    found = log.read("t.ticks", 0, 0)
    assert found is not None
    assert found.timestamps.dtype == np.int64
