"""A log that does something small before each call, so that a long stretch of work never goes without it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ashioto.log.base import Appended, Batch, Fence, Log, Slice, TopicInfo, TopicSpec, ViewPage


class KeptLog:
    """Passes everything on to another log: the engine keeps its role by it while it reads back a million bars.

    Args:
        inner: The log.
        before: Called before each call; what it raises ends that call.

    >>> from ashioto.testing.memory_log import MemoryLog
    >>> KeptLog(MemoryLog(), lambda: print("kept")).create([])
    kept
    []
    """

    def __init__(self, inner: Log, before: Callable[[], None]) -> None:
        self._inner, self._before = inner, before

    def create(self, specs: Sequence[TopicSpec]) -> list[str]:
        """Create topics in the inner log."""
        self._before()
        return self._inner.create(specs)

    def describe(self, topic: str) -> TopicInfo:
        """Describe a topic of the inner log."""
        self._before()
        return self._inner.describe(topic)

    def append(self, batches: Sequence[Batch], *, fence: Fence | None = None) -> list[Appended]:
        """Append to the inner log."""
        self._before()
        return self._inner.append(batches, fence=fence)

    def read(self, topic: str, partition: int, offset: int, *, max_rows: int = 262_144) -> Slice | None:
        """Read from the inner log."""
        self._before()
        return self._inner.read(topic, partition, offset, max_rows=max_rows)

    def end_offsets(self, topic: str, *, committed: bool = True) -> dict[int, int]:
        """Return the end offsets of the inner log."""
        self._before()
        return self._inner.end_offsets(topic, committed=committed)

    def view(
        self, topic: str, *, start: bytes | None = None, stop: bytes | None = None, limit: int | None = None,
        reverse: bool = False, settled: bool = True,
    ) -> ViewPage:  # fmt: skip
        """View a topic of the inner log."""
        self._before()
        return self._inner.view(topic, start=start, stop=stop, limit=limit, reverse=reverse, settled=settled)
