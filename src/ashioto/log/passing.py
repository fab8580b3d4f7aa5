"""A log that passes everything on to another one: what those that change a call or two begin from."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ashioto.log.base import Appended, Batch, Fence, Log, Slice, TopicInfo, TopicSpec, ViewPage


class PassingLog:
    """Passes everything on to another log.

    Args:
        inner: The log.

    >>> from ashioto.testing.memory_log import MemoryLog
    >>> PassingLog(MemoryLog()).create([])
    []
    """

    def __init__(self, inner: Log) -> None:
        self._inner = inner

    @property
    def inner(self) -> Log:
        """The log that each call is passed on to."""
        return self._inner

    def create(self, specs: Sequence[TopicSpec]) -> list[str]:
        """Create topics in the inner log."""
        return self.inner.create(specs)

    def describe(self, topic: str) -> TopicInfo:
        """Describe a topic of the inner log."""
        return self.inner.describe(topic)

    def append(self, batches: Sequence[Batch], *, fence: Fence | None = None) -> list[Appended]:
        """Append to the inner log."""
        return self.inner.append(batches, fence=fence)

    def read(self, topic: str, partition: int, offset: int, *, max_rows: int = 262_144) -> Slice | None:
        """Read from the inner log."""
        return self.inner.read(topic, partition, offset, max_rows=max_rows)

    def end_offsets(self, topic: str, *, committed: bool = True) -> dict[int, int]:
        """Return the end offsets of the inner log."""
        return self.inner.end_offsets(topic, committed=committed)

    def view(
        self, topic: str, *, start: bytes | None = None, stop: bytes | None = None, limit: int | None = None,
        reverse: bool = False, settled: bool = True,
    ) -> ViewPage:  # fmt: skip
        """View a topic of the inner log."""
        return self.inner.view(topic, start=start, stop=stop, limit=limit, reverse=reverse, settled=settled)
