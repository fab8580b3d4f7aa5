"""A program that never outlives those who started it."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ashioto.clock import SystemClock
from ashioto.errors import StackError
from ashioto.testing.stack.shared import started_file

if TYPE_CHECKING:
    from collections.abc import Sequence

_KEEPER: Final = str(Path(__file__).with_name("keeper.py"))
_LINES: Final = 25
_LOOK_S: Final = 0.01
_CLOCK: Final = SystemClock()


class KeptProcess:
    """A running program with a keeper that ends it when this process does, or when nobody holds a lock any more.

    Args:
        name: What it is called in messages.
        command: The program and its arguments.
        log: Gets what it prints.
        remove: Files and folders that the keeper deletes when it ends the program.
        until: The lock file of `shared`: the program outlives this process, and runs until nobody holds a shared lock.
        hold: A lock file for the `until` of other programs, which then end with this one.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     process = KeptProcess("a sleeper", ["sleep", "60"], log=Path(folder) / "log")
    ...     process.kill()
    ...     process.running
    False
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        log: Path,
        remove: Sequence[Path] = (),
        until: Path | None = None,
        hold: Path | None = None,
    ) -> None:
        self.name = name
        self._log = log
        removed = [*remove] if until is None else [*remove, started_file(until)]
        options = {
            "log": str(log),
            "remove": [str(p) for p in removed],
            "until": str(until or ""),
            "hold": str(hold or ""),
        }
        self._said, self._held = _start_keeper([json.dumps(options), *command])
        self._code: int | None = None
        words = _line(self._said).split()
        if not words:
            self._end(-1)
            raise StackError(f"{name} could not be started: {command[0]}", hint="is that a program?", name=name)
        self.pid, self.keeper = map(int, words)

    @property
    def running(self) -> bool:
        """Whether the program runs, or is paused."""
        return self.wait(0) is None

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the program; nothing happens when it has ended."""
        if self.running:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def pause(self) -> None:
        """Stop the program from running; it does not run any more when this returns."""
        self.send(signal.SIGSTOP)
        while self.running and not _state(self.pid).startswith("T"):
            _CLOCK.sleep(_LOOK_S)

    def wait(self, timeout_s: float) -> int | None:
        """Return the exit code once the program has ended, -1 when nobody knows it; None when it still runs then."""
        if self._code is None:
            speaks = select.poll()
            speaks.register(self._said, select.POLLIN)
            if speaks.poll(timeout_s * 1_000):
                self._end(int(_line(self._said) or -1))
        return self._code

    def kill(self) -> None:
        """End the program at once, as kill -9 does, and wait until it is gone."""
        self.send(signal.SIGKILL)
        self.wait(60)

    def stop(self, *, timeout_s: float = 20) -> None:
        """Ask the program to end, wait for it, and kill it when it does not."""
        self.send(signal.SIGCONT)
        self.send(signal.SIGTERM)
        if self.wait(timeout_s) is None:
            self.kill()

    def failure(self, what: str) -> StackError:
        """Return an error that shows the last lines that the program printed.

        Args:
            what: What went wrong, e.g. `did not get ready within 60 s`.
        """
        return StackError(
            f"{self.name} {what}; the last lines of its log:\n{last_lines(self._log)}",
            hint="the lines above say why; a settings name in them is one that you gave",
            name=self.name,
        )

    def _end(self, code: int) -> None:
        self._code = code
        os.close(self._said)
        os.close(self._held)


def _state(pid: int) -> str:
    """Return the state of a process as `ps` tells it; nothing where there is none."""
    asked = subprocess.run(["ps", "-o", "state=", "-p", str(pid)], check=False, capture_output=True, text=True)  # noqa: S603, S607
    return asked.stdout.strip()


def last_lines(log: Path) -> str:
    """Return the last lines of a log, indented, without the frames of Java's stack traces.

    Args:
        log: A text file.
    """
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    telling = [line for line in lines if not line.startswith("\tat ")]
    return "\n".join(f"  {line}" for line in telling[-_LINES:])


def _start_keeper(words: Sequence[str]) -> tuple[int, int]:
    """Return what a new keeper says, and what is to be held open as long as it is needed: two file descriptors."""
    said, says = os.pipe()
    reads, held = os.pipe()
    command = [sys.executable, "-I", "-S", _KEEPER, *words]
    try:
        subprocess.run(  # noqa: S603
            command, stdin=reads, stdout=says, stderr=subprocess.DEVNULL, start_new_session=True, check=True
        )
    finally:
        os.close(says)
        os.close(reads)
    return said, held


def _line(descriptor: int) -> str:
    """Return the next line; empty at the end."""
    found = b""
    while not found.endswith(b"\n") and (byte := os.read(descriptor, 1)):
        found += byte
    return found.decode().strip()
