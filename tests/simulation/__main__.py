"""Runs many seeds: `python -m tests.simulation --seeds 1000000`."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections import Counter
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Final

from tests.simulation.options import changed
from tests.simulation.report import figures, told, totals
from tests.simulation.run import simulate

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from concurrent.futures import Future

    from tests.simulation.run import Result

CHUNK: Final = 20


def run_chunk(seeds: range, texts: Sequence[str]) -> list[Result]:
    """Run some seeds one after another."""
    return [simulate(seed, changed=partial(changed, texts=texts)) for seed in seeds]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run seeds until all are done, time is up, or one has failed and shall end it; returns 1 when any failed."""
    given = _parsed(arguments)
    run = _Run(given)
    chunks = (range(at, min(at + CHUNK, run.end)) for at in range(given.first, run.end, CHUNK))
    if given.processes == 1:
        for seeds in chunks:
            if run.is_over:
                break
            run.take(run_chunk(seeds, given.options))
    else:
        with ProcessPoolExecutor(given.processes) as pool:
            run.share(pool, chunks)
    run.close()
    return 1 if run.failed else 0


class _Run:
    """Counts what has been done."""

    def __init__(self, given: argparse.Namespace) -> None:
        self._given = given
        self._begun = time.monotonic()
        self._told = self._begun
        self.end: int = given.first + given.seeds
        self.done = 0
        self.counts: Counter[str] = Counter()
        self.failed: list[int] = []

    @property
    def is_over(self) -> bool:
        """Whether no more seeds are begun."""
        late = self._given.seconds is not None and time.monotonic() - self._begun >= self._given.seconds
        return late or bool(self.failed and self._given.stop)

    def share(self, pool: ProcessPoolExecutor, chunks: Iterator[range]) -> None:
        """Have chunks run by several processes, a few ahead."""
        waiting: set[Future[list[Result]]] = set()
        while True:
            room = 0 if self.is_over else 2 * self._given.processes - len(waiting)
            waiting |= {pool.submit(run_chunk, seeds, self._given.options) for seeds in islice(chunks, room)}
            if not waiting:
                return
            ready, waiting = wait(waiting, return_when=FIRST_COMPLETED)
            for future in ready:
                self.take(future.result())

    def take(self, results: list[Result]) -> None:
        """Count some results, and tell of failures at once."""
        self.done += len(results)
        self.counts += totals(results)
        for result in results:
            if result.failure:
                self.failed.append(result.seed)
                _say(told(result))
        if time.monotonic() - self._told >= self._given.every:
            self._told = time.monotonic()
            self._progress()

    def close(self) -> None:
        """Tell how it ended."""
        self._progress()
        _say(" ".join(f"{name}={count}" for name, count in figures(self.counts).items()))
        _say(f"failed: {sorted(self.failed)}" if self.failed else "every promise held")

    def _progress(self) -> None:
        passed = time.monotonic() - self._begun
        rate = self.done / passed if passed else 0.0
        done = f"{self.done} of {self._given.seeds} seeds in {passed:.0f} s, {rate:.1f} a second"
        _say(f"{done}, {len(self.failed)} failed")


def _parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description="Simulates seeds, and judges them.")
    parser.add_argument("--seeds", type=int, default=2_000, help="how many")
    parser.add_argument("--first", type=int, default=0, help="the first one")
    parser.add_argument("--seconds", type=float, help="begin no more after so long")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1, help="how many at once")
    parser.add_argument("--options", nargs="*", default=[], metavar="NAME=NUMBER", help="instead of those of the seed")
    parser.add_argument("--stop", action="store_true", help="end at the first failure")
    parser.add_argument("--every", type=float, default=10.0, help="seconds between two lines of progress")
    return parser.parse_args(arguments)


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
