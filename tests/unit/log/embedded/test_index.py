"""The key index behind the appends: what is indexed when, and what stops it in the middle."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest
from tests.contract.log_contract import STATE, TICKS, batch, xs_of

from ashioto.clock import ManualClock
from ashioto.errors import LogError, LogFullError
from ashioto.log.embedded import EmbeddedLog, index
from ashioto.log.embedded import write as sqlite_write
from ashioto.log.embedded.index import Bounds

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ALL = Bounds(rows=0, batches=0, age_ms=-1)
MINUTE = 60_000


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(1_000_000)


@pytest.fixture
def pair(
    tmp_path: Path, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[EmbeddedLog, EmbeddedLog]]:
    """Return two logs of one file that index nothing by themselves, and two keys at a time when they are told to."""
    for name in ("_FIRST_CHUNK", "_LEAST_CHUNK", "_MOST_CHUNK"):
        monkeypatch.setattr(index, name, 2)
    monkeypatch.setattr(sqlite_write, "INLINE_ROWS", 1)
    path = tmp_path / "log.db"
    with (
        EmbeddedLog(path, clock=clock, background=False, compact_keep_ms=5 * MINUTE) as one,
        EmbeddedLog(path, clock=clock, background=False) as two,
    ):
        one.create([TICKS, STATE])
        yield one, two


def put(log: EmbeddedLog, keys: str, x: int) -> None:
    log.append([batch("t.state", [(key, x) for key in keys])])


def drop(log: EmbeddedLog, keys: str) -> None:
    log.append([batch("t.state", [(key, 0) for key in keys], dead=[True] * len(keys))])


def seen(log: EmbeddedLog) -> dict[str, int]:
    page = log.view("t.state")
    return dict(zip(b"".join(page.keys).decode(), page.data.column("x").to_pylist(), strict=True))


def seen_keys(log: EmbeddedLog) -> list[bytes]:
    return log.view("t.state").keys


def indexed(log: EmbeddedLog) -> str:
    return b"".join(key for (key,) in log._writer.execute("SELECT key FROM newest ORDER BY key")).decode()


def tail(log: EmbeddedLog) -> list[int]:
    return [place for (place,) in log._writer.execute("SELECT place FROM tail ORDER BY place")]


def index_all(log: EmbeddedLog, bounds: Bounds = ALL) -> int:
    return sum(log._indexer.steps("t.state", bounds))


def test_an_append_leaves_the_index_alone_and_is_seen(pair: tuple[EmbeddedLog, EmbeddedLog]) -> None:
    one, two = pair
    put(one, "abc", 1)
    assert (indexed(one), tail(one)) == ("", [0])
    assert seen(one) == seen(two) == {"a": 1, "b": 1, "c": 1}


def test_a_small_append_goes_into_the_index_when_nothing_waits(pair: tuple[EmbeddedLog, EmbeddedLog]) -> None:
    one, two = pair
    put(one, "a", 1)
    assert (indexed(one), tail(one)) == ("a", [])
    put(one, "bc", 2)
    put(one, "a", 3)
    drop(two, "b")
    assert (indexed(one), tail(one)) == ("a", [1, 3, 4])
    assert seen(one) == seen(two) == {"a": 3, "c": 2}


def test_keys_are_written_once_in_order_and_in_small_transactions(pair: tuple[EmbeddedLog, EmbeddedLog]) -> None:
    one, two = pair
    for x in range(10):
        put(one, "edcba", x)
    steps = one._indexer.steps("t.state", ALL)
    assert [next(steps), indexed(two)] == [2, "ab"]
    assert [next(steps), indexed(two)] == [2, "abcd"]
    assert tail(two) == list(range(0, 50, 5))
    assert list(steps) == [1]
    assert (indexed(two), tail(two)) == ("abcde", [])
    assert seen(one) == seen(two) == dict.fromkeys("abcde", 9)


def test_keys_that_are_written_again_and_again_are_never_indexed(pair: tuple[EmbeddedLog, EmbeddedLog]) -> None:
    one, _ = pair
    put(one, "abc", 0)
    leave = Bounds(rows=16, batches=8, age_ms=MINUTE)
    for x in range(1, 20):
        put(one, "cd", x)
        index_all(one, leave)
    assert indexed(one) == "ab"
    assert seen(one) == {"a": 0, "b": 0, "c": 19, "d": 19}


def test_what_another_process_indexed_further_is_not_undone(pair: tuple[EmbeddedLog, EmbeddedLog]) -> None:
    one, two = pair
    put(one, "abcd", 1)
    late = one._indexer.steps("t.state", ALL)
    next(late)
    put(two, "cd", 2)
    drop(two, "b")
    index_all(two)
    assert tail(one) == []
    assert list(late) == []
    assert seen(one) == seen(two) == {"a": 1, "c": 2, "d": 2}


def test_two_processes_that_index_at_once_agree(pair: tuple[EmbeddedLog, EmbeddedLog]) -> None:
    one, two = pair
    put(one, "abcdef", 1)
    late = one._indexer.steps("t.state", ALL)
    next(late)
    put(two, "bdf", 2)
    early = two._indexer.steps("t.state", ALL)
    for _ in range(2):
        next(early)
        next(late)
    assert list(late) == []
    assert list(early) == []
    assert seen(one) == seen(two) == {"a": 1, "b": 2, "c": 1, "d": 2, "e": 1, "f": 2}
    index_all(two)
    assert (tail(one), seen(one)) == ([], {"a": 1, "b": 2, "c": 1, "d": 2, "e": 1, "f": 2})


def test_a_topic_that_is_altered_in_the_middle_is_indexed_anew(pair: tuple[EmbeddedLog, EmbeddedLog]) -> None:
    one, two = pair
    put(one, "abcd", 1)
    late = one._indexer.steps("t.state", ALL)
    next(late)
    two.alter(replace(STATE, schema=pa.schema({"n": pa.string(), "x": pa.int64()})))
    assert list(late) == []
    assert seen(one) == dict.fromkeys("abcd", 1)
    index_all(one)
    assert two.view("t.state").data.to_pylist() == [{"n": None, "x": 1}] * 4


def test_a_topic_that_is_deleted_in_the_middle_stays_deleted(pair: tuple[EmbeddedLog, EmbeddedLog]) -> None:
    one, two = pair
    put(one, "abcd", 1)
    late = one._indexer.steps("t.state", ALL)
    next(late)
    two.delete(["t.state"])
    assert list(late) == index_all(one) * [0] == []
    assert (indexed(one), tail(one)) == ("", [])
    two.create([STATE])
    put(two, "xy", 2)
    assert seen(one) == {"x": 2, "y": 2}


def test_a_view_goes_on_after_others_indexed_past_what_it_knows(pair: tuple[EmbeddedLog, EmbeddedLog]) -> None:
    one, two = pair
    put(two, "ab", 1)
    assert seen(one) == {"a": 1, "b": 1}
    put(two, "ab", 2)
    index_all(two)
    put(two, "cdefghij", 3)
    assert seen(one) == {"a": 2, "b": 2} | dict.fromkeys("cdefghij", 3)


def test_batches_that_are_not_indexed_are_kept_however_old(
    pair: tuple[EmbeddedLog, EmbeddedLog], clock: ManualClock
) -> None:
    one, _ = pair
    put(one, "ab", 1)
    put(one, "cd", 2)
    next(one._indexer.steps("t.state", Bounds(rows=8, batches=100, age_ms=10**9)))
    assert tail(one) == [2]
    clock.advance(6 * MINUTE)
    put(one, "ef", 3)
    assert xs_of(one, "t.state") == [2, 2, 3, 3]
    index_all(one)
    clock.advance(6 * MINUTE)
    put(one, "gh", 4)
    assert xs_of(one, "t.state") == [4, 4]
    assert "".join(seen(one)) == "abcdefgh"


def test_appends_wait_when_too_much_is_not_indexed(pair: tuple[EmbeddedLog, EmbeddedLog]) -> None:
    one, _ = pair
    one._indexer.bounds = Bounds(most=10)
    for x in range(6):
        put(one, "abcd", x)
        assert len(tail(one)) <= 2
    assert seen(one) == dict.fromkeys("abcd", 5)


def test_an_append_is_kept_when_indexing_fails(
    pair: tuple[EmbeddedLog, EmbeddedLog], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, _ = pair
    one._indexer.bounds = Bounds(most=3)
    put(one, "abcd", 1)

    def full(*_: object) -> None:
        raise LogFullError("no room")

    with monkeypatch.context() as patched:
        patched.setattr(index, "put_newest", full)
        put(one, "ab", 2)
        assert (indexed(one), tail(one)) == ("", [0, 4])
    put(one, "c", 3)
    assert (indexed(one), tail(one)) == ("abcd", [])
    assert seen(one) == {"a": 2, "b": 2, "c": 3, "d": 1}


def test_a_disk_that_is_full_while_indexing_refuses_no_append(pair: tuple[EmbeddedLog, EmbeddedLog]) -> None:
    one, two = pair
    for x in range(30):
        one.append([batch("t.state", [(f"{'k' * 300}{n}", x) for n in range(x * 20, x * 20 + 20)])])
    connection = one._indexer._opened()
    connection.pragma("max_page_count", connection.pragma("page_count") + 2)
    with pytest.raises(LogFullError):
        index_all(one)
    assert len(seen_keys(two)) == 600
    one.append([batch("t.state", [("a", 7), ("b", 7)])])
    connection.pragma("max_page_count", 2**31)
    index_all(one)
    assert tail(one) == []
    assert len(seen_keys(two)) == 602


def test_only_long_or_old_tails_are_due(pair: tuple[EmbeddedLog, EmbeddedLog], clock: ManualClock) -> None:
    one, two = pair
    assert one._indexer.look() == ([], False)
    put(one, "ab", 1)
    assert one._indexer.look() == ([], True)
    clock.advance(31_000)
    assert one._indexer.look() == (["t.state"], True)
    assert two._indexer.look() == ([], True)
    clock.advance(60_000)
    assert two._indexer.look() == (["t.state"], True)
    assert index_all(two, two._indexer.bounds) == 2
    assert one._indexer.look() == ([], False)


def test_a_closed_log_indexes_nothing(pair: tuple[EmbeddedLog, EmbeddedLog]) -> None:
    one, two = pair
    put(one, "abcd", 1)
    steps = one._indexer.steps("t.state", ALL)
    next(steps)
    one.close()
    with pytest.raises(LogError, match="is closed"):
        next(steps)
    assert seen(two) == dict.fromkeys("abcd", 1)


@pytest.mark.parametrize(
    ("waiting", "taken"),
    [
        ([], 0),
        ([(0, 10, 0)], 0),
        ([(0, 10, 0), (10, 20, 0)], 1),
        ([(0, 10, -51)], 1),
        ([(0, 1, 0)] * 9, 7),
        ([(0, 131_000, 0), (131_000, 100, 0), (131_100, 30, 0)], 1),
    ],
)
def test_the_newest_batches_are_left(waiting: list[tuple[int, int, int]], taken: int) -> None:
    assert Bounds(rows=80, batches=8, age_ms=100).taken(waiting, 0) == taken
