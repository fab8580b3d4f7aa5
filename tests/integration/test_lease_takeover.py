"""A leader that is paused is replaced: where it holds the log it is ended, and it never writes again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import apsw
import pytest
from tests.contract.log_contract import xs_of
from tests.integration.lease_processes import MARKERS, ROLE, election_of, marker

from ashioto.clock import SystemClock
from ashioto.errors import StaleEpochError
from ashioto.log.base import Fence
from ashioto.log.embedded import EmbeddedLog

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ashioto.control.election import LeaseElection

SCRIPT = Path(__file__).with_name("lease_processes.py")
SOURCE = Path(__file__).resolve().parents[2] / "src"
PATIENCE_S = 60.0
pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs /proc and pidfd")


@contextmanager
def paused_leader(file: Path, what: str) -> Iterator[subprocess.Popen[str]]:
    """Start a leader and pause it once it leads."""
    with subprocess.Popen(
        [sys.executable, str(SCRIPT), str(file), what],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(SOURCE)},
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "leads 1\n"
            process.send_signal(signal.SIGSTOP)
            os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WNOWAIT)
            yield process
        finally:
            process.kill()


def take_over(election: LeaseElection) -> int:
    """Campaign until it succeeds."""
    deadline = SystemClock().monotonic() + PATIENCE_S
    while (epoch := election.campaign()) is None:
        assert SystemClock().monotonic() < deadline
    return epoch


def test_a_leader_that_is_paused_inside_a_write_is_ended_and_replaced(tmp_path: Path) -> None:
    file = tmp_path / "log.db"
    with paused_leader(file, "holding") as leader, EmbeddedLog(file, lease_timeout_ms=100) as log:
        known = log.lease(ROLE)
        assert known is not None
        assert known.holder is not None
        assert (known.epoch, known.holder.pid) == (1, leader.pid)
        assert xs_of(log, "t.markers") == [1]
        assert take_over(election_of(log)) == 2
        assert leader.wait(PATIENCE_S) == -signal.SIGKILL
        with pytest.raises(StaleEpochError):
            log.append([marker(2)], fence=Fence(name=ROLE, epoch=1))
        log.append([marker(3)], fence=Fence(name=ROLE, epoch=2))
        assert xs_of(log, "t.markers") == [1, 3]
        assert log.create([MARKERS]) == []


def test_a_leader_that_is_paused_elsewhere_lives_and_is_shut_out(tmp_path: Path) -> None:
    file = tmp_path / "log.db"
    with paused_leader(file, "writing") as leader, EmbeddedLog(file, lease_timeout_ms=100) as log:
        assert take_over(election_of(log)) == 2
        leader.send_signal(signal.SIGCONT)
        out, _ = leader.communicate("\n", timeout=PATIENCE_S)
        assert out.splitlines() == ["refused 5", "lost 5"]
        assert leader.returncode == 0
        assert xs_of(log, "t.markers") == [1]


def test_a_leader_is_not_ended_for_a_log_that_another_process_holds(tmp_path: Path) -> None:
    file = tmp_path / "log.db"
    with paused_leader(file, "writing") as leader, EmbeddedLog(file, lease_timeout_ms=20) as log:
        other = apsw.Connection(str(file))
        other.execute("BEGIN IMMEDIATE")
        election = election_of(log)
        deadline = SystemClock().monotonic() + PATIENCE_S
        while election.leader() is not None:
            assert SystemClock().monotonic() < deadline
        assert election.campaign() is None
        other.execute("ROLLBACK")
        other.close()
        assert take_over(election) == 2
        assert leader.poll() is None


def test_a_leader_that_was_killed_is_replaced_at_once(tmp_path: Path) -> None:
    file = tmp_path / "log.db"
    with paused_leader(file, "holding") as leader, EmbeddedLog(file) as log:
        leader.kill()
        leader.wait(PATIENCE_S)
        assert election_of(log).campaign() == 2
        log.append([marker(3)], fence=Fence(name=ROLE, epoch=2))
        assert xs_of(log, "t.markers") == [1, 3]
