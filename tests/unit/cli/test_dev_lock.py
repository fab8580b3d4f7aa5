from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from ashioto.cli.dev_lock import DevRunningError, dev_lock, running

if TYPE_CHECKING:
    from pathlib import Path

HOLD = """
import sys
from pathlib import Path
from ashioto.cli.dev_lock import dev_lock
with dev_lock(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_one_at_a_time(tmp_path: Path) -> None:
    log = tmp_path / "log.db"
    assert running(log) is None
    with dev_lock(log):
        assert running(log) == str(os.getpid())
        with pytest.raises(DevRunningError, match=f"another rc dev \\(process {os.getpid()}\\) runs on"), dev_lock(log):
            pass
        assert running(log) == str(os.getpid())
        with dev_lock(tmp_path / "other.db"):
            pass
    assert running(log) is None
    with dev_lock(log):
        pass


def test_it_tells_callers_that_a_lock_is_held() -> None:
    assert DevRunningError.exit_code == 5


def test_a_process_that_is_killed_holds_nothing(tmp_path: Path) -> None:
    log = tmp_path / "log.db"
    command = [sys.executable, "-c", HOLD, str(log)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        assert running(log) == str(process.pid)
        process.kill()
        process.wait()
        assert running(log) is None
        with dev_lock(log):
            assert running(log) == str(os.getpid())
