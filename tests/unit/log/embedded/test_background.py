"""The thread that indexes: when it starts, what it survives, how it ends."""

from __future__ import annotations

import gc
import threading
from typing import TYPE_CHECKING

import pytest
from tests.contract.log_contract import STATE, TICKS, batch

from ashioto.clock import SystemClock
from ashioto.errors import LogBusyError
from ashioto.log.embedded import EmbeddedLog, background
from ashioto.log.embedded.file import fetch
from ashioto.log.embedded.index import Bounds

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

CLOCK = SystemClock()


@pytest.fixture(autouse=True)
def _fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background, "_LOOK_S", 0.01)
    monkeypatch.setattr(background, "_RETRY_S", 0.01)


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = CLOCK.monotonic() + 30
    while not condition():
        assert CLOCK.monotonic() < deadline
        CLOCK.sleep(0.005)


def threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "ashioto-index"]


def many(x: int) -> list[tuple[str, int]]:
    return [(f"k{n:03}", x) for n in range(100)]


def waiting(log: EmbeddedLog) -> int:
    with log._readers.reader() as connection:
        return int(fetch(connection, "SELECT count(*) FROM tail")[0][0])


def test_it_starts_with_the_first_tail_and_ends_with_the_log(tmp_path: Path) -> None:
    with EmbeddedLog(tmp_path / "log.db") as log:
        log.create([STATE, TICKS])
        log._indexer.bounds = Bounds(rows=50)
        log.append([batch("t.ticks", many(1)), batch("t.state", [("a", 1)])])
        assert threads() == []
        log.append([batch("t.state", many(2))])
        assert len(threads()) == 1
        wait_until(lambda: waiting(log) == 0)
        assert len(log.view("t.state").keys) == 101
        log.append([batch("t.state", many(3))])
        wait_until(lambda: waiting(log) == 0)
    assert threads() == []


def test_a_file_with_a_tail_is_taken_care_of_by_whoever_opens_it(tmp_path: Path) -> None:
    with EmbeddedLog(tmp_path / "log.db", background=False) as log:
        log.create([STATE])
        log.append([batch("t.state", many(1))])
    with EmbeddedLog(tmp_path / "log.db") as log:
        assert len(threads()) == 1
        log._indexer.bounds = Bounds(rows=20)
        wait_until(lambda: waiting(log) == 0)


def test_what_fails_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    failed = threading.Event()
    with EmbeddedLog(tmp_path / "log.db") as log:
        log.create([STATE])
        log._indexer.bounds = Bounds(rows=50)
        inner, tries = log._indexer._write, []

        def failing(*given: object) -> bool:
            tries.append(1)
            if len(tries) < 3:
                raise LogBusyError("held")
            failed.set()
            return inner(*given)  # type: ignore[arg-type]  # passed on as they came

        monkeypatch.setattr(log._indexer, "_write", failing)
        log.append([batch("t.state", many(1))])
        assert failed.wait(30)
        wait_until(lambda: waiting(log) == 0)


def test_closing_in_the_middle_leaves_the_rest_to_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begun = threading.Event()
    log = EmbeddedLog(tmp_path / "log.db")
    log.create([STATE])
    log._indexer.bounds, log._indexer._chunk = Bounds(rows=50), 10
    monkeypatch.setattr(log._indexer, "_adapt", lambda _: begun.set())
    monkeypatch.setattr(log._indexer, "rest_s", lambda: 30.0)
    log.append([batch("t.state", many(1))])
    assert begun.wait(30)
    log.close()
    assert threads() == []
    with EmbeddedLog(tmp_path / "log.db", background=False) as again:
        assert waiting(again) == 1
        assert again._writer.execute("SELECT count(*) FROM newest").fetchall() == [(10,)]
        assert again.view("t.state").data.column("x").to_pylist() == [1] * 100


def test_a_log_that_is_not_closed_leaves_no_thread(tmp_path: Path) -> None:
    log = EmbeddedLog(tmp_path / "log.db")
    log.create([STATE])
    log.append([batch("t.state", many(1))])
    assert len(threads()) == 1
    del log
    gc.collect()
    assert threads() == []


def test_a_long_write_ahead_log_is_shortened_by_the_thread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ashioto.log.embedded.index.CHECKPOINT_PAGES", 4)
    monkeypatch.setattr("ashioto.log.embedded.log.CHECKPOINT_PAGES", 4)
    file = tmp_path / "log.db"
    with EmbeddedLog(file) as log:
        before = file.stat().st_size
        log.create([TICKS])
        log.append([batch("t.ticks", many(1))])
        wait_until(lambda: file.stat().st_size > before)
