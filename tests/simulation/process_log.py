"""The log as one process sees it: each call may be its last, be late, be refused, or be the one it is stopped in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeVar

from tests.simulation.world import SimCrashError

from ashioto.errors import LogBusyError, LogFullError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tests.simulation.process import Process
    from tests.simulation.watch import Watch
    from tests.simulation.world import World

    from ashioto.log.base import Appended, Batch, Fence, Slice, TopicInfo, TopicSpec, ViewPage
    from ashioto.log.leases import Lease

_T = TypeVar("_T")
Fault = Literal["crash before", "crash after", "stop before", "stop after", "stop inside", "busy", "full"]
STRANGER = 99_999
"""Number of a process that nobody knows."""


class ProcessLog:
    """Passes everything on to the one log.

    Args:
        world: Has the log.
        process: Whose calls these are.
        watch: Told of everything that was written.
    """

    def __init__(self, world: World, process: Process, watch: Watch) -> None:
        self._world, self._inner, self._process, self._watch = world, world.log, process, watch

    def create(self, specs: Sequence[TopicSpec]) -> list[str]:
        """Create topics."""
        return self._write("create", lambda: self._inner.create(specs))

    def topics(self) -> list[str]:
        """Return the names of all topics."""
        return self._call("topics", self._inner.topics)

    def alter(self, spec: TopicSpec) -> None:
        """Change a topic."""
        self._write("alter", lambda: self._inner.alter(spec))

    def delete(self, names: Sequence[str]) -> None:
        """Delete topics."""
        self._write("delete", lambda: self._inner.delete(names))

    def lease(self, name: str) -> Lease | None:
        """Return a lease."""
        return self._call("lease", lambda: self._inner.lease(name))

    def change_lease(self, name: str, change: Callable[[Lease | None], Lease | None]) -> Lease | None:
        """Replace a lease, and have it looked at who did what to it."""

        def changed() -> Lease | None:
            before = self._inner.lease(name)
            after = self._inner.change_lease(name, change)
            self._watch.leased(self._process, name, before, after)
            return after

        return self._write("change_lease", changed)

    def describe(self, topic: str) -> TopicInfo:
        """Describe a topic."""
        return self._call("describe", lambda: self._inner.describe(topic))

    def append(self, batches: Sequence[Batch], *, fence: Fence | None = None) -> list[Appended]:
        """Append, and have it looked at what was appended."""

        def appended() -> list[Appended]:
            found = self._inner.append(batches, fence=fence)
            self._watch.appended(self._process, batches, found, fence)
            return found

        return self._write("append", appended)

    def read(self, topic: str, partition: int, offset: int, *, max_rows: int = 262_144) -> Slice | None:
        """Read, some processes only a few records at a time."""
        rows = min(max_rows, self._process.read_rows)
        return self._call("read", lambda: self._inner.read(topic, partition, offset, max_rows=rows))

    def end_offsets(self, topic: str, *, committed: bool = True) -> dict[int, int]:
        """Return the end offsets of a topic."""
        return self._call("end_offsets", lambda: self._inner.end_offsets(topic, committed=committed))

    def view(
        self, topic: str, *, start: bytes | None = None, stop: bytes | None = None, limit: int | None = None,
        reverse: bool = False, settled: bool = True,
    ) -> ViewPage:  # fmt: skip
        """View a compact topic."""
        return self._call(
            "view",
            lambda: self._inner.view(topic, start=start, stop=stop, limit=limit, reverse=reverse, settled=settled),
        )

    def _call(self, what: str, does: Callable[[], _T]) -> _T:
        self._world.called()
        fault = self._process.next_fault(writes=False)
        return does() if fault is None else self._faulty(fault, what, does)

    def _write(self, what: str, does: Callable[[], _T]) -> _T:
        self._world.called()
        self._process.writes += 1
        fault = self._process.next_fault(writes=True)
        blocker = self._world.blocker
        if blocker is not None:
            raise LogBusyError(f"{blocker.pid} holds the log", hint="wait", pid=blocker.pid)
        return does() if fault is None else self._faulty(fault, what, does)

    def _faulty(self, fault: Fault, what: str, does: Callable[[], _T]) -> _T:
        self._world.counts[f"fault: {fault}"] += 1
        self._world.tell(self._process.name, f"{fault} {what}")
        match fault:
            case "crash before":
                raise SimCrashError
            case "crash after":
                does()
                raise SimCrashError
            case "stop before":
                self._process.stop_for_a_while()
                return does()
            case "stop after":
                done = does()
                self._process.stop_for_a_while()
                return done
            case "stop inside":
                self._process.stop_for_a_while(holding=True)
                return does()
            case "busy":
                raise LogBusyError("held for too long", hint="wait", pid=self._world.random.choice((STRANGER, None)))
            case "full":
                raise LogFullError("the disk is full", hint="make room")
