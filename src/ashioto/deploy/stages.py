"""Turns changes into steps, in the one order that leaves no gap. Pure.

Topics → indexes of schedules → register new versions → verify that they make progress → heartbeat specs → stop old
versions → record.
A version is on record as an intent before anything is done for it, and as applied after everything was: so the next run
goes on with one that ended anywhere between.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ashioto.deploy.changes import IndexChange, QueryChange, SpecChange, TopicChange

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ashioto.control.applied import Registration, RegistrationState
    from ashioto.control.specs import HeartbeatSpec
    from ashioto.deploy.changes import AnyChange
    from ashioto.engines.sql.index import Index
    from ashioto.log.base import TopicSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateTopics:
    """Creates topics, in one call."""

    specs: tuple[TopicSpec, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AlterTopic:
    """Changes columns or retention of a topic.

    Args:
        spec: As it shall be.
        how: What changes, in words.
    """

    spec: TopicSpec
    how: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteTopic:
    """Deletes a topic and all its records."""

    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FillIndex:
    """Writes what the index of a schedule lacks."""

    index: Index


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """Writes in which state a version is."""

    registration: Registration


@dataclass(frozen=True, slots=True, kw_only=True)
class Register:
    """Has the engine run a version."""

    registration: Registration


@dataclass(frozen=True, slots=True, kw_only=True)
class Verify:
    """Waits until a version makes progress."""

    registration: Registration


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteSpec:
    """Writes a heartbeat specification."""

    spec: HeartbeatSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """Has the engine run a version no more."""

    registration: Registration


Step = CreateTopics | AlterTopic | DeleteTopic | FillIndex | Record | Register | Verify | WriteSpec | Stop


def stages(changes: Sequence[AnyChange]) -> list[Step]:
    """Return the steps that make the changes; none for those that are no-op or blocked.

    >>> stages([])
    []
    """
    todo = [change for change in changes if change.gravity not in {"no-op", "blocked"}]
    topics = [change for change in todo if isinstance(change, TopicChange)]
    queries = [change for change in todo if isinstance(change, QueryChange)]
    specs = [change.spec for change in todo if isinstance(change, SpecChange) and change.spec is not None]
    return [
        *(step for query in queries if query.retires_first for step in _retired(query)),
        *_topics(topics),
        *(FillIndex(index=change.index) for change in todo if isinstance(change, IndexChange)),
        *(step for query in queries for step in _registered(query)),
        *(Verify(registration=query.runs) for query in queries if query.runs is not None and _is_begun(query)),
        *(WriteSpec(spec=spec) for spec in specs),
        *(step for query in queries if not query.retires_first for step in _retired(query)),
        *(DeleteTopic(name=topic.object) for topic in topics if topic.action == "delete"),
        *(_recorded(query.runs, "applied") for query in queries if query.runs is not None and _is_open(query)),
    ]


def _is_open(query: QueryChange) -> bool:
    """Return whether the version is not on record as applied."""
    return query.recorded != "applied"


def _is_begun(query: QueryChange) -> bool:
    """Return whether the version begins to run with this, or has begun without having been verified."""
    return _is_open(query) or query.action == "register"


def _topics(changes: Sequence[TopicChange]) -> Iterator[Step]:
    yield from (DeleteTopic(name=change.object) for change in changes if change.action == "recreate")
    missing = tuple(c.spec for c in changes if c.action in {"create", "recreate"} and c.spec is not None)
    if missing:
        yield CreateTopics(specs=missing)
    for change in changes:
        if change.action == "alter" and change.spec is not None:
            yield AlterTopic(spec=change.spec, how=change.reason)


def _registered(query: QueryChange) -> Iterator[Step]:
    if query.runs is None or not _is_begun(query):
        return
    if query.recorded is None:
        yield _recorded(query.runs, "intent")
    yield Register(registration=query.runs)
    if _is_open(query):
        yield _recorded(query.runs, "registered")  # written again where it stands: an engine that failed tries again


def _retired(query: QueryChange) -> Iterator[Step]:
    for registration in query.retires:
        yield Stop(registration=registration)
        yield _recorded(registration, "stopped")


def _recorded(registration: Registration, state: RegistrationState) -> Record:
    return Record(registration=replace(registration, state=state))
