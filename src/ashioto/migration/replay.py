"""Replays ticks into bars: through the engine's own kernel, merged with the bars that the stream has made.

Every frame's bars are as the stream would have made them of the same ticks, empty ones included.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np

from ashioto.bars.algebra import FIRST_AT, KEY, LAST_AT
from ashioto.control.schedules import LogSchedules
from ashioto.engines.embedded.build.limits import check_size, machine_memory
from ashioto.errors import InputError, LogBusyError, ScheduleError, UnknownTopicError
from ashioto.migration.changes import batches_of, difference
from ashioto.migration.jobs import Jobs, job_of
from ashioto.migration.rebuild import Rebuild
from ashioto.migration.running import Running
from ashioto.migration.stored import StoredBars, is_real
from ashioto.migration.taken import Gathered, Watching

if TYPE_CHECKING:
    from collections.abc import Callable

    from ashioto.logical.nodes import Query
    from ashioto.migration.changes import Difference
    from ashioto.migration.jobs import Job
    from ashioto.migration.running import Place
    from ashioto.migration.taken import TickCounts, TickSource

ATTEMPTS: Final = 5
"""How often merged bars are made again where the engine has revised one of them meanwhile."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayOptions:
    """Says how ticks are replayed.

    Args:
        dry_run: Whether everything is done but the writing.
        max_rate: How many bars are written a second at most; None is as fast as it goes.
        watching: Is told how the reading gets on.
        wrote: Is told how many keys of how many have been dealt with.
    """

    dry_run: bool = False
    max_rate: float | None = None
    watching: Watching = field(default_factory=Watching)
    wrote: Callable[[int, int], object] = lambda _done, _total: None


@dataclass(slots=True, kw_only=True)
class ReplayReport:
    """Says what came of a replay.

    Args:
        job: What was recorded.
        ticks: What became of the rows.
        written: Bars that were written, by kind of their frame.
        equal: Bars that were there already as they should be, by kind.
        merged: How many of the written bars hold ticks of the stream, too.
        replaced: How many of the written bars took the place of another bar with ticks.
        live: Bars that can still grow and were left out, by kind; they get their ticks when this runs again later.
        kept: Bars that stay as they are, since they hold these ticks already, or what nobody can take apart.
        keys: How many keys have ticks.
        seams: From when on the stream has the ticks of a key, ms, by key.
    """

    job: Job
    ticks: TickCounts
    written: Counter[str] = field(default_factory=Counter)
    equal: Counter[str] = field(default_factory=Counter)
    merged: int = 0
    replaced: int = 0
    live: Counter[str] = field(default_factory=Counter)
    kept: int = 0
    keys: int = 0
    seams: dict[tuple[str, ...], int] = field(default_factory=dict)

    def counts(self) -> dict[str, int]:
        """Return what is recorded of it."""
        return {"ticks": self.ticks.taken, "live": self.live.total(), "kept": self.kept}


def replay(place: Place, query: Query, source: TickSource, options: ReplayOptions | None = None) -> ReplayReport:
    """Make bars of ticks and write those that are not there yet, merged with bars of the stream.

    Bars without ticks of the stream are written as they come; a second run finds them equal. Those that hold ticks of
    the stream, too, are written at the end, all or none.

    Args:
        place: Where.
        query: Whose bars.
        source: Which ticks.
        options: How.

    Raises:
        InputError: A file cannot be read, no row can be used, or a bar holds a part of the ticks of its bucket.
        LockHeldError: Another migration of the query runs.
        UnknownTopicError: A topic was never created.
        BlockedError: The query that is applied is another than this one.
        LogFullError: The disk is full.
        LogBusyError: The engine goes on revising bars that are merged.
    """
    options = options or ReplayOptions()
    with Running(place, query, max_rate=options.max_rate) as running:
        return _Replay(running, source, options).run()


class _Replay:
    """One run."""

    def __init__(self, running: Running, source: TickSource, options: ReplayOptions) -> None:
        self._running, self._source, self._options = running, source, options
        self._query, self._place = running.plan.query, running.place
        self._stored = StoredBars(self._place.log, running.plan)
        self._job = job_of(self._query, "replay", source.files, source.chosen())
        self._jobs = Jobs(self._place.log, self._place.env, self._query.context)
        self._begun = False

    def run(self) -> ReplayReport:
        gathered = gather(self._running, self._source, self._options.watching, seam=self._stored.seam)
        rebuild = Rebuild(
            gathered, self._stored, now_ms=self._place.now_ms, span=(self._source.start_ms, self._source.end_ms)
        )
        report = ReplayReport(job=self._job, ticks=gathered.counts)
        for name, seam in zip(gathered.book.names, gathered.seams.tolist(), strict=False):
            if seam < np.iinfo(np.int64).max:
                report.seams[name] = seam
        for _ in range(ATTEMPTS):
            if self._attempt(rebuild, report):
                break
        else:
            raise LogBusyError(
                f"the engine goes on revising bars of {self._query.name} that are to be merged",
                hint="run this again; what was written so far stays",
            )
        self._finish(report)
        return report

    def _attempt(self, rebuild: Rebuild, report: ReplayReport) -> bool:
        """Write what is not there yet; returns whether nobody changed a merged bar meanwhile."""
        report.equal, report.live, report.kept, report.keys = Counter(), Counter(), 0, 0
        ends = self._running.ends()
        seams: list[Difference] = []
        groups = rebuild.groups()
        total = sum(len(group) for group in groups)
        for codes in groups:
            self._running.keep()
            built = rebuild.build(codes)
            for period in self._query.frames:
                for piece in built.pieces(period):
                    found = difference(self._stored, self._query, piece)
                    seam = found.of_stream
                    report.live += Counter({period.kind: piece.live})
                    report.equal += Counter({period.kind: found.equal})
                    self._write([found.where(~seam)], report)
                    seams += [found.where(seam)] if seam.any() else []
            report.kept += built.kept
            report.keys += len(codes)
            self._options.wrote(report.keys, total)
        if seams and any(self._running.foreign_since(ends)) and self._are_foreign(ends, seams):
            return False
        self._write(seams, report, at_once=True)
        report.merged += sum(found.rows for found in seams)
        return True

    def _are_foreign(self, ends: dict[tuple[str, int], int], seams: list[Difference]) -> bool:
        """Return whether somebody else has written one of these bars since."""
        mine = {(self._stored.topic(found.period), key) for found in seams for key in found.keys.to_pylist()}
        return any(
            (part.topic, key) in mine
            for part in self._running.foreign_since(ends)
            for key in part.keys.to_pylist()
        )  # fmt: skip

    def _write(self, found: list[Difference], report: ReplayReport, *, at_once: bool = False) -> None:
        for one in found:
            report.written += Counter({one.period.kind: one.rows})
            report.replaced += int(np.count_nonzero(one.there & is_real(one.before) & ~one.of_stream))
        if self._options.dry_run or not any(one.rows for one in found):
            return
        if not self._begun:
            self._jobs.ensure_topic()
            self._running.append([self._jobs.batch(self._job, self._place.now_ms)])
            self._begun = True
        made = [batches for one in found for batches in batches_of(self._stored, self._query, one)]
        for batches in [[batch for part in made for batch in part]] if at_once else made:
            self._running.append(batches)

    def _finish(self, report: ReplayReport) -> None:
        counts = report.counts()
        report.job = self._job.now("partial" if report.live.total() else "done", done=report.ticks.rows, counts=counts)
        known = self._jobs.known(self._job.id)
        if not self._options.dry_run and (self._begun or (known is not None and known != report.job)):
            self._running.append([self._jobs.batch(report.job, self._place.now_ms)])


def gather(
    running: Running, source: TickSource, watching: Watching, *, seam: Callable[[tuple[str, ...]], int | None]
) -> Gathered:
    """Read and fold the ticks of a migration, and check that there are some, and not too many bars of them.

    Args:
        running: Whose lock is kept meanwhile.
        source: Which ticks.
        watching: Is told how it gets on.
        seam: Says from when on the ticks of a key are in the stream, ms; None where they are not.

    Raises:
        InputError: A file cannot be read, no row can be used, no key has a schedule, or its bars are too many.
    """
    query = running.plan.query

    def read(done: int, total: int, rows: int) -> None:
        running.keep()
        watching.read(done, total, rows)

    sessions = _schedules(running, query)
    gathered = Gathered(query, sessions, source, seam=seam, watching=Watching(read=read, rejected=watching.rejected))
    gathered.read()
    counts = gathered.counts
    if counts.unknown_key and counts.unknown_key == counts.rows - counts.rejected.total() - counts.outside:
        names = ", ".join("/".join(name) for name in gathered.book.names[:3])
        raise InputError(
            f"no key of these ticks has a schedule, e.g. {names}",
            hint=f"rc schedule import, into {query.schedule_topic}; or look at --key",
        )
    for code, span in _spans(gathered).items():
        check_size(query, gathered.book.group_sessions()[int(gathered.book.groups[code])], span, machine_memory())
    return gathered


def _schedules(running: Running, query: Query) -> LogSchedules:
    try:
        return LogSchedules(running.place.log, query)
    except UnknownTopicError as error:
        raise UnknownTopicError(
            f"the topic {query.schedule_topic} does not exist yet", hint="rc schedule import makes and fills it",
            topic=query.schedule_topic,
        ) from error  # fmt: skip
    except ScheduleError as error:
        raise ScheduleError(error.message, hint=error.hint or "rc schedule check", **error.ids) from error


def _spans(gathered: Gathered) -> dict[int, tuple[int, int]]:
    """Return first and last tick of each key, ms, by its number."""
    size = gathered.book.keys
    low, high = np.full(size, np.iinfo(np.int64).max), np.full(size, np.iinfo(np.int64).min)
    for ints, _ in gathered.parts:
        np.minimum.at(low, ints[:, KEY], ints[:, FIRST_AT])
        np.maximum.at(high, ints[:, KEY], ints[:, LAST_AT])
    return {code: (int(low[code]), int(high[code])) for code in np.flatnonzero(low <= high).tolist()}
