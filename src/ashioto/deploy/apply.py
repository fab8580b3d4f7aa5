"""Applies plans: one at a time, every write under the epoch of the lock, so that a run cut off writes no more."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, assert_never

from ashioto.control.applied import registration_batch
from ashioto.control.election import LeaseOptions
from ashioto.control.specs import spec_batch
from ashioto.deploy.plan import make_plan
from ashioto.deploy.plan_file import check_saved
from ashioto.deploy.stages import (
    AlterTopic,
    CreateTopics,
    DeleteTopic,
    FillIndex,
    Record,
    Register,
    Stop,
    Verify,
    WriteSpec,
)
from ashioto.engines.sql.index import index_repairs
from ashioto.errors import AshiotoError, LockHeldError, VerifyError
from ashioto.log.base import Fence

if TYPE_CHECKING:
    from collections.abc import Callable

    from ashioto.control.applied import Registration
    from ashioto.control.election import Election
    from ashioto.deploy.plan import Plan, Request
    from ashioto.deploy.plan_file import SavedPlan
    from ashioto.deploy.stages import Step
    from ashioto.deploy.target import Target
    from ashioto.log.base import Batch

LOCK: Final = LeaseOptions(renew_s=0.5, expire_s=15.0)
"""A lock whose holder is gone is free at once; the time only counts where nobody can tell."""
NO_ENGINE: Final = "no engine runs now, so no bars are made: rc engine run, or rc dev"


@dataclass(frozen=True, slots=True, kw_only=True)
class ApplyOptions:
    """Says how long to wait for queries to make progress.

    Args:
        verify_timeout_s: At most so long for each, seconds.
        poll_s: How often to look, seconds.
    """

    verify_timeout_s: float = 15.0
    poll_s: float = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """Says what was done.

    Args:
        plan: What was applied; without steps, nothing was to do and nothing was written.
        notes: What people should know.
    """

    plan: Plan
    notes: tuple[str, ...] = ()


def apply(
    request: Request,
    target: Target,
    election: Election,
    *,
    saved: SavedPlan | None = None,
    options: ApplyOptions | None = None,
    tell: Callable[[Step], None] = lambda _: None,
) -> Outcome:
    """Make what is there as declared; without changes nothing is written, not even the lock.

    Args:
        request: What shall be applied.
        target: Where.
        election: The lock.
        saved: Do exactly this, or nothing.
        options: How long to wait.
        tell: Told of every step before it is done.

    Raises:
        BlockedError: Something cannot become as declared; names all of it.
        LockHeldError: Somebody else applies now; names who.
        StalePlanError: The saved plan is not what would be done now.
        VerifyError: A version makes no progress; the one before goes on.
        LeaseLostError: This process was paused for too long, and somebody else has begun.
    """
    plan = _checked(make_plan(request, target), target, saved)
    if not plan.steps:
        return Outcome(plan=plan)
    epoch = election.campaign()
    if epoch is None:
        raise _held(election, target)
    try:
        plan = _checked(make_plan(request, target), target, saved)
        run = _Run(target=target, election=election, epoch=epoch, options=options or ApplyOptions())
        for step in plan.steps:
            tell(step)
            election.renew()
            run.do(step)
    except (AshiotoError, KeyboardInterrupt):
        election.resign()
        raise
    election.resign()
    return Outcome(plan=plan, notes=tuple(run.notes))


def _checked(plan: Plan, target: Target, saved: SavedPlan | None) -> Plan:
    plan.check_blocked()
    if saved is not None:
        check_saved(saved, plan, target)
    return plan


def _held(election: Election, target: Target) -> LockHeldError:
    holder = election.leader() or "another process"
    return LockHeldError(
        f"{holder} applies to {'/'.join(target.env)} right now",
        hint="wait until it has ended; when it was killed its lock is free at once",
        holder=holder,
    )


@dataclass(slots=True, kw_only=True)
class _Run:
    """Does steps."""

    target: Target
    election: Election
    epoch: int
    options: ApplyOptions
    notes: list[str] = field(default_factory=list)
    recorded_ms: dict[str, int] = field(default_factory=dict)

    def do(self, step: Step) -> None:
        """Do one step."""
        log, engine = self.target.log, self.target.engine
        match step:
            case CreateTopics():
                log.create(step.specs)
            case AlterTopic():
                log.alter(step.spec)
            case DeleteTopic():
                log.delete([step.name])
            case FillIndex():
                self._append(*index_repairs(log, step.index))
            case Record():
                self._record(step.registration)
            case WriteSpec():
                self._append(spec_batch(self.target.env, [replace(step.spec, updated_ms=self._now())]))
            case Register():
                engine.register(step.registration)
            case Stop():
                engine.stop(step.registration)
            case Verify():
                self._verify(step.registration)
            case _:
                assert_never(step)

    def _now(self) -> int:
        return self.target.clock.now_ms()

    def _record(self, registration: Registration) -> None:
        now = self.recorded_ms[registration.name] = self._now()
        self._append(registration_batch(self.target.env, [replace(registration, updated_ms=now)]))

    def _append(self, *batches: Batch) -> None:
        self.target.log.append(batches, fence=Fence(name=self.election.name, epoch=self.epoch))

    def _verify(self, registration: Registration) -> None:
        """Wait until a version makes progress; where no engine runs there is nothing to wait for.

        The engine is asked for the version as it was recorded just now: failures from before that are past.
        """
        clock = self.target.clock
        registration = replace(
            registration, updated_ms=self.recorded_ms.get(registration.name, registration.updated_ms)
        )
        begun = renewed = clock.monotonic()
        while not self._is_verified(registration):
            if clock.monotonic() - begun >= self.options.verify_timeout_s:
                waited = f"made no progress within {self.options.verify_timeout_s:g} s"
                raise self._not_verified(registration, waited)
            clock.sleep(self.options.poll_s)
            if clock.monotonic() - renewed >= LOCK.renew_s:
                renewed = clock.monotonic()
                self.election.renew()

    def _is_verified(self, registration: Registration) -> bool:
        found = next(iter(self.target.engine.inspect([registration])), None)
        if found is not None and found.state == "waiting":
            self.notes += [NO_ENGINE] if NO_ENGINE not in self.notes else []
            return True
        if found is not None and found.state in {"failed", "ended"}:
            raise self._not_verified(registration, found.state)
        if found is not None and found.state == "starting":
            return False
        return self.target.engine.progress(registration) is not None

    def _not_verified(self, registration: Registration, what: str) -> VerifyError:
        found = next(iter(self.target.engine.inspect([registration])), None)
        detail = f": {found.detail}" if found is not None and found.detail else ""
        return VerifyError(
            f"{registration.name} {what}{detail}",
            hint="the version before goes on; correct what is wrong and run rc infra apply again: it goes on from here",
            query=f"{registration.context}.{registration.query}",
            version=registration.version,
        )
