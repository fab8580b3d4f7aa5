"""What migrations were run: a record each in `rc.migrate.jobs`, so that a second run knows the first."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
import pyarrow as pa

from ashioto.control.topics import MIGRATE_JOBS, control_key
from ashioto.errors import UnknownTopicError
from ashioto.log.base import Batch, TopicSpec
from ashioto.logical.codec import checksum

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ashioto.files.reading import TableFile
    from ashioto.log.base import Log
    from ashioto.logical.nodes import Query

JOBS: Final = MIGRATE_JOBS
JOBS_SCHEMA: Final = pa.schema(
    [
        ("query", pa.string()),
        ("kind", pa.string()),
        ("state", pa.string()),
        ("files", pa.string()),
        ("options", pa.string()),
        ("done", pa.int64()),
        ("counts", pa.string()),
        ("undo_files", pa.list_(pa.string())),
    ]
)
JOBS_TOPIC: Final = TopicSpec(name=JOBS, partitions=1, cleanup="compact", schema=JOBS_SCHEMA, retention_ms=None)
JobKind = Literal["replay", "into-source", "swap"]
JobState = Literal["running", "partial", "done", "undone"]
_ID: Final = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """Says what a migration is and how far it has come.

    Args:
        id: Follows from the query, the files and the options: the same run again has the same.
        query: Name of the query.
        kind: Which command.
        state: `partial` means that live bars were left out, so that it is worth running again.
        files: Name, length and time of each file, as JSON.
        options: As JSON.
        done: How many rows have been dealt with.
        counts: What came of it.
        undo_files: Files that put back what it changed, in the order they were written.
    """

    id: str
    query: str
    kind: JobKind
    state: JobState = "running"
    files: str
    options: str
    done: int = 0
    counts: Mapping[str, int] = field(default_factory=dict)
    undo_files: tuple[str, ...] = ()

    def now(self, state: JobState, *, done: int = 0, counts: Mapping[str, int] | None = None) -> Job:
        """Return it as it stands now."""
        return replace(self, state=state, done=done, counts=dict(counts or {}))


def job_of(query: Query, kind: JobKind, files: Sequence[TableFile], options: Mapping[str, object]) -> Job:
    """Return the job of a run.

    Args:
        query: Whose bars.
        kind: Which command.
        files: What is read; another length or time of change makes another job.
        options: What else decides what is written.
    """
    stats = [(str(file.path.resolve()), file.size, file.path.stat().st_mtime_ns) for file in files]
    named, chosen = json.dumps(stats), json.dumps(options, sort_keys=True, default=str)
    text = "\n".join([query.context, query.name, checksum(query), kind, named, chosen])
    return Job(
        id=hashlib.sha256(text.encode()).hexdigest()[:_ID], query=query.name, kind=kind, files=named, options=chosen
    )


class Jobs:
    """Keeps the records of one environment and context.

    Args:
        log: Where they are.
        env: Environment and cluster.
        context: Of the queries.
    """

    def __init__(self, log: Log, env: tuple[str, ...], context: str) -> None:
        self._log, self._place = log, (*env, context)

    def known(self, name: str) -> Job | None:
        """Return the record of an id, or None when there never was one."""
        key = control_key(*self._place, name)
        try:
            page = self._log.view(JOBS, start=key, stop=key + b"\x00")
        except UnknownTopicError:
            return None
        for row in page.data.to_pylist():
            found: dict[str, Any] = {
                **row,
                "counts": json.loads(row["counts"]),
                "undo_files": tuple(row["undo_files"] or ()),
            }
            return Job(id=name, **found)
        return None

    def batch(self, job: Job, now_ms: int) -> Batch:
        """Return a record to append.

        Args:
            job: As it stands.
            now_ms: When it is written, ms.
        """
        row = {
            "query": job.query, "kind": job.kind, "state": job.state, "files": job.files, "options": job.options,
            "done": job.done, "counts": json.dumps(dict(job.counts), sort_keys=True),
            "undo_files": list(job.undo_files),
        }  # fmt: skip
        return Batch(
            topic=JOBS,
            partition=0,
            keys=pa.array([control_key(*self._place, job.id)], pa.binary()),
            timestamps=np.array([now_ms], dtype=np.int64),
            data=pa.RecordBatch.from_pylist([row], schema=JOBS_SCHEMA),
        )

    def ensure_topic(self) -> None:
        """Create the topic where it is not there yet."""
        self._log.create([JOBS_TOPIC])
