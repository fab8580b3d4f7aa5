"""A log that crashes at a chosen append, for tests of what is left behind."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ashioto.log.base import Appended, Batch, Fence, Log, Slice, TopicInfo, TopicSpec, ViewPage


class CrashError(Exception):
    """Stands for the end of the process."""


class CrashingLog:
    """Passes everything on to another log, and crashes once.

    Args:
        inner: The log that keeps the records; it outlives the crash.
        crash_at: Which append crashes, from 1 on.
        when: `before` nothing of that append is kept, `after` all of it is, but the caller never learns so.

    >>> from ashioto.testing.memory_log import MemoryLog
    >>> log = CrashingLog(MemoryLog(), crash_at=1, when="before")
    >>> log.append([])
    Traceback (most recent call last):
    ...
    ashioto.testing.crashing_log.CrashError: before append 1
    """

    def __init__(self, inner: Log, *, crash_at: int, when: Literal["before", "after"] = "before") -> None:
        self.inner = inner
        self.appends = 0
        self._crash_at = crash_at
        self._when = when

    def create(self, specs: Sequence[TopicSpec]) -> list[str]:
        """Create topics in the inner log."""
        return self.inner.create(specs)

    def describe(self, topic: str) -> TopicInfo:
        """Describe a topic of the inner log."""
        return self.inner.describe(topic)

    def append(self, batches: Sequence[Batch], *, fence: Fence | None = None) -> list[Appended]:
        """Append to the inner log.

        Raises:
            CrashError: This is the append that crashes.
        """
        self.appends += 1
        crashes = self.appends == self._crash_at
        if crashes and self._when == "before":
            raise CrashError(f"before append {self.appends}")
        done = self.inner.append(batches, fence=fence)
        if crashes:
            raise CrashError(f"after append {self.appends}")
        return done

    def read(self, topic: str, partition: int, offset: int, *, max_rows: int = 262_144) -> Slice | None:
        """Read from the inner log."""
        return self.inner.read(topic, partition, offset, max_rows=max_rows)

    def end_offsets(self, topic: str) -> dict[int, int]:
        """Return the end offsets of the inner log."""
        return self.inner.end_offsets(topic)

    def view(
        self, topic: str, *, start: bytes | None = None, stop: bytes | None = None, limit: int | None = None,
        reverse: bool = False,
    ) -> ViewPage:  # fmt: skip
        """View a topic of the inner log."""
        return self.inner.view(topic, start=start, stop=stop, limit=limit, reverse=reverse)
