"""Batches on their way into the log: some at a time, so many rows a second, and what became of them."""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Self

import pyarrow.compute as pc

from ashioto.bars.options import BarAddReport
from ashioto.errors import AshiotoError

if TYPE_CHECKING:
    from collections.abc import Callable

    import pyarrow as pa

    from ashioto.bars.options import BarAddOptions
    from ashioto.clock import Clock

    Job = Callable[[], BarAddReport]


class Flight:
    """Runs the jobs that write batches; their results are taken in the order in which they were handed in.

    Args:
        options: How many run at a time, how many rows a second, and who is told.
        clock: Paces them.
    """

    def __init__(self, options: BarAddOptions, clock: Clock) -> None:
        self._options, self._clock = options, clock
        self._began = clock.monotonic()
        self._pool: ThreadPoolExecutor | None = None
        self._flying: deque[tuple[Future[BarAddReport], pa.Array | None]] = deque()
        self.report = BarAddReport()
        if options.concurrency > 1:
            self._pool = ThreadPoolExecutor(options.concurrency, thread_name_prefix="ashioto-add")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        """Wait for what is on its way; an error says how much was written."""
        while self._flying:
            flown, _ = self._flying.popleft()
            if flown.cancel() or flown.exception() is not None:
                continue
            self.report += flown.result()
        if self._pool is not None:
            self._pool.shutdown()
        if isinstance(error, AshiotoError):
            _tell(error, self.report)

    def send(self, job: Job, *, keys: pa.Array | None = None) -> None:
        """Run a job, or hand it to a thread; waits while enough are on their way.

        Args:
            job: Writes a batch.
            keys: The keys it writes, where others may write the same; it waits for those that do.
        """
        self._pace()
        if self._pool is None:
            self._done(job())
            return
        while self._flying and (len(self._flying) >= self._options.concurrency or self._meets(keys)):
            self._land()
        self._flying.append((self._pool.submit(job), keys))

    def land(self) -> BarAddReport:
        """Wait for all jobs and return what became of them together."""
        while self._flying:
            self._land()
        return self.report

    def _meets(self, keys: pa.Array | None) -> bool:
        if keys is None:
            return False
        return any(other is not None and pc.any(pc.is_in(keys, value_set=other)).as_py() for _, other in self._flying)

    def _land(self) -> None:
        flown, _ = self._flying.popleft()
        self._done(flown.result())

    def _done(self, report: BarAddReport) -> None:
        self.report += report
        if self._options.progress is not None:
            self._options.progress(self.report.rows)

    def _pace(self) -> None:
        rate = self._options.max_rate
        if rate is not None:
            ahead = self.report.written / rate - (self._clock.monotonic() - self._began)
            if ahead > 0:
                self._clock.sleep(ahead)


def _tell(error: AshiotoError, report: BarAddReport) -> None:
    error.ids = {**error.ids, "report": report}
    if report.rows:
        error.message += (
            f"\nNothing of its batch was written; of those before it, {report.written} bars were and "
            f"{report.skipped} were there already"
        )
