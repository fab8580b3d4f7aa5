"""The roles of a project as real processes: started, signalled, and always ended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Self

from ashioto.clock import SystemClock

if TYPE_CHECKING:
    from collections.abc import Callable

    from ashioto.log.leases import Lease, Leases

ROOT = Path(__file__).resolve().parents[1]
RC = [sys.executable, "-m", "ashioto.cli.app"]
CLOCK = SystemClock()
PATIENCE = 60.0


def environment() -> dict[str, str]:
    """Return what processes need to find the code and the declarations of tests."""
    return os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)]), "COLUMNS": "200"}


def rc(folder: Path, *args: object, code: int | None = 0, patience_s: float = PATIENCE) -> str:
    """Run `rc` in a project; returns what it said.

    It must leave with the code, if there is one, and never with a traceback. What went to stderr is left out where all
    went well.
    """
    command = [*RC, *map(str, args)]
    done = subprocess.run(
        command, cwd=folder, env=environment(), capture_output=True, text=True, check=False, timeout=patience_s
    )
    said = done.stdout + done.stderr
    assert code in {None, done.returncode}, said
    assert "Traceback" not in said
    return done.stdout if done.returncode == 0 else said


def wait_until(
    true: Callable[[], bool], *, every: float = 0.02, what: str = "it", patience_s: float = PATIENCE
) -> None:
    """Look again and again until something holds; after a while it never will."""
    end = CLOCK.monotonic() + patience_s
    while not true():
        assert CLOCK.monotonic() < end, f"{what} never came"
        CLOCK.sleep(every)


class Role:
    """A command in the background; what it says goes to a file of its own.

    Args:
        folder: The project.
        args: The command.
    """

    _started = 0

    def __init__(self, folder: Path, *args: object) -> None:
        Role._started += 1
        self.args = " ".join(map(str, args))
        self.file = folder / f"{Role._started:04}-{'-'.join(map(str, args[:2]))}.out"
        with self.file.open("wb") as out:
            self.process = subprocess.Popen(
                [*RC, *map(str, args)], cwd=folder, env=environment(), stdin=subprocess.DEVNULL, stdout=out, stderr=out
            )

    @property
    def pid(self) -> int:
        """Its number."""
        return self.process.pid

    @property
    def text(self) -> str:
        """What it has said so far."""
        return self.file.read_text("utf-8", errors="replace")

    @property
    def runs(self) -> bool:
        """Whether it has not ended."""
        return self.process.poll() is None

    def says(self, text: str) -> bool:
        """Return whether it has said something; it must not have ended without that."""
        there = text in self.text
        assert there or self.runs, f"{self.args} ended with {self.process.returncode}: {self.text}"
        return there

    def wait_for(self, text: str) -> None:
        """Wait until it says something."""
        wait_until(lambda: self.says(text), what=f"{text!r} of {self.args}")

    def send(self, number: signal.Signals) -> None:
        """Send a signal; a stop has taken effect when this returns."""
        self.process.send_signal(number)
        if number == signal.SIGSTOP:
            os.waitid(os.P_PID, self.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal, and return the exit code."""
        if self.runs:
            self.process.send_signal(number)
        return self.wait()

    def wait(self) -> int:
        """Return the exit code once it has ended."""
        return self.process.wait(PATIENCE)


class Roles:
    """Starts roles of a project; all have ended when the block has.

    Args:
        folder: The project.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.started: list[Role] = []

    def __enter__(self) -> Self:
        self._before = signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored here, children ignore it too
        return self

    def __exit__(self, *_: object) -> None:
        for one in self.started:
            one.end(signal.SIGKILL)
        signal.signal(signal.SIGINT, self._before)

    def start(self, *args: object) -> Role:
        """Start a command."""
        role = Role(self.folder, *args)
        self.started.append(role)
        return role

    def tracebacks(self) -> list[str]:
        """Return what those said that came to grief."""
        return [f"{one.args}: {one.text}" for one in self.started if "Traceback" in one.text]


def lease_of(log: Leases, role: str) -> Lease:
    """Return a lease that somebody has had."""
    found = log.lease(role)
    assert found is not None, f"nobody ever had {role}"
    return found


def leader(log: Leases, role: str, among: list[Role]) -> Role | None:
    """Return which of some processes has a role; None when none of them does."""
    found = log.lease(role)
    pid = None if found is None or found.holder is None else found.holder.pid
    return next((one for one in among if one.pid == pid and one.runs), None)
