"""A log with specifications, and a clock that jumps exactly to where an orchestrator or a service says it wakes."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from tests.support_heartbeat import create_topics, session_batch
from tests.support_planning import START, START_DAY, Row, query

from ashioto.clock import ManualClock
from ashioto.control.specs import HeartbeatSpec, derive_spec, spec_batch
from ashioto.heartbeat.orchestrator import Orchestrator
from ashioto.log.base import Fence
from ashioto.observe.metrics import HeartbeatMetrics
from ashioto.testing.memory_log import MemoryLog

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ashioto.heartbeat.members import Key
    from ashioto.log.base import Appended, Batch, Log
    from ashioto.log.embedded.log import EmbeddedLog
    from ashioto.logical.nodes import Query

ENV = ("dev", "local")
DAY, MINUTE = 86_400_000, 60_000
KEYS: list[Key] = [("FX", "EURUSD"), ("FX", "USDJPY")]
PLAN = query("1m", "5m", grace_ms=2_000)
OPEN: Row = (START, START + 5 * MINUTE, START_DAY)
LATER: Row = (START + 30 * DAY, START + 31 * DAY, START_DAY + 30)


class RefusingLog:
    """Passes everything on to another log, but raises what it is told to instead of the next appends.

    Args:
        inner: The log.
    """

    def __init__(self, inner: Log) -> None:
        self._inner = inner
        self.errors: list[Exception] = []
        self.appends = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def append(self, batches: Sequence[Batch], *, fence: Fence | None = None) -> list[Appended]:
        """Append, or refuse."""
        if self.errors:
            raise self.errors.pop(0)
        self.appends += 1
        return self._inner.append(batches, fence=fence)


@dataclass(kw_only=True)
class Stage:
    """A log with a schedule, and what is specified on it."""

    plan: Query = PLAN
    log: MemoryLog | EmbeddedLog = field(default_factory=MemoryLog)
    clock: ManualClock = field(default_factory=lambda: ManualClock(START - MINUTE))
    metrics: HeartbeatMetrics = field(default_factory=HeartbeatMetrics)
    hours: dict[Key, list[Row]] = field(default_factory=lambda: {key: [OPEN, LATER] for key in KEYS})

    def __post_init__(self) -> None:
        create_topics(self.log, self.plan)
        if self.hours:
            self.log.append([session_batch(self.hours)])

    def spec(self, **changes: Any) -> HeartbeatSpec:
        """What the plan implies."""
        return replace(derive_spec(self.plan, version=1, updated_ms=START - MINUTE), **changes)

    def specify(self, *specs: HeartbeatSpec) -> None:
        """Write specifications."""
        self.log.append([spec_batch(ENV, specs or [self.spec()])])

    def orchestrator(self, log: Log | None = None, **options: Any) -> Orchestrator:
        """An orchestrator of this log."""
        return Orchestrator(
            self.log if log is None else log, env=ENV, context=self.plan.context, clock=self.clock,
            metrics=self.metrics, **options,
        )  # fmt: skip

    def active(self, log: Log | None = None, *, epoch: int = 1, **options: Any) -> Orchestrator:
        """One that sends."""
        made = self.orchestrator(log, **options)
        made.promote(Fence(name="hb", epoch=epoch), "h")
        return made

    def run(self, orchestrator: Orchestrator, until: int) -> int:
        """Step up to a moment, jumping to each that it names; returns how many steps it took."""
        steps = 0
        while True:
            orchestrator.step()
            steps += 1
            now = self.clock.now_ms()
            if now >= until and (orchestrator.wake_ms() or until + 1) > now:
                return steps
            wake = orchestrator.wake_ms()
            waits = [orchestrator.watch_s() * 1000, until - now, *([] if wake is None else [wake - now])]
            assert min(waits) > 0 or (wake is not None and wake <= now)
            self.clock.advance(max(min(waits), 0.0))

    def value(self, name: str, **labels: str) -> float | None:
        """A metric of the spec."""
        return self.metrics.registry.get_sample_value(name, {"spec": "t.Rate.1m", **labels})
