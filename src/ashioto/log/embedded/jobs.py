"""Appends that wait for their turn, and then share one commit."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ashioto.log.base import Appended, Batch, Fence
    from ashioto.log.embedded.write import Prepared


@dataclass(slots=True, kw_only=True)
class Job:
    """Holds one append and what became of it.

    Args:
        batches: What was handed in.
        version: Of the topics that it was prepared for.
        prepared: The batches as they will be written.
        fence: Who writes.
        behind: Rows that the key index will not have at once, and those that waited before, by topic.
        done: Where the batches went, once they are written.
        error: Why they were not.
    """

    batches: Sequence[Batch]
    version: int
    prepared: list[Prepared]
    fence: Fence | None
    behind: dict[str, tuple[int, int]] = field(default_factory=dict)
    done: list[Appended] | None = None
    error: Exception | None = None


@dataclass(slots=True)
class JobQueue:
    """Gathers appends until one of their threads may write.

    >>> queue = JobQueue()
    >>> queue.put(Job(batches=[], version=0, prepared=[], fence=None))
    >>> len(queue.take()), len(queue.take())
    (1, 0)
    """

    lock: threading.Lock = field(default_factory=threading.Lock)
    jobs: list[Job] = field(default_factory=list)

    def put(self, job: Job) -> None:
        """Add a job to the next group."""
        with self.lock:
            self.jobs.append(job)

    def take(self) -> list[Job]:
        """Return the group that waits, in order, and begin another."""
        with self.lock:
            jobs, self.jobs = self.jobs, []
            return jobs
