"""The batch path: the same kernel as the stream, over the whole input, on several threads."""

from __future__ import annotations

import queue
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa

from ashioto.bars.algebra import KEY
from ashioto.engines.embedded.core import BarCore
from ashioto.engines.embedded.fold import FoldCounts, Folder, SumOverflow, TickColumns
from ashioto.engines.embedded.plan import compile_query
from ashioto.engines.embedded.sessions import SessionBook
from ashioto.engines.embedded.ticks import Rejected, prepare
from ashioto.errors import DecimalOverflowError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from ashioto.engines.embedded.plan import CompiledQuery
    from ashioto.engines.embedded.sessions import SessionSource
    from ashioto.logical.nodes import Query
    from ashioto.period import Period
    from ashioto.schedule.sessions import Flags

_AHEAD: Final = 4


class BatchBuilder:
    """Makes the bars of a query from any number of record batches, in any order.

    Memory grows with the number of bars, not of ticks.

    Args:
        query: What a bar is.
        source: Who knows the sessions of each key, e.g. a `Schedule`.
        threads: How many threads fold, >= 1.
        on_rejected: Called with a batch and its bad rows.

    Raises:
        UsageError: `threads` is not positive.
    """

    def __init__(
        self,
        query: Query,
        source: SessionSource,
        *,
        threads: int = 2,
        on_rejected: Callable[[pa.RecordBatch, Rejected], None] | None = None,
    ) -> None:
        if threads < 1:
            raise UsageError(f"threads must be positive, not {threads}", hint="leave it out for 2")
        self.plan = compile_query(query)
        self._book = SessionBook(query, source)
        self._on_rejected = on_rejected
        self._pool = _Pool(self.plan, self._book, threads)

    def add(self, batch: pa.RecordBatch, *, first_seq: int) -> FoldCounts:
        """Fold a batch in the storage schema of the query's entity.

        Args:
            batch: The ticks.
            first_seq: Sequence of the first row; the rest follow one another.

        Returns:
            What is known at once: rows read, filtered and rejected. What the threads find out (ticks out of session,
            unknown keys) is in `counts` after `finish`.

        Raises:
            DecimalOverflowError: A sum leaves 64 bits.
        """
        prepared = prepare(self.plan, self._book, batch, offsets=first_seq)
        if prepared.rejected.rows and self._on_rejected:
            self._on_rejected(batch, prepared.rejected)
        self._pool.put(prepared.ticks)
        return FoldCounts(ticks=batch.num_rows, filtered=prepared.filtered, rejected=len(prepared.rejected.rows))

    def add_columns(self, ticks: TickColumns) -> None:
        """Fold columns that have been prepared already."""
        self._pool.put(ticks)

    def key_code(self, *parts: str) -> int:
        """Return the number that stands for a key in `TickColumns.codes`."""
        return self._book.code(parts)

    def finish(self, *, now_ms: int, trim: bool) -> dict[Period, pa.Table]:
        """Return the bars of every frame as they stand at a time.

        Args:
            now_ms: The time, ms; buckets that begin later do not exist yet.
            trim: Whether to cut the schedule to the market dates that ticks fell on.

        Returns:
            One table a frame, sorted by key and bucket start.

        Raises:
            DecimalOverflowError: A sum or a selected expression leaves 64 bits.
        """
        folders = self.folded()
        cores = [BarCore(self.plan, self._book) for _ in range(min(len(folders), max(self._book.keys, 1)))]
        with ThreadPoolExecutor(len(cores)) as threads:
            list(threads.map(partial(self._take, folders), cores, self._shares(folders, len(cores))))
            for folder in folders:
                folder.clear()
            reach = _latest([core.reach() for core in cores]) if trim else {}
            tables = list(threads.map(partial(_finished, now_ms, reach), cores))
        return {period: pa.concat_tables([t[period] for t in tables]) for period in self.plan.query.frames}

    def folded(self) -> list[Folder]:
        """Wait until everything is folded; returns what holds the partial bars, which nothing is added to any more.

        Raises:
            DecimalOverflowError: A sum leaves 64 bits.
        """
        return self._pool.close()

    def _take(self, folders: Sequence[Folder], core: BarCore, among: Flags) -> None:
        for folder in folders:
            try:
                core.take(*folder.partials(), among=among)
            except SumOverflow as error:
                raise overflow_error(self.plan, error) from None

    def _shares(self, folders: Sequence[Folder], count: int) -> list[Flags]:
        """Divide the keys, in the order of their names, into shares of about as many partial bars."""
        size = self._book.keys
        weights = sum((np.bincount(f.partials()[0][:, KEY], minlength=size) for f in folders), np.zeros(size))
        names = sorted(range(size), key=self._book.names.__getitem__)
        before = np.cumsum(weights[names]) - weights[names]
        share = np.zeros(size, dtype=np.int64)
        share[names] = np.minimum(before * count // max(weights.sum(), 1), count - 1)
        return [share == number for number in range(count)]

    @property
    def book(self) -> SessionBook:
        """The keys that have been met, and their schedules."""
        return self._book

    @property
    def counts(self) -> FoldCounts:
        """What the threads counted: ticks folded, out of session, of unknown keys."""
        return self._pool.counts


def _finished(now_ms: int, reach: Mapping[int, int], core: BarCore) -> dict[Period, pa.Table]:
    core.trim(reach)
    core.now = now_ms
    core.everything()
    return core.changed(by_name=True)


def _latest(found: Sequence[Mapping[int, int]]) -> dict[int, int]:
    joined: dict[int, int] = {}
    for reach in found:
        for group, until in reach.items():
            joined[group] = max(joined.get(group, until), until)
    return joined


def overflow_error(plan: CompiledQuery, error: SumOverflow) -> DecimalOverflowError:
    """Return the user's form of a sum that leaves 64 bits."""
    column = plan.column_of(error.slot)
    scale = plan.slot_type(error.slot).scale
    return DecimalOverflowError(
        f"the sum in column {column!r} leaves 64 bits at the scale {scale}",
        hint="use a smaller scale (fewer digits after the point), or a float column",
        column=column,
    )


class _Pool:
    """Folds on threads, each into partials of its own; they merge at the end in any order."""

    def __init__(self, plan: CompiledQuery, book: SessionBook, threads: int) -> None:
        self._plan = plan
        self.counts = FoldCounts()
        self._folders = [Folder(plan, book) for _ in range(threads)]
        self._idle: queue.SimpleQueue[Folder] = queue.SimpleQueue()
        for folder in self._folders:
            self._idle.put(folder)
        self._room = threading.BoundedSemaphore(threads + _AHEAD)
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="fold")
        self._running: list[Future[FoldCounts]] = []

    def put(self, ticks: TickColumns) -> None:
        """Fold soon; waits while too much waits already."""
        self._collect([future for future in self._running if future.done()])
        self._room.acquire()
        future = self._threads.submit(self._fold, ticks)
        future.add_done_callback(self._leave)
        self._running.append(future)

    def close(self) -> list[Folder]:
        """Wait for all, and return the folders."""
        self._threads.shutdown()
        self._collect(self._running)
        return self._folders

    def _fold(self, ticks: TickColumns) -> FoldCounts:
        folder = self._idle.get()
        try:
            return folder.fold(ticks)
        finally:
            self._idle.put(folder)

    def _leave(self, _: Future[FoldCounts]) -> None:
        self._room.release()

    def _collect(self, done: list[Future[FoldCounts]]) -> None:
        self._running = [future for future in self._running if future not in done]
        for future in done:
            try:
                self.counts += future.result()
            except SumOverflow as error:
                raise overflow_error(self._plan, error) from None
