"""The embedded log under several processes, kills and full disks."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from tests.integration.log_processes import ALL, KEYED_ROWS, STATE, TICKS, batches, keys_of, rows_of

from ashioto.errors import LogCorruptError, LogFullError
from ashioto.log.embedded import EmbeddedLog

if TYPE_CHECKING:
    from collections.abc import Iterator

SCRIPT = Path(__file__).with_name("log_processes.py")
SOURCE = Path(__file__).resolve().parents[2] / "src"


@contextmanager
def started(*arguments: object) -> Iterator[subprocess.Popen[str]]:
    """Start a process with pipes; it has ended when the block has."""
    command = [sys.executable, str(SCRIPT), *map(str, arguments)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=os.environ | {"PYTHONPATH": str(SOURCE)}
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def lines(process: subprocess.Popen[str]) -> Iterator[list[str]]:
    assert process.stdout is not None
    return (line.split() for line in process.stdout)


def all_ticks(log: EmbeddedLog) -> tuple[list[int], list[int]]:
    """Return writer and x of every tick, in order."""
    writers: list[int] = []
    xs: list[int] = []
    while (found := log.read("t.ticks", 0, len(xs))) is not None:
        assert found.base_offset == len(xs)
        writers += found.data.column("writer").to_pylist()
        xs += found.data.column("x").to_pylist()
    return writers, xs


def test_three_processes_append_at_once_and_nothing_is_lost(tmp_path: Path) -> None:
    file, count = tmp_path / "log.db", 60
    acked: list[tuple[int, int, int]] = []
    with (
        started("some", file, 0, count) as a,
        started("some", file, 1, count) as b,
        started("some", file, 2, count) as c,
    ):
        talks = [lines(process) for process in (a, b, c)]
        assert [next(talk) for talk in talks] == [["ready"]] * 3
        for process in (a, b, c):
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        for writer, talk in enumerate(talks):
            acked += [(int(base), writer, int(x)) for _, x, base in talk]
        assert [process.wait() for process in (a, b, c)] == [0, 0, 0]
    acked.sort()
    with EmbeddedLog(file) as log:
        writers, xs = all_ticks(log)
        assert log.end_offsets("t.state") == {0: 3 * count}
    assert len(acked) == 3 * count
    assert [(writers[base], xs[base]) for base, _, _ in acked] == [(writer, x) for _, writer, x in acked]
    assert [base for base, _, _ in acked] == [0, *np.cumsum([rows_of(x) for _, _, x in acked])[:-1].tolist()]
    assert len(xs) == sum(rows_of(x) for _, _, x in acked)


def kill_at(file: Path, word: str, times: int, *, what: str = "killed") -> int:
    """Kill a writer right after it has said a word so often; return the last append it acknowledged, or -1."""
    last, seen = -1, 0
    with started(what, file) as process:
        for said in lines(process):
            last = int(said[1]) if said[0] == "ack" else last
            seen += said[0] == word
            if seen == times:
                process.kill()
        assert process.wait() == -9
    assert seen >= times
    return last


def assert_whole(file: Path, acked: int) -> int:
    """Check that appends 0..n are whole in both topics, for an n of at least `acked`; return how many there are."""
    with EmbeddedLog(file) as log:
        appends = log.end_offsets("t.state")[0]
        assert appends > acked
        assert all_ticks(log)[1] == [x for x in range(appends) for _ in range(rows_of(x))]
        newest = {f"k{x % 7}": x for x in range(appends)}
        page = log.view("t.state")
        found = dict(zip([key.decode() for key in page.keys], page.data.column("x").to_pylist(), strict=True))
        assert found == newest
        assert page.offsets.tolist() == page.timestamps.tolist() == [newest[key] for key in sorted(newest)]
    return appends


def test_a_killed_writer_leaves_every_acknowledged_append_and_no_half_of_another(tmp_path: Path) -> None:
    file = tmp_path / "log.db"
    acked, points = -1, [(word, times) for times in (1, 2, 3, 7, 20) for word in ("begin", "written", "commit", "ack")]
    assert len(points) >= 20
    for word, times in points:
        acked = max(acked, kill_at(file, word, times))
        appends = assert_whole(file, acked)
        acked = appends - 1
    assert acked >= 30


def found_in(log: EmbeddedLog) -> dict[bytes, tuple[int, int]]:
    """Return writer and x of the newest record of each key."""
    page = log.view("t.state")
    values = zip(page.data.column("writer").to_pylist(), page.data.column("x").to_pylist(), strict=True)
    return dict(zip(page.keys, values, strict=True))


def assert_indexable(log: EmbeddedLog, newest: dict[bytes, tuple[int, int]]) -> None:
    """Check the newest record of each key before and after the rest is indexed."""
    assert found_in(log) == newest
    list(log._indexer.steps("t.state", ALL))
    assert list(log._writer.execute("SELECT count(*) FROM tail")) == [(0,)]
    assert list(log._writer.execute("SELECT count(*) FROM newest")) == [(len(newest),)]
    assert found_in(log) == newest


def test_a_process_that_is_killed_while_it_indexes_leaves_a_right_view(tmp_path: Path) -> None:
    file, tails = tmp_path / "log.db", 0
    for word, times in [("ack", 1), ("step", 1), ("step", 5), ("step", 12), ("ack", 4), ("step", 21), ("step", 30)]:
        acked = kill_at(file, word, times, what="index")
        with EmbeddedLog(file, background=False) as log:
            appends = log.end_offsets("t.state")[0] // KEYED_ROWS
            assert appends > acked
            tails += len(list(log._writer.execute("SELECT 1 FROM tail")))
            assert_indexable(log, {key: (0, x) for x in range(appends) for key in keys_of(0, x)})
    assert tails > 3


def test_two_processes_that_append_and_index_at_once_agree(tmp_path: Path) -> None:
    file, count = tmp_path / "log.db", 40
    acked: list[tuple[int, int, int]] = []
    with started("together", file, 0, count) as a, started("together", file, 1, count) as b:
        talks = [lines(process) for process in (a, b)]
        assert [next(talk) for talk in talks] == [["ready"]] * 2
        for process in (a, b):
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        for writer, talk in enumerate(talks):
            acked += [(int(base), writer, int(x)) for _, x, base in talk]
        assert [process.wait() for process in (a, b)] == [0, 0]
    assert sorted(base for base, _, _ in acked) == list(range(0, 2 * count * KEYED_ROWS, KEYED_ROWS))
    with EmbeddedLog(file, background=False) as log:
        assert_indexable(log, {key: (writer, x) for _, writer, x in sorted(acked) for key in keys_of(writer, x)})


def test_a_full_disk_refuses_whole_appends_and_the_log_goes_on_afterwards(tmp_path: Path) -> None:
    file = tmp_path / "log.db"
    with started("fill", file, 2_000_000) as process:
        out, _ = process.communicate(timeout=120)
        assert process.returncode == 0
    told = json.loads(out)
    assert told["kept"] > 3
    assert told["ends"] == [5000 * told["kept"], told["kept"]]
    assert told["after"] == [5000 * (told["kept"] + 1), told["kept"] + 1]
    assert "no room left for the log" in told["message"]
    assert "free some disk space" in told["message"]
    with EmbeddedLog(file) as log:
        assert all_ticks(log)[1] == [x for x in range(told["kept"] + 1) for _ in range(5000)]


def append_until_full(log: EmbeddedLog) -> int:
    for kept in range(1000):
        try:
            log.append(batches(0, kept))
        except LogFullError:
            return kept
    raise AssertionError


def test_a_file_at_its_page_limit_is_full_and_goes_on_when_it_is_lifted(tmp_path: Path) -> None:
    with EmbeddedLog(tmp_path / "log.db") as log:
        log.create([TICKS, STATE])
        pages = log._writer.pragma("page_count")
        log._writer.pragma("max_page_count", pages + 4)
        kept = append_until_full(log)
        assert log.end_offsets("t.state")[0] == kept
        log._writer.pragma("max_page_count", 2**31)
        log.append(batches(0, kept))
        assert all_ticks(log)[1] == [x for x in range(kept + 1) for _ in range(rows_of(x))]


def test_a_file_cut_off_under_an_open_log_is_reported_as_damaged(tmp_path: Path) -> None:
    file = tmp_path / "log.db"
    with EmbeddedLog(file) as log:
        log.create([TICKS, STATE])
        for x in range(30):
            log.append(batches(0, x))
    whole = file.stat().st_size
    os.truncate(file, whole // 2)
    with pytest.raises(LogCorruptError, match=r"log\.db"):
        EmbeddedLog(file)
