"""The embedded log itself: appends in groups, reads side by side."""

from __future__ import annotations

import threading
import weakref
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Self

import apsw

from ashioto.clock import SystemClock
from ashioto.errors import LogError
from ashioto.log.base import TopicInfo
from ashioto.log.embedded.background import Background
from ashioto.log.embedded.errors import log_errors
from ashioto.log.embedded.file import connect, fetch, open_file, poll_for_lock, transaction
from ashioto.log.embedded.index import CHECKPOINT_PAGES, Indexer
from ashioto.log.embedded.jobs import Job, JobQueue
from ashioto.log.embedded.leases import LeaseWriter, find_lease
from ashioto.log.embedded.pool import ReaderPool, closed_error
from ashioto.log.embedded.stored import Stored
from ashioto.log.embedded.tails import Tails
from ashioto.log.embedded.topics import (
    Catalogue,
    add_topic,
    alter_topic,
    codec_of,
    delete_topics,
    topic_names,
    version_of,
)
from ashioto.log.embedded.view import Span, view_page
from ashioto.log.embedded.write import Prepared, Retention, prepare, raise_epoch, trim, waiting_rows, write
from ashioto.log.records import check_compact, check_partition, check_spec, checked, concat_slices

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from ashioto.clock import Clock
    from ashioto.log.base import Appended, Batch, Fence, Slice, TopicSpec, ViewPage
    from ashioto.log.embedded.topics import Topic
    from ashioto.log.leases import Lease

_TRIM_EVERY_S = 60.0
_POLL_MS = 2
_MOST_PAGES = 16_384
"""How long the write-ahead log gets before an append shortens it itself."""


class EmbeddedLog:
    """Keeps topics in one file; what `append` has returned survives a crash of the process and of the machine.

    Appends of several threads that wait for each other share one commit. Open it in each process anew; an open log
    must not be carried over a fork.

    Args:
        path: The file; it is made when it is not there. Its folder exists and lies on a local disk.
        clock: Stamps batches, for retention by the time of the append.
        busy_timeout_ms: How long to wait for other processes.
        compact_keep_ms: How long batches of compact topics stay readable; `view` always
            finds the newest of each key.
        lease_timeout_ms: How long a change of a lease waits for other writers.
        background: Whether a thread keeps the key index up to date and the write-ahead log short.

    Raises:
        LogCorruptError: The file is truncated, damaged or something else.
        LogError: The file cannot be opened for writing, or lies on a network file system.

    >>> import tempfile
    >>> import pyarrow as pa
    >>> from ashioto.log.base import TopicSpec
    >>> with tempfile.TemporaryDirectory() as folder, EmbeddedLog(Path(folder, "log.db")) as log:
    ...     log.create([TopicSpec(name="t", partitions=2, schema=pa.schema({"x": pa.int64()}))])
    ...     log.end_offsets("t")
    ['t']
    {0: 0, 1: 0}
    """

    def __init__(
        self, path: Path, *, clock: Clock | None = None, busy_timeout_ms: int = 10_000,
        compact_keep_ms: int = 3_600_000, lease_timeout_ms: int = 1_000, background: bool = True,
    ) -> None:  # fmt: skip
        self.path = Path(path)
        self._clock = SystemClock() if clock is None else clock
        self._busy_timeout_ms = busy_timeout_ms
        self._compact_keep_ms = compact_keep_ms
        open_file(self.path, clock=self._clock, busy_timeout_ms=busy_timeout_ms)
        self._catalogue = Catalogue()
        self._lessee = LeaseWriter(self.path, lease_timeout_ms)
        self._readers = ReaderPool(self.path, busy_timeout_ms)
        self._stored = Stored(self.path)
        self._tails = Tails(self._stored)
        self._writing = threading.Lock()
        self._queue = JobQueue()
        self._trimmed = self._clock.monotonic()
        self._closed = False
        self._indexer = Indexer(
            self.path, catalogue=self._catalogue, tails=self._tails, writing=self._writing, clock=self._clock
        )
        self._background = Background(self._indexer) if background else None
        with log_errors(self.path):
            self._writer = connect(self.path, busy_timeout_ms)
            poll_for_lock(self._writer, every_ms=_POLL_MS, timeout_ms=busy_timeout_ms)
            self._writer.set_wal_hook(_Shortens(self._indexer, self._background))
            tail = fetch(self._writer, "SELECT 1 FROM tail LIMIT 1")
        if self._background is not None:
            weakref.finalize(self, self._background.stop)
            if tail:
                self._background.notice()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; a second time does nothing."""
        if self._background is not None:
            self._background.stop()
        self._indexer.close()
        with self._writing, log_errors(self.path):
            self._closed = True
            self._readers.close()
            self._writer.close()
        self._lessee.close()

    def create(self, specs: Sequence[TopicSpec]) -> list[str]:
        """Create the topics that do not exist yet and return their names.

        Raises:
            LogError: A topic exists with another number of partitions, cleanup or schema, or is compact with a column
                of a type that cannot be kept.
        """
        for spec in specs:
            check_spec(spec)
            codec_of(spec)
        with self._exclusive() as connection:
            return [spec.name for spec in specs if add_topic(connection, spec)]

    def topics(self) -> list[str]:
        """Return the names of all topics, sorted."""
        with self._readers.reader() as connection:
            return topic_names(connection)

    def alter(self, spec: TopicSpec) -> None:
        """Change the columns or the retention of a topic that exists; other processes notice at their next call.

        Raises:
            UnknownTopicError: It was never created.
            LogError: Partitions or cleanup differ, or a column would change its type; nothing was changed.
        """
        with self._exclusive() as connection:
            alter_topic(connection, spec)

    def delete(self, names: Sequence[str]) -> None:
        """Delete topics and all their records; those that do not exist are left out."""
        with self._exclusive() as connection:
            delete_topics(connection, names)

    def lease(self, name: str) -> Lease | None:
        """Return a lease, or None when there never was one. Does not wait for writers."""
        with self._readers.reader() as connection:
            return find_lease(connection, name)

    def change_lease(self, name: str, change: Callable[[Lease | None], Lease | None]) -> Lease | None:
        """Replace a lease in one transaction; a larger epoch shuts out every writer of the fence of that name.

        Raises:
            LogBusyError: Another process has held the file for longer than `lease_timeout_ms`; `ids["pid"]` is its
                number, where that is known.
            LogError: The lease that `change` returned has another name, or an epoch that goes back.
        """
        if self._closed:
            raise closed_error(self.path)
        return self._lessee.change(name, change)

    def describe(self, topic: str) -> TopicInfo:
        """Return how a topic was declared and which offsets it holds.

        Raises:
            UnknownTopicError: It was never created.
        """
        with self._readers.snapshot() as connection:
            found = self._catalogue.find(connection, topic)
            rows = fetch(
                connection,
                "SELECT partition, start_offset, end_offset FROM partitions WHERE topic_id = ? ORDER BY partition",
                (found.id,),
            )
        return TopicInfo(
            spec=found.spec, start_offsets={p: s for p, s, _ in rows}, end_offsets={p: e for p, _, e in rows}
        )

    def end_offsets(self, topic: str, *, committed: bool = True) -> dict[int, int]:  # noqa: ARG002  # here nothing is hidden
        """Return the offset of the next record, by partition.

        Raises:
            UnknownTopicError: It was never created.
        """
        return self.describe(topic).end_offsets

    def append(self, batches: Sequence[Batch], *, fence: Fence | None = None) -> list[Appended]:
        """Append batches, all or none, durably.

        Raises:
            StaleEpochError: A writer of the same fence with a larger epoch has appended before.
            UnknownTopicError: A topic was never created.
            LogFullError: The disk is full; nothing was written, and a later append may do.
            LogBusyError: Another process held the file for too long.
        """
        job = self._job(batches, fence)
        for name, (rows, waiting) in job.behind.items():
            if rows + waiting > self._indexer.bounds.most:
                self._indexer.make_room(name, rows)
        self._queue.put(job)
        with self._writing:
            if job.done is None and job.error is None:
                self._commit(self._queue.take())
        if job.error is not None:
            raise job.error
        if job.behind:
            self._notice(job)
        return job.done or []

    def read(self, topic: str, partition: int, offset: int, *, max_rows: int = 262_144) -> Slice | None:
        """Return records from an offset on, or None when there are none; below the first, from the first on.

        Raises:
            UnknownTopicError: It was never created.
        """
        with self._readers.snapshot() as connection:
            found = self._catalogue.find(connection, topic)
            check_partition(found.spec, partition)
            parts = self._stored.read(connection, found, partition, offset=offset, max_rows=max_rows)
        return concat_slices(parts, max_rows) if parts else None

    def view(
        self, topic: str, *, start: bytes | None = None, stop: bytes | None = None, limit: int | None = None,
        reverse: bool = False, settled: bool = True,  # noqa: ARG002  # here nothing is hidden
    ) -> ViewPage:  # fmt: skip
        """Return the newest record of each key in `[start, stop)` of a compact topic, in key order.

        Raises:
            UnknownTopicError: It was never created.
            LogError: The topic is not compact.
        """
        span = Span(start=start, stop=stop, limit=limit, reverse=reverse)
        known = self._tails.known(topic)
        with self._readers.snapshot() as connection:
            found = self._catalogue.find(connection, topic)
            check_compact(found.spec)
            return view_page(connection, found, self._tails.find(connection, found, known), span)

    def _job(self, batches: Sequence[Batch], fence: Fence | None) -> Job:
        with self._readers.snapshot() as connection:
            version = version_of(connection)
            topics = [self._catalogue.find(connection, batch.topic) for batch in batches]
            waiting = {topic.id: waiting_rows(connection, topic.id) for topic in topics if topic.codec is not None}
        prepared = [_prepared(topic, batch) for topic, batch in zip(topics, batches, strict=True)]
        behind: dict[str, tuple[int, int]] = {}
        for one in prepared:
            if one.compact and (not one.small or waiting[one.topic_id]):
                rows, _ = behind.get(one.topic, (0, 0))
                behind[one.topic] = (rows + one.rows, waiting[one.topic_id])
        return Job(batches=batches, version=version, prepared=prepared, fence=fence, behind=behind)

    def _notice(self, job: Job) -> None:
        self._indexer.mine.update(job.behind)
        if self._background is not None:
            most = max(rows + waiting for rows, waiting in job.behind.values())
            self._background.notice(urgent=most > self._indexer.bounds.rows)

    def _commit(self, jobs: list[Job]) -> None:
        """Write a group in one commit; a job whose fence is stale is left out."""
        failed: LogError = LogError(f"an append to {self.path} was interrupted; nothing of it was written")
        try:
            with self._open_writer() as connection:
                now_ms = self._clock.now_ms()
                written = [self._write(connection, job, now_ms) for job in jobs]
                self._trim(connection, now_ms)
            for job, places in zip(jobs, written, strict=True):
                job.done = places
        except LogError as error:
            failed = error
        finally:
            for job in jobs:
                job.error = job.error or (failed if job.done is None else None)

    def _write(self, connection: apsw.Connection, job: Job, now_ms: int) -> list[Appended] | None:
        try:
            prepared = self._current(connection, job)
            if job.fence is not None:
                raise_epoch(connection, job.fence)
        except LogError as error:
            job.error = error
            return None
        return [write(connection, batch, now_ms) for batch in prepared]

    def _current(self, connection: apsw.Connection, job: Job) -> list[Prepared]:
        """Return what to write; prepared anew when a topic was altered or deleted in the meantime."""
        if job.version == version_of(connection):
            return job.prepared
        return [_prepared(self._catalogue.find(connection, batch.topic), batch) for batch in job.batches]

    def _trim(self, connection: apsw.Connection, now_ms: int) -> None:
        if self._clock.monotonic() - self._trimmed >= _TRIM_EVERY_S:
            trim(connection, Retention(now_ms=now_ms, compact_keep_ms=self._compact_keep_ms))
            self._trimmed = self._clock.monotonic()

    @contextmanager
    def _exclusive(self) -> Iterator[apsw.Connection]:
        with self._writing, self._open_writer() as connection:
            yield connection

    @contextmanager
    def _open_writer(self) -> Iterator[apsw.Connection]:
        if self._closed:
            raise closed_error(self.path)
        with log_errors(self.path, self._writer), transaction(self._writer):
            yield self._writer


class _Shortens:
    """Has the write-ahead log shortened, after a commit that left it long."""

    def __init__(self, indexer: Indexer, background: Background | None) -> None:
        self._indexer, self._background = indexer, background

    def __call__(self, connection: apsw.Connection, _: str, pages: int) -> int:
        self._indexer.note_pages(pages)
        if pages >= (CHECKPOINT_PAGES if self._background is None else _MOST_PAGES):
            with suppress(apsw.BusyError, apsw.LockedError):
                connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
        elif pages >= CHECKPOINT_PAGES and self._background is not None:
            self._background.notice(urgent=True)
        return apsw.SQLITE_OK


def _prepared(topic: Topic, batch: Batch) -> Prepared:
    return prepare(topic.id, checked(topic.spec, batch), topic.codec, names=topic.stored)
