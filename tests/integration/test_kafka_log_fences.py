"""Writers that were paused, or shut each other out, on a real broker: nothing stale is written, and nothing twice."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.contract.log_contract import rows_at, xs_of
from tests.integration.kafka_log_processes import FENCE, PAUSE_AT, STATE, TICKS, batches
from tests.support_kafka_log import open_kafka_log

from ashioto.errors import StaleEpochError
from ashioto.log.base import Fence
from ashioto.log.kafka.transactions import NotCommittedError, Transactor
from ashioto.log.leases import Holder, Lease

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ashioto.log.kafka import KafkaLog
    from ashioto.log.kafka.write import Outgoing

SCRIPT = Path(__file__).with_name("kafka_log_processes.py")
SOURCE = Path(__file__).resolve().parents[2] / "src"
ME = Holder(name="test", pid=1, started=1, boot="b", space="s")


@pytest.fixture
def log(kafka: str, registry: str, unique: str, tmp_path: Path) -> Iterator[KafkaLog]:
    with open_kafka_log(kafka, registry, unique, tmp_path) as log:
        log.create([TICKS, STATE])
        yield log


@pytest.fixture
def other(kafka: str, registry: str, unique: str, tmp_path: Path, log: KafkaLog) -> Iterator[KafkaLog]:
    del log
    with open_kafka_log(kafka, registry, unique, tmp_path / "other") as other:
        yield other


@contextmanager
def started(log: KafkaLog, folder: Path, mode: str) -> Iterator[subprocess.Popen[str]]:
    options = log.options
    command = [sys.executable, str(SCRIPT), options.bootstrap, options.registry, options.prefix, str(folder), mode]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=os.environ | {"PYTHONPATH": str(SOURCE)}
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def until(process: subprocess.Popen[str], word: str) -> list[list[str]]:
    """Return what a process says, up to a word."""
    assert process.stdout is not None
    said: list[list[str]] = []
    for line in process.stdout:
        said.append(line.split())
        if said[-1][0] == word:
            return said
    raise AssertionError(f"it ended after {said}")


@pytest.mark.parametrize("mode", ["before", "inside", "anywhere"])
def test_a_writer_that_was_paused_writes_nothing_when_it_wakes(log: KafkaLog, tmp_path: Path, mode: str) -> None:
    with started(log, tmp_path / "theirs", mode) as process:
        before = until(process, "ack" if mode == "anywhere" else "paused")
        process.send_signal(signal.SIGSTOP)
        lease = Lease(name=FENCE, epoch=2, holder=ME, expires_ms=1)
        assert log.change_lease(FENCE, lambda _: lease) == lease
        log.append(batches(2, 100), fence=Fence(name=FENCE, epoch=2))
        process.send_signal(signal.SIGCONT)
        assert process.stdin is not None
        process.stdin.write("go on\n")
        process.stdin.flush()
        after = until(process, "stale")
        assert process.wait(30) == 0
    acked = [int(words[1]) for words in (*before, *after) if words[0] == "ack"]
    assert acked == list(range(PAUSE_AT if mode != "anywhere" else len(acked)))
    log.append(batches(2, 101), fence=Fence(name=FENCE, epoch=2))
    for topic, rows in (("t.ticks", 3), ("t.state", 1)):
        found = [(row["epoch"], row["x"]) for row in rows_at(log, topic).values()]
        assert found == [(1, x) for x in acked for _ in range(rows)] + [(2, x) for x in (100, 101) for _ in range(rows)]


def test_two_writers_of_one_epoch_both_get_through_and_nothing_is_written_twice(log: KafkaLog, other: KafkaLog) -> None:
    for x in range(8):
        (log if x % 2 else other).append(batches(1, x), fence=Fence(name=FENCE, epoch=1))
    assert xs_of(log, "t.ticks") == [x for x in range(8) for _ in range(3)]


def test_leases_and_appends_of_one_process_do_not_disturb_each_other(log: KafkaLog) -> None:
    for x in range(6):
        lease = Lease(name=FENCE, epoch=1, holder=ME, expires_ms=x)
        log.change_lease(FENCE, lambda _, made=lease: made)  # type: ignore[misc]  # bound now
        log.append(batches(1, x), fence=Fence(name=FENCE, epoch=1))
    assert log.lease(FENCE) == Lease(name=FENCE, epoch=1, holder=ME, expires_ms=5)
    assert xs_of(log, "t.state") == list(range(6))


@pytest.mark.parametrize("fence", [None, Fence(name=FENCE, epoch=1)])
@pytest.mark.parametrize(("really", "said"), [(False, -185), (True, -185), (False, -1), (True, -1), (False, 48)])
def test_what_became_of_an_append_whose_commit_was_not_confirmed_is_found_out(
    log: KafkaLog, monkeypatch: pytest.MonkeyPatch, fence: Fence | None, *, really: bool, said: int
) -> None:
    from confluent_kafka import KafkaError

    from ashioto.log.kafka.transactions import _probe

    assert {-185: "_TIMED_OUT", -1: "UNKNOWN", 48: "INVALID_TXN_STATE"}[said] == KafkaError(said).name()

    log.append(batches(1, 0), fence=fence)
    inner, failures = Transactor.write, [True]

    def unanswered(self: Transactor, found: list[Outgoing]) -> None:
        if not failures:
            inner(self, found)
            return
        failures.pop()
        inner(self, found)
        if not really:  # as if its records had been aborted: where they would be, there is the end of a transaction
            for one in found:
                one.offsets[-1:] = log.end_offsets(one.topic.spec.name)[0] - 1
        self.drop()
        raise NotCommittedError(KafkaError(said, retriable=said == KafkaError._TIMED_OUT), _probe(found))

    monkeypatch.setattr(Transactor, "write", unanswered)
    done = log.append(batches(1, 1), fence=fence)
    wanted = [0, 1] if really else [0, 1, 1]
    assert xs_of(log, "t.state") == wanted
    assert done[-1].count == 1
    found = rows_at(log, "t.state")
    assert found[done[-1].base_offset]["x"] == 1


def test_a_newer_writer_is_not_shut_out_by_an_older_one_that_tries(log: KafkaLog, other: KafkaLog) -> None:
    log.append(batches(1, 0), fence=Fence(name=FENCE, epoch=1))
    other.append(batches(2, 1), fence=Fence(name=FENCE, epoch=2))
    for _ in range(3):
        with pytest.raises(StaleEpochError):
            log.append(batches(1, 9), fence=Fence(name=FENCE, epoch=1))
        assert other._fenced._kept[FENCE].writer._transactor.ready
        other.append(batches(2, 2), fence=Fence(name=FENCE, epoch=2))
    assert xs_of(log, "t.state") == [0, 1, 2, 2, 2]
