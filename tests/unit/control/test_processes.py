"""Real processes: who is gone, and who is ended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from ashioto.control import processes
from ashioto.control.processes import MachineProcesses, this_process

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ashioto.log.leases import Holder

MACHINE = MachineProcesses()
pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs /proc")


@pytest.fixture
def child() -> Iterator[subprocess.Popen[str]]:
    """Return a process that waits for a line."""
    with subprocess.Popen(
        [sys.executable, "-c", "input()"], stdin=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        yield process
        process.kill()


@pytest.fixture
def holder(child: subprocess.Popen[str]) -> Holder:
    found = processes._stat(child.pid)
    assert found is not None
    return replace(this_process(), name="child", pid=child.pid, started=found[1])


def killed(child: subprocess.Popen[str]) -> None:
    """Kill a process and wait until it has ended; it stays a zombie."""
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)


def test_this_process_is_told_apart_from_others(holder: Holder) -> None:
    me = this_process("hb")
    assert me.name.endswith(f":{os.getpid()}:hb")
    assert this_process().name.endswith(f":{os.getpid()}")
    assert me.started > 0
    assert me.boot
    assert me.space
    assert this_process("hb") == me
    assert (holder.boot, holder.space) == (me.boot, me.space)
    assert holder.started >= me.started


def test_a_name_with_spaces_and_brackets_is_read_right(tmp_path: os.PathLike[str]) -> None:
    odd = os.path.join(tmp_path, "a) R 1 (b")  # noqa: PTH118 (a name of a program)
    os.symlink(sys.executable, odd)  # noqa: PTH211 (the same)
    with subprocess.Popen([odd, "-c", "input()"], stdin=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        found = processes._stat(process.pid)
        process.kill()
    assert found is not None
    assert found[0] in {"R", "S", "D"}
    assert found[1] >= this_process().started


def test_one_that_runs_is_not_gone(holder: Holder) -> None:
    assert not MACHINE.is_gone(holder)
    assert not MACHINE.is_gone(this_process())


def test_one_that_is_paused_is_not_gone(child: subprocess.Popen[str], holder: Holder) -> None:
    child.send_signal(signal.SIGSTOP)
    os.waitid(os.P_PID, child.pid, os.WSTOPPED | os.WNOWAIT)
    assert not MACHINE.is_gone(holder)


def test_one_that_ended_is_gone_while_it_is_a_zombie_and_after(child: subprocess.Popen[str], holder: Holder) -> None:
    killed(child)
    found = processes._stat(child.pid)
    assert found is not None
    assert found[0] == "Z"
    assert MACHINE.is_gone(holder)
    child.wait()
    assert processes._stat(child.pid) is None
    assert MACHINE.is_gone(holder)


def test_a_number_that_is_used_again_means_gone(holder: Holder) -> None:
    assert MACHINE.is_gone(replace(holder, started=holder.started - 1))


def test_one_of_before_the_machine_was_started_is_gone(holder: Holder) -> None:
    assert MACHINE.is_gone(replace(holder, boot="another"))
    assert MACHINE.is_gone(replace(holder, boot="another", space="pid:[1]"))


@pytest.mark.parametrize("unknown", [{"space": "pid:[1]"}, {"space": ""}, {"pid": 0}, {"boot": ""}])
def test_nothing_is_certain_of_one_that_cannot_be_seen(
    child: subprocess.Popen[str], holder: Holder, unknown: dict[str, str | int]
) -> None:
    unseen = replace(holder, **unknown)  # type: ignore[arg-type]  # fields by name
    assert not MACHINE.is_gone(unseen)
    killed(child)
    assert not MACHINE.is_gone(unseen)


def test_nothing_is_certain_where_the_system_tells_nothing(
    child: subprocess.Popen[str], holder: Holder, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed(child)
    monkeypatch.setattr(processes, "_boot", lambda: "")
    assert not MACHINE.is_gone(holder)


def test_a_paused_process_is_ended_and_no_other(child: subprocess.Popen[str], holder: Holder) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        child.send_signal(signal.SIGSTOP)
        assert MACHINE.end(holder)
        assert child.wait() == -signal.SIGKILL
        assert other.poll() is None
        other.communicate(b"\n")
        assert other.returncode == 0
    assert not MACHINE.end(holder)


@pytest.mark.parametrize(
    "changed", [{"started": 1}, {"started": 0}, {"boot": "another"}, {"boot": ""}, {"space": "pid:[1]"}, {"space": ""}]
)
def test_one_that_may_be_another_is_not_ended(
    child: subprocess.Popen[str], holder: Holder, changed: dict[str, str | int]
) -> None:
    assert not MACHINE.end(replace(holder, **changed))  # type: ignore[arg-type]  # fields by name
    child.communicate("\n")
    assert child.returncode == 0


def test_a_number_that_is_used_again_at_the_last_moment_is_not_ended(
    child: subprocess.Popen[str], holder: Holder, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = os.pidfd_open

    def open_late(pid: int) -> int:
        monkeypatch.setattr(processes, "_stat", lambda _: ("S", holder.started + 1))
        return opened(pid)

    monkeypatch.setattr(os, "pidfd_open", open_late)
    files = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 (not a folder of files)
    assert not MACHINE.end(holder)
    assert len(os.listdir("/proc/self/fd")) == files  # noqa: PTH208 (not a folder of files)
    child.communicate("\n")
    assert child.returncode == 0


def test_this_process_does_not_end_itself() -> None:
    assert not MACHINE.end(this_process())
    assert not MACHINE.end(this_process("another role"))


def test_where_there_are_no_handles_nobody_is_ended(
    child: subprocess.Popen[str], holder: Holder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(os, "pidfd_open")
    assert not MACHINE.end(holder)
    assert child.poll() is None


def test_one_that_may_not_be_ended_is_not(holder: Holder, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(signal, "pidfd_send_signal", refuse)
    assert not MACHINE.end(holder)
