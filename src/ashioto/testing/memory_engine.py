"""An engine in memory, for tests: it remembers what it shall run, and fails as it is told."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ashioto.engines.base import RunningQuery
from ashioto.errors import UnsupportedError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ashioto.control.applied import Registration


class MemoryEngine:
    """Runs nothing, and says how it stands.

    Args:
        queries: What it runs, by name; hand in the same again and it outlives this object, as a server would.

    Attributes:
        failing: Why versions fail, by name.
        ended: Why versions run no more until they are registered again, by name.
        refused: Why queries cannot be run at all, by query.
        absent: Whether no engine process is there.
        stuck: Whether nothing makes progress.
        partly: Whether a partition is run by nobody.

    >>> from ashioto.control.applied import Registration
    >>> bars = Registration(context="trading", query="rate_bars", version=1, state="intent", engine="memory",
    ...     checksum="", plan="{}", begins="start", updated_ms=0)
    >>> engine = MemoryEngine()
    >>> engine.register(bars)
    >>> engine.progress(bars)
    {0: 0}
    >>> engine.stop(bars)
    >>> engine.inspect([bars])
    []
    """

    kind = "memory"

    def __init__(self, queries: dict[str, Registration] | None = None) -> None:
        self.queries: dict[str, Registration] = {} if queries is None else queries
        self.failing: dict[str, str] = {}
        self.ended: dict[str, str] = {}
        self.refused: dict[str, str] = {}
        self.absent = False
        self.stuck = False
        self.partly = False

    def compile(self, registration: Registration) -> list[str]:
        """Return the plan.

        Raises:
            UnsupportedError: It was told to refuse the query.
        """
        if registration.query in self.refused:
            raise UnsupportedError(f"{registration.name}: {self.refused[registration.query]}", hint="change the query")
        return [registration.plan]

    def inspect(self, registrations: Sequence[Registration]) -> list[RunningQuery]:
        """Return how these versions stand, those that were not registered left out."""
        return [self._stand(r) for r in registrations if r.name in self.queries]

    def register(self, registration: Registration) -> None:
        """Remember a version; one that is remembered already, and has not ended, stays as it is."""
        self.ended.pop(registration.name, None)
        self.queries.setdefault(registration.name, registration)

    def stop(self, registration: Registration) -> None:
        """Forget a version."""
        self.queries.pop(registration.name, None)

    def progress(self, registration: Registration) -> Mapping[int, int] | None:
        """Return that its one partition was read up to offset 0, or None when it does not get there."""
        known = registration.name in self.queries
        ill = self.absent or self.stuck or registration.name in self.failing
        return {0: 0} if known and not ill else None

    def _stand(self, registration: Registration) -> RunningQuery:
        name = registration.name
        if self.absent:
            return RunningQuery(name=name, state="waiting", detail="no engine process")
        if name in self.ended:
            return RunningQuery(name=name, state="ended", detail=self.ended[name])
        if name in self.failing:
            return RunningQuery(name=name, state="failed", detail=self.failing[name])
        if self.partly:
            return RunningQuery(name=name, state="starting", detail="nobody runs partition 1 yet")
        return RunningQuery(name=name, state="running", cuts=self.progress(registration) or {}, detail="in memory")
