"""Swaps bars for those that ticks give: made aside, compared, and only what differs is written, with a way back."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from ashioto.errors import LogBusyError
from ashioto.logical.codec import checksum
from ashioto.migration.changes import BOOKKEEPING, batches_of, difference, same
from ashioto.migration.jobs import Jobs, job_of
from ashioto.migration.rebuild import Rebuild
from ashioto.migration.replay import gather
from ashioto.migration.running import Running
from ashioto.migration.stored import StoredBars
from ashioto.migration.taken import Watching
from ashioto.migration.undo_file import UndoFile, UndoLabel, UndoWriter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    import pyarrow as pa

    from ashioto.logical.nodes import Query
    from ashioto.migration.changes import Difference
    from ashioto.migration.jobs import Job, JobState
    from ashioto.migration.running import Place
    from ashioto.migration.taken import Gathered, TickCounts, TickSource

SHOWN: Final = 10
"""How many bars that differ are shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangedBar:
    """Names a bar that differs.

    Args:
        frame: Kind of its frame.
        key: Its key.
        start: Its bucket start.
        change: `added`, `changed` or `removed`.
        columns: Value before and after, by column, where they differ.
    """

    frame: str
    key: tuple[str, ...]
    start: Any
    change: str
    columns: Mapping[str, tuple[object, object]]


@dataclass(slots=True, kw_only=True)
class SwapReport:
    """Says what differs and what was done.

    Args:
        job: What was recorded.
        ticks: What became of the rows.
        equal: How many bars are as they should be.
        added: Bars that are not there yet, by frame, key and market date.
        changed: Bars that become others, by frame, key and market date.
        removed: Bars that go, by frame, key and market date.
        first: The first bars that differ.
        live: Bars that can still grow and are left alone.
        kept: Bars that stay since they hold what nobody can take apart.
        undo_file: What puts everything back; None where nothing differs.
        applied: Whether the difference was written.
    """

    job: Job
    ticks: TickCounts
    equal: int = 0
    added: Counter[tuple[str, tuple[str, ...], str]] = field(default_factory=Counter)
    changed: Counter[tuple[str, tuple[str, ...], str]] = field(default_factory=Counter)
    removed: Counter[tuple[str, tuple[str, ...], str]] = field(default_factory=Counter)
    first: list[ChangedBar] = field(default_factory=list)
    live: int = 0
    kept: int = 0
    undo_file: Path | None = None
    applied: bool = False

    @property
    def differs(self) -> int:
        """How many bars differ."""
        return self.added.total() + self.changed.total() + self.removed.total()

    def note(self, query: Query, found: Difference) -> None:
        """Take a part of the difference in."""
        kinds = np.where(found.gone, "removed", np.where(found.there, "changed", "added")).tolist()
        for row, kind in enumerate(kinds):
            bar = found.before if kind == "removed" else found.after
            key = tuple(bar.column(name)[row].as_py() for name in query.group_by)
            day = str(bar.column("market_date")[row].as_py())
            getattr(self, kind)[found.period.kind, key, day] += 1
            if len(self.first) < SHOWN:
                start = bar.column("bucket_start")[row].as_py()
                self.first.append(
                    ChangedBar(
                        frame=found.period.kind, key=key, start=start, change=kind, columns=_columns(query, found, row)
                    )
                )


@dataclass(frozen=True, slots=True, kw_only=True)
class SwapOptions:
    """Says how bars are swapped.

    Args:
        folder: Where undo files go.
        agreed: Is shown the difference and says whether to apply it; undo file and writes come after that.
        max_rate: How many bars are written a second at most; None is as fast as it goes.
        watching: Is told how the reading gets on.
        wrote: Is told how many bars of how many have been written.
    """

    folder: Path
    agreed: Callable[[SwapReport], bool]
    max_rate: float | None = None
    watching: Watching = field(default_factory=Watching)
    wrote: Callable[[int, int], object] = lambda _done, _total: None


def swap(place: Place, query: Query, source: TickSource, options: SwapOptions) -> SwapReport:
    """Make bars become exactly what ticks give in their stretch, and write an undo file first.

    The stretch is from `--from` to `--to`; without them, of each key, from the bucket of its first tick to that of its
    last. Keys without ticks are left alone, and so is what is live.

    Args:
        place: Where.
        query: Whose bars.
        source: Which ticks.
        options: How.

    Raises:
        InputError: A file cannot be read, or no row can be used.
        UsageError: An end of the stretch lies inside a bucket.
        LockHeldError: Another migration of the query runs.
        LogBusyError: A bar that is to be changed was written by somebody else meanwhile.
        LogFullError: The disk is full; what was written before stays, and the undo file puts it back.
    """
    with Running(place, query, max_rate=options.max_rate) as running:
        return _Swap(running, source, options).run()


class _Swap:
    """One run."""

    def __init__(self, running: Running, source: TickSource, options: SwapOptions) -> None:
        self._running, self._source, self._options = running, source, options
        self._query, self._place = running.plan.query, running.place
        self._stored = StoredBars(self._place.log, running.plan)
        self._schema = self._stored.schema(self._query.base)
        self._jobs = Jobs(self._place.log, self._place.env, self._query.context)
        job = job_of(self._query, "swap", source.files, source.chosen())
        self._job = self._jobs.known(job.id) or job
        self._stem = f"undo-{self._query.context}-{self._query.name}-{job.id}"

    def run(self) -> SwapReport:
        gathered = gather(self._running, self._source, self._options.watching, seam=lambda _: None)
        self._ends = self._running.ends()
        report = SwapReport(job=self._job, ticks=gathered.counts)
        path = self._free_name()
        try:
            with UndoWriter(path, self._label(), self._schema) as writer:
                for found in self._differences(gathered, report):
                    report.note(self._query, found)
                    writer.write(found)
            if report.differs and self._options.agreed(report):
                self._apply(UndoFile(path), report)
            elif not report.differs:
                self._record(report, "done", known_only=True)
        finally:
            if report.undo_file != path:
                path.unlink(missing_ok=True)
        return report

    def _differences(self, gathered: Gathered, report: SwapReport) -> Iterator[Difference]:
        span = (self._source.start_ms, self._source.end_ms)
        rebuild = Rebuild(gathered, self._stored, now_ms=self._place.now_ms, span=span, replaces=True)
        for codes in rebuild.groups():
            self._running.keep()
            built = rebuild.build(codes)
            for period in self._query.frames:
                for piece in built.pieces(period):
                    found = difference(
                        self._stored, self._query, piece, ignore=BOOKKEEPING, deletes_at=self._place.now_ms
                    )  # fmt: skip
                    report.equal += found.equal
                    report.live += piece.live
                    yield found
            report.kept += built.kept

    def _apply(self, made: UndoFile, report: SwapReport) -> None:
        """Write the difference; the way back is on disk and on record before the first bar is."""
        report.undo_file = self._covering(made) or made.path
        name = str(report.undo_file.absolute())
        if name not in self._job.undo_files:
            self._job = replace(self._job, undo_files=(*self._job.undo_files, name))
        self._check_foreign(made)
        self._record(report, "running")
        done = 0
        for found in made.read(self._running.plan, self._schema):
            for batches in batches_of(self._stored, self._query, found):
                self._check_foreign(made)
                self._running.append(batches)
                done += sum(batch.data.num_rows for batch in batches)
                self._options.wrote(done, report.differs)
        report.applied = True
        self._record(report, "partial" if report.live else "done")

    def _covering(self, made: UndoFile) -> Path | None:
        """Return the undo file of an earlier run of this job, if it puts back all that is to be changed now."""
        left = sorted(self._options.folder.glob(f"{self._stem}*.parquet"))
        named = [*map(Path, self._job.undo_files), *(path for path in left if path != made.path)]
        for path in (path for path in named if path.is_file()):
            wanted = {(f.period, key) for f in self._read(made) for key in f.keys.to_pylist()}
            for found in self._read(UndoFile(path)):
                now, there = self._stored.at(found.period, found.keys.to_pylist())
                as_before = untouched(found, now, there, after=False)
                wanted -= {
                    (found.period, key) for key, kept in zip(found.keys.to_pylist(), as_before, strict=True) if kept
                }
            if not wanted:
                return path
        return None

    def _read(self, file: UndoFile) -> Iterator[Difference]:
        yield from file.read(self._running.plan, self._schema)

    def _check_foreign(self, made: UndoFile) -> None:
        """Stop where somebody else has written one of these bars since it was compared.

        Raises:
            LogBusyError: It is so.
        """
        seen = self._running.ends()
        others = {
            (part.topic, key) for part in self._running.foreign_since(self._ends) for key in part.keys.to_pylist()
        }
        self._ends = seen
        if not others:
            return
        for found in self._read(made):
            topic = self._stored.topic(found.period)
            if hit := next((key for key in found.keys.to_pylist() if (topic, key) in others), None):
                raise LogBusyError(
                    f"a bar of {topic} that is to be changed was written by another meanwhile: {hit!r}",
                    hint="run this again: it compares anew and goes on",
                    topic=topic,
                )

    def _record(self, report: SwapReport, state: JobState, *, known_only: bool = False) -> None:
        counts = {"differs": report.differs, "live": report.live}
        job = self._job.now(state, done=report.ticks.rows, counts=counts)
        known = self._jobs.known(job.id)
        report.job = job
        if known_only and (known is None or known.state in {"done", "partial"}):
            return
        self._jobs.ensure_topic()
        self._running.append([self._jobs.batch(job, self._place.now_ms)])

    def _label(self) -> UndoLabel:
        return UndoLabel(
            job=self._job.id, env=self._place.env, context=self._query.context, query=self._query.name,
            checksum=checksum(self._query), written_ms=self._place.now_ms,
        )  # fmt: skip

    def _free_name(self) -> Path:
        """Return the name of a file that is not there yet."""
        number = 1
        while True:
            path = self._options.folder / f"{self._stem}{'' if number == 1 else f'-{number}'}.parquet"
            if not path.exists():
                return path
            number += 1


def untouched(found: Difference, now: pa.Table, there: np.ndarray, *, after: bool) -> np.ndarray:
    """Return which bars stand in the log as they were before a change, or after it; shape (n,).

    Args:
        found: The change.
        now: The bars as they stand.
        there: Which of them there are.
        after: Which side to compare with.
    """
    bars, present = (found.after, ~found.gone) if after else (found.before, found.there)
    equal = np.ones(found.rows, dtype=np.bool_)
    for name in bars.schema.names:
        if name not in BOOKKEEPING:
            column = now[name].combine_chunks()
            equal &= same(bars.column(name), column)
    return np.where(present, equal & there, ~there)


def _columns(query: Query, found: Difference, row: int) -> dict[str, tuple[object, object]]:
    if found.gone[row] or not found.there[row]:
        bar = found.before if found.gone[row] else found.after
        values = {o.name: bar.column(o.name)[row].as_py() for o in query.outputs}
        return {name: (value, None) if found.gone[row] else (None, value) for name, value in values.items()}
    names = [n for n in found.after.schema.names if n not in BOOKKEEPING and not n.startswith("__")]
    pairs = {n: (found.before.column(n)[row].as_py(), found.after.column(n)[row].as_py()) for n in names}
    return {name: (was, now) for name, (was, now) in pairs.items() if was != now}
