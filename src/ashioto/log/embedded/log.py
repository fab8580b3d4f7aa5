"""The embedded log itself: appends in groups, reads side by side."""

from __future__ import annotations

import threading
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Self, cast

import numpy as np
import pyarrow as pa

from ashioto.clock import SystemClock
from ashioto.errors import LogError
from ashioto.log.base import TopicInfo, TopicSpec, ViewPage
from ashioto.log.embedded.errors import damaged, log_errors
from ashioto.log.embedded.file import connect, fetch, open_file, transaction
from ashioto.log.embedded.jobs import Job, JobQueue
from ashioto.log.embedded.leases import LeaseWriter, find_lease
from ashioto.log.embedded.topics import (
    Catalogue,
    add_topic,
    alter_topic,
    codec_of,
    delete_topics,
    topic_names,
    version_of,
)
from ashioto.log.embedded.write import Prepared, Retention, prepare, raise_epoch, trim, write
from ashioto.log.payload import decode_batch
from ashioto.log.records import check_compact, check_partition, check_spec, checked, concat_slices, cut
from ashioto.log.rowcodec import RowCodec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import apsw

    from ashioto.clock import Clock
    from ashioto.log.base import Appended, Batch, Fence, Slice
    from ashioto.log.embedded.topics import Topic
    from ashioto.log.leases import Lease

_TRIM_EVERY_S = 60.0
_FIND_BOUNDS = "SELECT start_offset, end_offset FROM partitions WHERE topic_id = ? AND partition = ?"
_FIND_BATCHES = """
SELECT base_offset, payload FROM batches WHERE topic_id = ?1 AND partition = ?2 AND base_offset >= coalesce(
  (SELECT max(base_offset) FROM batches WHERE topic_id = ?1 AND partition = ?2 AND base_offset <= ?3), 0)
AND base_offset + count > ?3 ORDER BY base_offset
"""


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

    Raises:
        LogCorruptError: The file is truncated, damaged or something else.
        LogError: The file cannot be opened for writing, or lies on a network file system.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder, EmbeddedLog(Path(folder, "log.db")) as log:
    ...     log.create([TopicSpec(name="t", partitions=2, schema=pa.schema({"x": pa.int64()}))])
    ...     log.end_offsets("t")
    ['t']
    {0: 0, 1: 0}
    """

    def __init__(
        self, path: Path, *, clock: Clock | None = None, busy_timeout_ms: int = 10_000,
        compact_keep_ms: int = 3_600_000, lease_timeout_ms: int = 1_000,
    ) -> None:  # fmt: skip
        self.path = Path(path)
        self._clock = SystemClock() if clock is None else clock
        self._busy_timeout_ms = busy_timeout_ms
        self._compact_keep_ms = compact_keep_ms
        open_file(self.path, clock=self._clock, busy_timeout_ms=busy_timeout_ms)
        self._catalogue = Catalogue()
        self._lessee = LeaseWriter(self.path, lease_timeout_ms)
        self._readers: list[apsw.Connection] = []
        self._pool = threading.Lock()
        self._writing = threading.Lock()
        self._queue = JobQueue()
        self._trimmed = self._clock.monotonic()
        self._closed = False
        with log_errors(self.path):
            self._writer = connect(self.path, busy_timeout_ms)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; a second time does nothing."""
        with self._writing, self._pool, log_errors(self.path):
            self._closed = True
            for connection in [*self._readers, self._writer]:
                connection.close()
            self._readers.clear()
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
        with self._reader() as connection:
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
        with self._reader() as connection:
            return find_lease(connection, name)

    def change_lease(self, name: str, change: Callable[[Lease | None], Lease | None]) -> Lease | None:
        """Replace a lease in one transaction; a larger epoch shuts out every writer of the fence of that name.

        Raises:
            LogBusyError: Another process has held the file for longer than `lease_timeout_ms`; `ids["pid"]` is its
                number, where that is known.
            LogError: The lease that `change` returned has another name, or an epoch that goes back.
        """
        if self._closed:
            raise self._closed_error()
        return self._lessee.change(name, change)

    def describe(self, topic: str) -> TopicInfo:
        """Return how a topic was declared and which offsets it holds.

        Raises:
            UnknownTopicError: It was never created.
        """
        with self._snapshot() as connection:
            found = self._catalogue.find(connection, topic)
            rows = fetch(
                connection,
                "SELECT partition, start_offset, end_offset FROM partitions WHERE topic_id = ? ORDER BY partition",
                (found.id,),
            )
        return TopicInfo(
            spec=found.spec, start_offsets={p: s for p, s, _ in rows}, end_offsets={p: e for p, _, e in rows}
        )

    def end_offsets(self, topic: str) -> dict[int, int]:
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
        self._queue.put(job)
        with self._writing:
            if job.done is None and job.error is None:
                self._commit(self._queue.take())
        if job.error is not None:
            raise job.error
        return job.done or []

    def read(self, topic: str, partition: int, offset: int, *, max_rows: int = 262_144) -> Slice | None:
        """Return records from an offset on, or None when there are none; below the first, from the first on.

        Raises:
            UnknownTopicError: It was never created.
        """
        parts: list[Slice] = []
        rows = 0
        with self._snapshot() as connection, closing(connection.cursor()) as cursor:
            found = self._catalogue.find(connection, topic)
            check_partition(found.spec, partition)
            place = (found.id, partition)
            start, end = fetch(connection, _FIND_BOUNDS, place)[0]
            first = max(offset, start)
            if first >= end:  # a look for batches would read the last one whole
                return None
            for base, payload in cursor.execute(_FIND_BATCHES, (*place, first)):
                part = self._decoded(found, partition, int(cast("int", base)), cast("bytes", payload))
                parts.append(cut(part, max(first - part.base_offset, 0), len(part.keys)))
                rows += len(parts[-1].keys)
                if rows >= max_rows:
                    break
        return concat_slices(parts, max_rows) if parts else None

    def view(
        self, topic: str, *, start: bytes | None = None, stop: bytes | None = None, limit: int | None = None,
        reverse: bool = False,
    ) -> ViewPage:  # fmt: skip
        """Return the newest record of each key in `[start, stop)` of a compact topic, in key order, by the key index.

        Raises:
            UnknownTopicError: It was never created.
            LogError: The topic is not compact.
        """
        bounds = [("key >= ?", start), ("key < ?", stop)]
        given = [(text, value) for text, value in bounds if value is not None]
        where = " AND ".join(["topic_id = ?", *(text for text, _ in given)])
        with self._snapshot() as connection:
            found = self._catalogue.find(connection, topic)
            check_compact(found.spec)
            rows = fetch(
                connection,
                f'SELECT key, "offset", ts, value FROM newest WHERE {where} '  # noqa: S608 (fixed words only)
                f"ORDER BY key {'DESC' if reverse else 'ASC'} LIMIT ?",
                (found.id, *(value for _, value in given), -1 if limit is None else limit),
            )
        return ViewPage(
            keys=[row[0] for row in rows],
            offsets=np.array([row[1] for row in rows], dtype=np.int64),
            timestamps=np.array([row[2] for row in rows], dtype=np.int64),
            data=(found.codec or RowCodec(found.spec.schema)).decode([row[3] for row in rows]),
        )

    def _job(self, batches: Sequence[Batch], fence: Fence | None) -> Job:
        with self._snapshot() as connection:
            version = version_of(connection)
            topics = [self._catalogue.find(connection, batch.topic) for batch in batches]
        prepared = [_prepared(topic, batch) for topic, batch in zip(topics, batches, strict=True)]
        return Job(batches=batches, version=version, prepared=prepared, fence=fence)

    def _decoded(self, found: Topic, partition: int, base: int, payload: bytes) -> Slice:
        try:
            return decode_batch(
                payload, topic=found.spec.name, partition=partition, base_offset=base, schema=found.spec.schema,
                names=found.stored,
            )  # fmt: skip
        except (pa.ArrowException, OSError) as error:
            raise damaged(self.path, f"the batch at {found.spec.name}/{partition}/{base} cannot be read") from error

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
            raise self._closed_error()
        with log_errors(self.path, self._writer), transaction(self._writer):
            yield self._writer

    @contextmanager
    def _reader(self) -> Iterator[apsw.Connection]:
        with self._pool:
            if self._closed:
                raise self._closed_error()
            connection = self._readers.pop() if self._readers else None
        with log_errors(self.path, connection):
            connection = connection or connect(self.path, self._busy_timeout_ms)
            try:
                yield connection
            finally:
                self._give_back(connection)

    @contextmanager
    def _snapshot(self) -> Iterator[apsw.Connection]:
        """Read several times from one state of the file."""
        with self._reader() as connection:
            connection.execute("BEGIN")
            try:
                yield connection
            finally:
                if connection.in_transaction:
                    connection.execute("COMMIT")

    def _give_back(self, connection: apsw.Connection) -> None:
        with self._pool:
            if self._closed:
                connection.close()
            else:
                self._readers.append(connection)

    def _closed_error(self) -> LogError:
        return LogError(f"the log {self.path} is closed", hint="open it again", file=str(self.path))


def _prepared(topic: Topic, batch: Batch) -> Prepared:
    return prepare(topic.id, checked(topic.spec, batch), topic.codec, names=topic.stored)
