"""`python -m ashioto.testing.stack fetch`: gets everything that the test stack needs, before it is needed."""

from __future__ import annotations

import argparse
import sys

from ashioto.errors import AshiotoError
from ashioto.testing.stack.broker import Broker
from ashioto.testing.stack.flink import Flink
from ashioto.testing.stack.jars import Jars, cache_folder
from ashioto.testing.stack.java import find_java


def main(words: list[str]) -> int:
    """Run a command; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m ashioto.testing.stack", description=__doc__)
    parser.add_argument("command", choices=["fetch"], help="fetch: get all files and check them")
    parser.add_argument("--flink", action="store_true", help="also what Flink needs: 180 MB, and as much on disk again")
    options = parser.parse_args(words)
    try:
        _fetch(flink=options.flink)
    except AshiotoError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    return 0


def _fetch(*, flink: bool) -> None:
    java = find_java()
    print(f"Java {java.version}: {java.command}", flush=True)  # noqa: T201
    for name in ("kafka", java.registry_set, *(["flink"] if flink else [])):
        counted = _Counted(name)
        counted.jars.folder(name)
        print(f"\r{name}: {counted.total} of {counted.total} files checked", flush=True)  # noqa: T201
    with Broker():
        print("a broker starts", flush=True)  # noqa: T201
    if flink:
        with Flink():
            print("Flink starts", flush=True)  # noqa: T201
    print(f"in {cache_folder()}")  # noqa: T201


class _Counted:
    """Counts the files of a set as they come."""

    def __init__(self, name: str) -> None:
        self.jars = Jars(tell=self._tell)
        self.total = len(self.jars.files(name))
        self._name = name
        self._count = 0
        print(f"{name}: looking", end="", flush=True)  # noqa: T201

    def _tell(self, file: str) -> None:
        self._count += 1
        end = "" if sys.stdout.isatty() else "\n"
        print(f"\r{self._name}: {self._count} of {self.total} {file:<60}", end=end, flush=True)  # noqa: T201


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
