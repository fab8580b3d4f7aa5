"""Sends ticks of files into the source topic again: event times are kept, and a run that was cut off goes on."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from ashioto import naming
from ashioto.engines.embedded.frames import FOREVER
from ashioto.errors import UnknownTopicError
from ashioto.log.base import Batch
from ashioto.log.partition import partitions_of
from ashioto.migration.jobs import Job, Jobs, job_of
from ashioto.migration.running import BATCH_BYTES, Running
from ashioto.migration.taken import BEGINNING_OF_TIME, TickReader, Watching
from ashioto.schema.arrow import int64_view, key_column

if TYPE_CHECKING:
    from ashioto.files.reading import Part
    from ashioto.files.rows import Rows
    from ashioto.logical.nodes import Query
    from ashioto.migration.running import Place
    from ashioto.migration.taken import TickCounts, TickSource


@dataclass(frozen=True, slots=True, kw_only=True)
class SendOptions:
    """Says how ticks are sent.

    Args:
        resume: Whether a run that was cut off goes on where it stopped, and one that was done sends nothing.
        dry_run: Whether nothing is sent.
        max_rate: How many ticks a second at most; None is as fast as it goes.
        watching: Is told how the reading gets on.
    """

    resume: bool = True
    dry_run: bool = False
    max_rate: float | None = None
    watching: Watching = field(default_factory=Watching)


@dataclass(slots=True, kw_only=True)
class SendReport:
    """Says what was sent.

    Args:
        job: What was recorded.
        topic: Where to.
        ticks: What became of the rows; None where nothing had to be read.
        sent: How many ticks.
        before: How many rows an earlier run had dealt with.
        too_old: How many of the sent ticks are older than the retention, so that the engine takes none of them.
    """

    job: Job
    topic: str
    ticks: TickCounts | None = None
    sent: int = 0
    before: int = 0
    too_old: int = 0


def send_into_source(
    place: Place, query: Query, source: TickSource, options: SendOptions | None = None
) -> SendReport:  # fmt: skip
    """Send ticks into the topic that the query reads; each append records how far it has come.

    Args:
        place: Where.
        query: Whose source.
        source: Which ticks.
        options: How.

    Raises:
        InputError: A file cannot be read, or no row can be used.
        LockHeldError: Another migration of the query runs.
        UnknownTopicError: The topic was never created.
        LogFullError: The disk is full; what was sent before stays, and the next run goes on behind it.
    """
    options = options or SendOptions()
    with Running(place, query, max_rate=options.max_rate) as running:
        return _Send(running, source, options).run()


class _Send:
    """One run."""

    def __init__(self, running: Running, source: TickSource, options: SendOptions) -> None:
        self._running, self._source, self._options = running, source, options
        self._query, self._place = running.plan.query, running.place
        topic = naming.topic(self._query.context, self._query.entity.name)
        self._jobs = Jobs(self._place.log, self._place.env, self._query.context)
        job = job_of(self._query, "into-source", source.files, source.chosen())
        known = self._jobs.known(job.id) if options.resume else None
        self._report = SendReport(job=known or job, topic=topic, before=0 if known is None else known.done)
        self._partitions = self._describe(topic)
        self._oldest = self._place.now_ms - self._query.retention_ms - self._query.grace_ms

    def run(self) -> SendReport:
        report = self._report
        if report.job.state == "done":
            return report
        if not self._options.dry_run:
            self._jobs.ensure_topic()
        watching = self._options.watching
        reader = TickReader(self._query.entity, self._source.files, self._source.source, watching)
        report.ticks = reader.counts
        reader.each(self._send)
        if not self._options.dry_run:
            report.job = report.job.now("done", done=reader.counts.good, counts={"sent": report.sent})
            self._running.append([self._jobs.batch(report.job, self._place.now_ms)])
        return report

    def _send(self, _: Part, rows: Rows) -> None:
        ticks = self._report.ticks
        begun = 0 if ticks is None else ticks.good
        skip = min(max(self._report.before - begun, 0), rows.batch.num_rows)
        size = max(BATCH_BYTES // max(rows.batch.nbytes // max(rows.batch.num_rows, 1), 1), 1)
        if self._options.max_rate is not None:
            size = min(size, max(int(self._options.max_rate), 1))
        for first in range(skip, rows.batch.num_rows, size):
            part = rows.batch.slice(first, size)
            self._append(part, begun + first + part.num_rows)

    def _append(self, part: pa.RecordBatch, done: int) -> None:
        report, job = self._report, self._report.job
        at = int64_view(part.column(self._query.entity.timestamp or ""))
        low = BEGINNING_OF_TIME if self._source.start_ms is None else self._source.start_ms
        high = FOREVER if self._source.end_ms is None else self._source.end_ms
        wanted = (at >= low) & (at < high)
        if report.ticks is not None:
            report.ticks.outside += int(np.count_nonzero(~wanted))
        kept = part if wanted.all() else part.filter(pa.array(wanted))
        report.sent += kept.num_rows
        report.too_old += int(np.count_nonzero(at[wanted] < self._oldest)) if self._query.continuous else 0
        if not self._options.dry_run:
            report.job = job.now("running", done=done, counts={"sent": report.sent})
            record = self._jobs.batch(report.job, self._place.now_ms)
            self._running.append([*self._batches(kept), record])

    def _batches(self, ticks: pa.RecordBatch) -> list[Batch]:
        if not ticks.num_rows:
            return []
        made = key_column(self._query.entity.keys, ticks)
        times = np.ascontiguousarray(int64_view(ticks.column(self._query.entity.timestamp or "")))
        places = partitions_of(made, self._partitions)
        found = []
        for partition in np.unique(places).tolist():
            rows = np.flatnonzero(places == partition)
            at = pa.array(rows)
            found.append(
                Batch(
                    topic=self._report.topic, partition=partition, keys=made.take(at), timestamps=times[rows],
                    data=ticks.take(at),
                )
            )  # fmt: skip
        return found

    def _describe(self, topic: str) -> int:
        try:
            return self._place.log.describe(topic).spec.partitions
        except UnknownTopicError as error:
            raise UnknownTopicError(
                f"the topic {topic} does not exist yet", hint="rc infra apply, or rc dev", topic=topic
            ) from error
