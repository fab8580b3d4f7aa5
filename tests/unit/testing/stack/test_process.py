from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from ashioto.errors import StackError
from ashioto.testing.stack.process import KeptProcess
from ashioto.testing.stack.ready import wait_until

GONE = {"", "Z", "X"}


def state_of(pid: int) -> str:
    """State of a process as /proc says it; empty when there is none."""
    try:
        return Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()[0]
    except OSError:
        return ""


def gone(pid: int) -> bool:
    return wait_until(lambda: state_of(pid) in GONE, timeout_s=20)


def test_a_killed_program_is_gone_when_kill_returns(tmp_path: Path) -> None:
    process = KeptProcess("sleeper", ["sleep", "60"], log=tmp_path / "log")
    assert process.wait(0) is None
    assert state_of(process.pid) not in GONE
    process.kill()
    assert process.wait(0) == -signal.SIGKILL
    assert state_of(process.pid) == ""


def test_a_paused_program_can_be_resumed_and_stopped(tmp_path: Path) -> None:
    process = KeptProcess("sleeper", ["sleep", "60"], log=tmp_path / "log")
    process.send(signal.SIGSTOP)
    assert wait_until(lambda: state_of(process.pid) == "T", timeout_s=20)
    assert process.running
    process.send(signal.SIGCONT)
    assert wait_until(lambda: state_of(process.pid) == "S", timeout_s=20)
    process.send(signal.SIGSTOP)
    process.stop()
    assert state_of(process.pid) == ""


def test_a_program_that_does_not_end_when_asked_is_killed(tmp_path: Path) -> None:
    script = "trap '' TERM; echo trapped; while true; do sleep 0.1; done"
    process = KeptProcess("stubborn", ["sh", "-c", script], log=tmp_path / "log")
    assert wait_until(lambda: "trapped" in (tmp_path / "log").read_text("utf-8"), timeout_s=20)
    process.stop(timeout_s=0.3)
    assert gone(process.pid)


def test_what_it_printed_last_is_in_the_error(tmp_path: Path) -> None:
    process = KeptProcess("counter", ["sh", "-c", "seq 100; echo no such setting >&2; exit 3"], log=tmp_path / "log")
    assert process.wait(20) == 3
    error = process.failure("ended")
    assert error.message.startswith("counter ended; the last lines of its log:\n  77\n")
    assert error.message.endswith("  no such setting")
    assert error.hint


def test_a_program_that_is_none_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(StackError, match="ghost could not be started: /no/such/program"):
        KeptProcess("ghost", ["/no/such/program"], log=tmp_path / "log")


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_a_program_does_not_outlive_the_process_that_started_it(tmp_path: Path, how: signal.Signals) -> None:
    (tmp_path / "data").mkdir()
    code = f"""
        from pathlib import Path
        from ashioto.testing.stack.process import KeptProcess
        here = Path({str(tmp_path)!r})
        print(KeptProcess("sleeper", ["sleep", "60"], log=here / "log", remove=[here / "data"]).pid, flush=True)
        input()
    """
    command = [sys.executable, "-c", textwrap.dedent(code)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as owner:
        assert owner.stdout is not None
        pid = int(owner.stdout.readline())
        assert state_of(pid) not in GONE
        owner.send_signal(how)
    assert gone(pid)
    assert wait_until(lambda: not (tmp_path / "data").exists(), timeout_s=20)


def test_a_program_does_not_outlive_its_keeper(tmp_path: Path) -> None:
    process = KeptProcess("sleeper", ["sleep", "60"], log=tmp_path / "log")
    os.kill(process.keeper, signal.SIGKILL)
    assert process.wait(20) == -1
    assert gone(process.pid)


def test_a_program_that_another_holds_ends_with_it(tmp_path: Path) -> None:
    lock = tmp_path / "users"
    leader = KeptProcess("leader", ["sleep", "60"], log=tmp_path / "log", hold=lock)
    follower = KeptProcess("follower", ["sleep", "60"], log=tmp_path / "log", until=lock)
    assert follower.running
    leader.kill()
    assert follower.wait(20) == -signal.SIGKILL
