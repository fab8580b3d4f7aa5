"""A log that crashes at a chosen append, or at any chosen side effect, for tests of what is left behind."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeVar, cast

from ashioto.log.admin import Preflight

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ashioto.log.admin import LogAdmin
    from ashioto.log.base import Appended, Batch, Fence, Log, Slice, TopicInfo, TopicSpec, ViewPage
    from ashioto.log.leases import Lease, Leases

_T = TypeVar("_T")


class CrashError(Exception):
    """Stands for the end of the process."""


class CrashingLog:
    """Passes everything on to another log, and crashes once.

    Args:
        inner: The log that keeps the records; it outlives the crash. Leases, and changes of topics, need one that has
            them.
        crash_at: Which append crashes, or which side effect, from 1 on.
        when: `before` nothing of it is kept, `after` all of it is, but the caller never learns so.
        count: What `crash_at` counts: `appends`, or all side effects (`effects`), which are calls of `append`,
            `create`, `alter`, `delete` and `change_lease`.

    >>> from ashioto.testing.memory_log import MemoryLog
    >>> log = CrashingLog(MemoryLog(), crash_at=1, when="before")
    >>> log.append([])
    Traceback (most recent call last):
    ...
    ashioto.testing.crashing_log.CrashError: before append 1
    """

    def __init__(
        self,
        inner: Log,
        *,
        crash_at: int,
        when: Literal["before", "after"] = "before",
        count: Literal["appends", "effects"] = "appends",
    ) -> None:
        self.inner = inner
        self.appends = 0
        self.effects = 0
        self._crash_at = crash_at
        self._when = when
        self._count = count

    def create(self, specs: Sequence[TopicSpec]) -> list[str]:
        """Create topics in the inner log; a side effect."""
        return self._effect("create", lambda: self.inner.create(specs))

    def refusals(self, new: Sequence[TopicSpec], changed: Sequence[TopicSpec]) -> dict[str, str]:
        """Return what the inner log says before; nothing where it takes what it is given."""
        return self.inner.refusals(new, changed) if isinstance(self.inner, Preflight) else {}

    def leftovers(self, new: Sequence[TopicSpec]) -> dict[str, str]:
        """Return what stands in the way of topics that do not exist, where the log inside can say that."""
        return self.inner.leftovers(new) if isinstance(self.inner, Preflight) else {}

    def topics(self) -> list[str]:
        """Return the names of the topics of the inner log."""
        return cast("LogAdmin", self.inner).topics()

    def alter(self, spec: TopicSpec) -> None:
        """Alter a topic of the inner log; a side effect."""
        self._effect("alter", lambda: cast("LogAdmin", self.inner).alter(spec))

    def delete(self, names: Sequence[str]) -> None:
        """Delete topics of the inner log; a side effect."""
        self._effect("delete", lambda: cast("LogAdmin", self.inner).delete(names))

    def lease(self, name: str) -> Lease | None:
        """Return a lease of the inner log."""
        return cast("Leases", self.inner).lease(name)

    def change_lease(self, name: str, change: Callable[[Lease | None], Lease | None]) -> Lease | None:
        """Change a lease of the inner log; a side effect."""
        return self._effect("change_lease", lambda: cast("Leases", self.inner).change_lease(name, change))

    def describe(self, topic: str) -> TopicInfo:
        """Describe a topic of the inner log."""
        return self.inner.describe(topic)

    def append(self, batches: Sequence[Batch], *, fence: Fence | None = None) -> list[Appended]:
        """Append to the inner log; a side effect.

        Raises:
            CrashError: This is the append that crashes.
        """
        self.appends += 1
        return self._effect("append", lambda: self.inner.append(batches, fence=fence))

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

    def _effect(self, what: str, does: Callable[[], _T]) -> _T:
        self.effects += 1
        if self._count == "effects":
            crashes, name = self.effects == self._crash_at, f"effect {self.effects} ({what})"
        else:
            crashes, name = what == "append" and self.appends == self._crash_at, f"append {self.appends}"
        if crashes and self._when == "before":
            raise CrashError(f"before {name}")
        done = does()
        if crashes:
            raise CrashError(f"after {name}")
        return done
