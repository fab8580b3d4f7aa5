"""Measures how long `import ashioto` and `rc --help` take, each in fresh processes, beside a bare interpreter.

Run as `python bench/startup.py [--runs N]`. The commands take turns, so that a busy moment of the machine meets all of
them. `import ashioto` is the time above the bare interpreter; `rc --help` is the whole process, as a user waits for it.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from pathlib import Path

COMMANDS = {
    "python -c pass": [sys.executable, "-c", "pass"],
    "python -c 'import ashioto'": [sys.executable, "-c", "import ashioto"],
    "rc --help": [str(Path(sys.executable).with_name("rc")), "--help"],
}


def seconds(command: list[str]) -> float:
    start = time.perf_counter()
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=10)
    runs: int = parser.parse_args().runs
    for command in COMMANDS.values():
        seconds(command)  # files of the first run are read from the disk
    took: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(runs):
        for name, command in COMMANDS.items():
            took[name].append(seconds(command))
    bare, imported, helped = (statistics.median(found) * 1000 for found in took.values())
    print(f"python -c pass   {bare:6.0f} ms, the median of {runs} fresh processes")
    print(
        f"import ashioto   {imported - bare:6.0f} ms more, {imported / bare:.1f} times a bare python (to reach: 150 ms)"
    )
    print(f"rc --help        {helped:6.0f} ms, {helped / bare:.1f} times a bare python (to reach: 300 ms)")


if __name__ == "__main__":
    main()
