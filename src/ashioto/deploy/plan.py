"""Makes plans: reads what is there, compares, orders the steps, and finds what would be refused. Nothing is written."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from ashioto.deploy.actual import actual_state
from ashioto.deploy.changes import TopicChange
from ashioto.deploy.desired import desired_state
from ashioto.deploy.diff import diff
from ashioto.deploy.explain import digest, registration_content, spec_content, topic_content
from ashioto.deploy.stages import Register, stages
from ashioto.deploy.topic_diff import OWN, over_leftover
from ashioto.engines.base import SQL_ENGINES
from ashioto.errors import BlockedError, UsageError
from ashioto.log.admin import Preflight

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from ashioto.deploy.actual import Actual
    from ashioto.deploy.changes import AnyChange
    from ashioto.deploy.desired import Desired
    from ashioto.deploy.stages import Step
    from ashioto.deploy.target import Target
    from ashioto.dsl.context import Context
    from ashioto.log.base import Log

_REFUSED: Final = "the log would refuse it: correct the declaration or ashioto.toml, or what the log allows"


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """Says what shall be applied.

    Args:
        contexts: What is declared; nothing else is looked at.
        partitions: How many partitions ticks, heartbeats and bars get.
        allow_delete: Topics that may be deleted.
    """

    contexts: Sequence[Context]
    partitions: int = 1
    allow_delete: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Holds what would be done.

    Args:
        desired: What is declared.
        actual: What was there when it was made.
        changes: What becomes of each object.
        steps: What is done, in order; empty when nothing is to do, or something is blocked.
    """

    desired: Desired
    actual: Actual
    changes: tuple[AnyChange, ...]
    steps: tuple[Step, ...]

    @property
    def blocked(self) -> list[AnyChange]:
        """Changes that are refused."""
        return [change for change in self.changes if change.gravity == "blocked"]

    @property
    def made(self) -> list[AnyChange]:
        """Changes that the steps make."""
        return [change for change in self.changes if change.gravity not in {"no-op", "blocked"}]

    @property
    def actual_checksum(self) -> str:
        """SHA-256 of what was there, apart from what changes by itself: records, and how far the engine is."""
        actual = self.actual
        return digest(
            [
                [[topic_content(topic.spec), *topic.drift] for topic in actual.topics],
                [registration_content(registration) for registration in actual.registrations],
                [spec_content(spec) for spec in actual.specs],
            ]
        )

    def check_blocked(self) -> None:
        """Refuse a plan with blocked changes.

        Raises:
            BlockedError: There are some; names all of them.
        """
        blocked = self.blocked
        if blocked:
            lines = "\n".join(f"  {change.object}: {change.reason}" for change in blocked)
            hints = "\n".join(f"  {change.object}: {change.hint}" for change in blocked)
            several = "1 change is" if len(blocked) == 1 else f"{len(blocked)} changes are"
            raise BlockedError(
                f"{several} blocked, so nothing was changed:\n{lines}", hint=f"\n{hints}",
                objects=[change.object for change in blocked],
            )  # fmt: skip


def make_plan(request: Request, target: Target) -> Plan:
    """Return what would be done, and refuse what never could be; writes nothing.

    Args:
        request: What shall be applied.
        target: Where.

    Raises:
        DefinitionError: Two declarations want one topic in different ways.
        UnsupportedError: The engine cannot run a query.
        UsageError: A topic that may be deleted belongs to no context of the request.
    """
    in_sql = target.engine.kind in SQL_ENGINES
    desired = desired_state(request.contexts, partitions=request.partitions, in_sql=in_sql)
    _check_deletable(request.allow_delete, desired)
    actual = actual_state(target, desired.contexts, others=desired.topic_names, indexes=desired.indexes)
    changes = diff(desired, actual, engine=target.engine.kind, allow_delete=request.allow_delete)
    changes = preflight(changes, target.log, request.allow_delete)
    steps = stages(changes)
    for step in steps:
        if isinstance(step, Register):
            target.engine.compile(step.registration)
    is_blocked = any(change.gravity == "blocked" for change in changes)
    return Plan(desired=desired, actual=actual, changes=tuple(changes), steps=() if is_blocked else tuple(steps))


def preflight(changes: Sequence[AnyChange], log: Log, allow_delete: Collection[str] = ()) -> list[AnyChange]:
    """Return changes as the log would take them: those of topics that it would refuse are blocked; writes nothing.

    What is left of a topic that does not exist, or belongs to one of the same name elsewhere, is deleted only where
    that topic may be.

    Args:
        changes: What shall become of each object.
        log: Where.
        allow_delete: Topics that may be deleted.
    """
    topics = [change for change in changes if isinstance(change, TopicChange) and change.spec is not None]
    new = [change.spec for change in topics if change.action == "create" and change.spec is not None]
    changed = [change.spec for change in topics if change.action == "alter" and change.spec is not None]
    if not (isinstance(log, Preflight) and (new or changed)):
        return list(changes)
    reasons = log.refusals(new, changed)
    left = log.leftovers([spec for spec in new if spec.name not in reasons])
    return [_as_taken(change, reasons, left, allow_delete) for change in changes]


def _as_taken(
    change: AnyChange, reasons: Mapping[str, str], left: Mapping[str, str], allow_delete: Collection[str]
) -> AnyChange:
    if not isinstance(change, TopicChange):
        return change
    if change.object in reasons:
        return replace(change, gravity="blocked", reason=reasons[change.object], hint=_REFUSED)
    return over_leftover(change, left[change.object], allow_delete) if change.object in left else change


def _check_deletable(names: Sequence[str], desired: Desired) -> None:
    for name in names:
        if name.startswith(OWN):
            raise UsageError(
                f"--allow-delete {name}: this topic is ashioto's own", hint="it is never deleted", topic=name
            )
        if name.partition(".")[0] not in desired.contexts or "." not in name:
            known = ", ".join(f"{context}.*" for context in desired.contexts)
            raise UsageError(f"--allow-delete {name}: no such topic", hint=f"topics are {known}", topic=name)
