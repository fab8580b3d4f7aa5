"""Runs one program, and ends it when those who need it are gone, however they went.

Started by `process.py` as a file of its own, so that it loads next to nothing: `keeper.py OPTIONS PROGRAM ARGUMENT…`,
where OPTIONS is JSON: `log` (file that gets what the program prints), `remove` (what to delete in the end), `until` (a
lock file; the program runs until nobody holds a shared lock on it; empty: until standard input ends), `hold` (a lock
file that it holds a shared lock on while it runs; empty: none). It prints the numbers of the program's process and of
its own, then the program's exit code; its output ends when it does.
"""

from __future__ import annotations

import ctypes
import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path

_PR_SET_PDEATHSIG = 1


def keep(options: dict[str, str], remove: list[str], command: list[str]) -> int:
    """Run a program to its end, or to the end of those who need it; returns its exit code."""
    gone = threading.Event()
    if options["hold"]:
        fcntl.flock(
            os.open(options["hold"], os.O_RDWR | os.O_CREAT, 0o644), fcntl.LOCK_SH
        )  # to the end of this process
    with Path(options["log"]).open("ab") as out:
        child = subprocess.Popen(  # noqa: S603
            command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, preexec_fn=_die_with_keeper  # noqa: PLW1509
        )  # fmt: skip
    _say(child.pid, os.getpid())

    def watch() -> None:
        _wait_until_unused(options["until"])
        gone.set()
        child.kill()

    threading.Thread(target=watch, daemon=True).start()
    code = child.wait()
    if gone.is_set():
        for path in map(Path, remove):
            shutil.rmtree(path, ignore_errors=True)
            with suppress(OSError):
                path.unlink()
    return code


def _say(*words: int) -> None:
    with suppress(BrokenPipeError):
        os.write(1, f"{' '.join(map(str, words))}\n".encode())


def _wait_until_unused(until: str) -> None:
    if until:
        fcntl.flock(os.open(until, os.O_RDWR), fcntl.LOCK_EX)  # never closed: held to the end of this process
    else:
        sys.stdin.buffer.read()


def _die_with_keeper() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


if __name__ == "__main__":
    if os.fork():  # whoever started this waits for nobody, and has no child that could become a zombie
        os._exit(0)
    _options = json.loads(sys.argv[1])
    _say(keep(_options, _options["remove"], sys.argv[2:]))
    os._exit(0)
