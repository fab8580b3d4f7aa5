from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from tests.contract.log_contract import STATE, VALUE, batch

from ashioto.log import payload
from ashioto.log.base import Slice
from ashioto.log.embedded import EmbeddedLog, tails
from ashioto.log.embedded import stored as embedded_stored
from ashioto.log.embedded.tail import DEAD, Tail

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def part(keys: str, x: int, *, dead: str = "", base: int = 0) -> Slice:
    one = batch("t.state", [(key, x) for key in keys], coded=x % 2 == 0)
    marks = np.array([key in dead for key in keys], dtype=np.bool_)
    return Slice(
        topic="t.state", partition=0, base_offset=base, next_offset=base + len(keys), keys=one.keys,
        timestamps=one.timestamps, data=one.data, tombstones=marks if dead else None,
    )  # fmt: skip


def tail_of(*parts: Slice) -> Tail:
    tail, at = Tail(topic_id=1, version=0, schema=VALUE), 100
    for one in parts:
        tail = tail.extended([at], [one])
        at += len(one.keys)
    return tail


TAIL = tail_of(part("gfedcba", 1), part("ba", 2, dead="b"), part("a", 3))


@pytest.mark.parametrize("whole", [False, True])
def test_the_newest_record_of_each_key_is_found_either_way(*, whole: bool) -> None:
    assert len(TAIL.runs) == 2
    wanted = [(b"a", 109), (b"b", DEAD), (b"c", 104), (b"d", 103), (b"e", 102), (b"f", 101), (b"g", 100)]
    assert list(TAIL.entries(None, None, reverse=False, whole=whole)) == wanted
    assert list(TAIL.entries(None, None, reverse=True, whole=whole)) == wanted[::-1]
    assert list(TAIL.entries(b"b", b"d", reverse=True, whole=whole)) == wanted[2:0:-1]
    assert list(TAIL.entries(b"d", b"b", reverse=False, whole=whole)) == []


def test_keys_of_one_batch_are_told_apart_by_place() -> None:
    tail = tail_of(part("aabab", 1))
    assert list(tail.entries(None, None, reverse=False, whole=True)) == [(b"a", 103), (b"b", 104)]


def test_records_come_in_the_order_asked_for() -> None:
    data, offsets, times = TAIL.records(np.array([109, 100, 104, 108]))
    assert data.to_pylist() == [{"x": 3, "s": "a"}, {"x": 1, "s": "g"}, {"x": 1, "s": "c"}, {"x": 2, "s": "a"}]
    assert (offsets.tolist(), times.tolist()) == ([0, 0, 4, 1], [30, 10, 10, 20])


def test_few_records_do_not_hold_on_to_a_large_dictionary() -> None:
    one = batch("t.state", [(f"k{n}", n) for n in range(500)])
    many = Slice(
        topic="t", partition=0, base_offset=0, next_offset=500, keys=one.keys, timestamps=one.timestamps, data=one.data
    )
    data, _, _ = tail_of(many).records(np.array([107]))
    assert data.to_pylist() == [{"x": 7, "s": "k7"}]
    assert len(data.column("s").dictionary) == 1


def test_many_batches_make_few_runs() -> None:
    tail = tail_of(*[part(f"{at % 10}", at) for at in range(64)])
    assert len(tail.runs) <= 3
    assert (tail.rows, len(tail.whole().keys)) == (64, 10)


def test_what_is_indexed_can_be_left_off() -> None:
    tail = TAIL.since(107)
    assert (tail.places, tail.rows) == ((107, 109), 3)
    assert list(tail.entries(None, None, reverse=False, whole=True)) == [(b"a", 109), (b"b", DEAD)]


@pytest.fixture
def log(tmp_path: Path) -> Iterator[EmbeddedLog]:
    with EmbeddedLog(tmp_path / "log.db", background=False) as log:
        log.create([STATE, *(type(STATE)(name=n, cleanup="compact", schema=STATE.schema) for n in ("t.b", "t.c"))])
        yield log


def many(topic: str, x: int) -> Any:
    return batch(topic, [(f"k{n}", x) for n in range(20)])


def test_each_batch_is_decoded_once(log: EmbeddedLog, monkeypatch: pytest.MonkeyPatch) -> None:
    decoded: list[int] = []
    inner = payload.decode_batch

    def counting(*given: Any, **named: Any) -> Any:
        decoded.append(named["base_offset"])
        return inner(*given, **named)

    monkeypatch.setattr(embedded_stored, "decode_batch", counting)
    for x in range(4):
        log.append([many("t.state", x)])
        for _ in range(2):
            assert log.view("t.state").data.column("x").to_pylist() == [x] * 20
    assert decoded == [0, 20, 40, 60]


def test_the_tails_used_last_are_kept(log: EmbeddedLog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tails, "MAX_ROWS", 45)
    for topic in ("t.state", "t.b", "t.c"):
        log.append([many(topic, 1)])
        log.view(topic)
    assert [log._tails.known(topic) is None for topic in ("t.state", "t.b", "t.c")] == [True, False, False]
    assert len(log.view("t.state").keys) == 20


def test_an_indexed_tail_is_let_go(log: EmbeddedLog) -> None:
    log.append([many("t.state", 1)])
    log.view("t.state")
    log._indexer.make_room("t.state", log._indexer.bounds.most)
    assert len(log.view("t.state").keys) == 20
    assert log._tails.known("t.state") is None


def test_a_slow_reader_does_not_take_back_what_a_fast_one_knows(log: EmbeddedLog) -> None:
    log.append([many("t.state", 1)])
    with log._readers.snapshot() as connection:
        topic = log._catalogue.find(connection, "t.state")
        reading = threading.Thread(target=lambda: (log.append([many("t.state", 2)]), log.view("t.state")))
        reading.start()
        reading.join()
        mine = log._tails.find(connection, topic, None)
    assert mine is not None
    assert mine.places == (0,)
    known = log._tails.known("t.state")
    assert known is not None
    assert known.places == (0, 20)
