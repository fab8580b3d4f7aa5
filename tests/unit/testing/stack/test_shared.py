from __future__ import annotations

import subprocess
import sys
import textwrap
from typing import TYPE_CHECKING

from ashioto.testing.stack.process import KeptProcess
from ashioto.testing.stack.ready import wait_until
from ashioto.testing.stack.shared import shared

if TYPE_CHECKING:
    from pathlib import Path

CODE = """
    import sys
    from pathlib import Path
    from ashioto.testing.stack.process import KeptProcess
    from ashioto.testing.stack.shared import shared
    here = Path(sys.argv[1])
    start = lambda lock: str(KeptProcess("sleeper", ["sleep", "60"], log=here / "log", until=lock).pid)
    with shared(here, "sleeper", start) as pid:
        print(pid, flush=True)
        input()
"""


def user(folder: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", textwrap.dedent(CODE), str(folder)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def pid_of(process: subprocess.Popen[str]) -> int:
    assert process.stdout is not None
    return int(process.stdout.readline())


def alive(folder: Path, pid: int) -> bool:
    return (folder.parents[-1] / "proc" / str(pid) / "stat").exists()


def test_users_at_the_same_time_share_one_and_it_ends_with_the_last(tmp_path: Path) -> None:
    with user(tmp_path) as first, user(tmp_path) as second:
        pid = pid_of(first)
        assert pid_of(second) == pid
        first.kill()
        first.wait()
        with user(tmp_path) as third:
            assert pid_of(third) == pid
            third.communicate("\n")
        assert alive(tmp_path, pid)
        second.kill()
    assert wait_until(lambda: not alive(tmp_path, pid), timeout_s=20)
    assert wait_until(lambda: not (tmp_path / "sleeper.started").exists(), timeout_s=20)


def test_who_comes_after_the_end_gets_a_new_one(tmp_path: Path) -> None:
    pids = set()
    for _ in range(3):
        with user(tmp_path) as one:
            pids.add(pid_of(one))
            one.communicate("\n")
    assert len(pids) == 3
    assert wait_until(lambda: not any(alive(tmp_path, pid) for pid in pids), timeout_s=20)


def test_a_start_that_fails_leaves_the_way_free_for_the_next(tmp_path: Path) -> None:
    def start(lock: Path) -> str:
        return str(KeptProcess("sleeper", ["sleep", "60"], log=tmp_path / "log", until=lock).pid)

    def broken(_: Path) -> str:
        raise OSError

    try:
        with shared(tmp_path, "sleeper", broken):
            raise AssertionError
    except OSError:
        pass
    with shared(tmp_path, "sleeper", start) as pid:
        assert alive(tmp_path, int(pid))
    assert wait_until(lambda: not alive(tmp_path, int(pid)), timeout_s=20)
