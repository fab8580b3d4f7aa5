"""Puts bars back as an undo file says they were."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from ashioto.errors import BlockedError, InputError
from ashioto.logical.codec import checksum
from ashioto.migration.changes import batches_of
from ashioto.migration.jobs import Jobs
from ashioto.migration.running import Running
from ashioto.migration.stored import StoredBars
from ashioto.migration.swap import untouched

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ashioto.logical.nodes import Query
    from ashioto.migration.changes import Difference
    from ashioto.migration.jobs import Job
    from ashioto.migration.running import Place
    from ashioto.migration.undo_file import UndoFile


@dataclass(slots=True, kw_only=True)
class UndoReport:
    """Says what an undo file would change, and what was done.

    Args:
        back: Bars that get back what they were, by kind of their frame.
        deleted: Bars that go, since they were not there, by kind.
        already: How many bars are as they were.
        others: How many bars were changed by somebody else since.
        example: One of those, in words.
        applied: Whether it was done.
    """

    back: Counter[str] = field(default_factory=Counter)
    deleted: Counter[str] = field(default_factory=Counter)
    already: int = 0
    others: int = 0
    example: str = ""
    applied: bool = False

    @property
    def differs(self) -> int:
        """How many bars are to be changed."""
        return self.back.total() + self.deleted.total()


@dataclass(frozen=True, slots=True, kw_only=True)
class UndoOptions:
    """Says how bars are put back.

    Args:
        agreed: Is shown what would change and says whether to do it.
        force: Whether bars that somebody else has changed since are put back, too.
        max_rate: How many bars are written a second at most; None is as fast as it goes.
    """

    agreed: Callable[[UndoReport], bool]
    force: bool = False
    max_rate: float | None = None


def undo(place: Place, query: Query, file: UndoFile, options: UndoOptions) -> UndoReport:
    """Put back what a swap has changed; what is as it was stays as it is.

    Args:
        place: Where.
        query: Whose bars.
        file: What they were.
        options: How.

    Raises:
        InputError: The file belongs to another log or query, or is not whole.
        BlockedError: Somebody else has changed bars since; names one of them.
        LockHeldError: Another migration of the query runs.
        LogFullError: The disk is full; the same run again goes on.
    """
    with Running(place, query, max_rate=options.max_rate) as running:
        return _Undo(running, file, options).run()


class _Undo:
    """One run."""

    def __init__(self, running: Running, file: UndoFile, options: UndoOptions) -> None:
        self._running, self._file, self._options = running, file, options
        self._query, self._place = running.plan.query, running.place
        self._stored = StoredBars(self._place.log, running.plan)
        self._jobs = Jobs(self._place.log, self._place.env, self._query.context)
        self._job = self._check()

    def run(self) -> UndoReport:
        report = UndoReport()
        for found, pending, already in self._states():
            self._count(report, found, pending, already)
        if report.others and not self._options.force:
            raise BlockedError(
                f"{report.others:,} bars were changed by another since, e.g. {report.example}",
                hint="--force puts those back, too; nothing was changed",
                file=str(self._file.path),
            )
        if report.differs and self._options.agreed(report):
            for found, pending, already in self._states():
                for batches in batches_of(
                    self._stored, self._query, found.where(self._wanted(pending, already)), back=True
                ):
                    self._running.append(batches)
            report.applied = True
        if (report.applied or not report.differs) and self._job.state != "undone":
            done = self._job.now("undone", counts={"back": report.differs})
            self._running.append([self._jobs.batch(done, self._place.now_ms)])
        return report

    def _states(self) -> Iterator[tuple[Difference, np.ndarray, np.ndarray]]:
        """Yield each part with which bars are as they became, and which as they were."""
        for found in self._file.read(self._running.plan, self._stored.schema(self._query.base)):
            self._running.keep()
            now, there = self._stored.at(found.period, found.keys.to_pylist())
            yield found, untouched(found, now, there, after=True), untouched(found, now, there, after=False)

    def _wanted(self, pending: np.ndarray, already: np.ndarray) -> np.ndarray:
        return ~already if self._options.force else pending & ~already

    def _count(self, report: UndoReport, found: Difference, pending: np.ndarray, already: np.ndarray) -> None:
        wanted = self._wanted(pending, already)
        report.back += Counter({found.period.kind: int(np.count_nonzero(wanted & found.there))})
        report.deleted += Counter({found.period.kind: int(np.count_nonzero(wanted & ~found.there))})
        report.already += int(np.count_nonzero(already))
        others = np.flatnonzero(~pending & ~already)
        report.others += others.size
        if others.size and not report.example:
            report.example = f"{found.keys[int(others[0])].as_py()!r} of {self._stored.topic(found.period)}"

    def _check(self) -> Job:
        """Return the job that wrote the file, if it is one of this log and query.

        Raises:
            InputError: It is not.
        """
        label, query = self._file.label, self._query
        if (label.context, label.query, label.env) != (query.context, query.name, self._place.env):
            raise InputError(
                f"{self._file.path} is of {label.context}.{label.query} in {'/'.join(label.env)}, not of "
                f"{query.context}.{query.name} in {'/'.join(self._place.env)}",
                hint="run this in the project that wrote it",
                file=str(self._file.path),
            )
        if label.checksum != checksum(query):
            raise InputError(
                f"{self._file.path} was written for another definition of {query.name}",
                hint="bring the query back as it was, rc infra apply, and run this again",
                file=str(self._file.path),
            )
        job = self._jobs.known(label.job)
        if job is None:
            raise InputError(
                f"{self._file.path} belongs to another log: this one knows no migration {label.job}",
                hint="look at [log] path in ashioto.toml",
                file=str(self._file.path),
            )
        return job
