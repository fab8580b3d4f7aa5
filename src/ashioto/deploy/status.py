"""Compares what is recorded as applied with what is there: topics, versions, heartbeats. Nothing is written."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Final, Literal

from ashioto.control.specs import derive_spec
from ashioto.control.state import heartbeat_state
from ashioto.control.topics import HB_STATE
from ashioto.deploy.actual import actual_state, live
from ashioto.deploy.apply import NO_ENGINE
from ashioto.deploy.begins import plan_of
from ashioto.deploy.desired import topics_of
from ashioto.deploy.diff import changed_spec
from ashioto.deploy.topic_diff import kept
from ashioto.engines.base import SQL_ENGINES
from ashioto.engines.sql.index import difference, indexes
from ashioto.errors import ScheduleError
from ashioto.schedule.sessions import time_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from ashioto.control.applied import Registration
    from ashioto.control.specs import HeartbeatSpec
    from ashioto.control.state import HeartbeatState
    from ashioto.deploy.actual import Actual
    from ashioto.deploy.changes import Row
    from ashioto.deploy.target import Target
    from ashioto.engines.sql.index import Index
    from ashioto.log.base import Log, TopicSpec
    from ashioto.logical.nodes import Query

State = Literal["ok", "drift", "problem"]

APPLY: Final = "rc infra apply"
BEAT: Final = "rc hb run"
_OWN_LOG: Final = "see rc.dlq and the log of rc engine run"
_SERVERS_LOG: Final = "see the engine's own pages and logs, and rc doctor"
_SOON: Final = "look again in a moment; rc doctor"
_MISSED: Final = 3
"""So many intervals may pass without a heartbeat."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Says how one object stands.

    Args:
        object: A topic, a query and its version, or a heartbeat spec.
        state: `ok`; `drift` when it is not as recorded; `problem` when it is, and does not work.
        detail: What there is.
        hint: The way out.
    """

    object: str
    state: State
    detail: str
    hint: str = ""

    def row(self) -> Row:
        """Return it for printing.

        >>> Finding(object="trading.rate", state="ok", detail="4 columns").row()
        {'object': 'trading.rate', 'state': 'ok', 'detail': '4 columns', 'hint': ''}
        """
        return asdict(self)


def status(target: Target, contexts: Sequence[str], *, now_ms: int, partitions: int = 1) -> list[Finding]:
    """Return how everything stands that was applied of some contexts.

    Args:
        target: Where.
        contexts: Their names.
        now_ms: The time that heartbeats go by, ms.
        partitions: How many partitions ticks, heartbeats and bars have.
    """
    actual = actual_state(target, contexts)
    known = HB_STATE in target.log.topics()
    beats = {s.id: heartbeat_state(target.log, s.key(target.env)) if known else None for s in actual.specs}
    return [
        finding for name in contexts for finding in _of_context(target.log, name, actual, beats, now_ms, partitions)
    ]


def _of_context(
    log: Log, name: str, actual: Actual, beats: Mapping[str, HeartbeatState | None], now_ms: int, partitions: int
) -> Iterator[Finding]:
    standing = live([r for r in actual.registrations if r.context == name])
    if not standing:
        yield Finding(object=name, state="drift", detail="nothing of it is applied", hint=APPLY)
    newest = {r.query: r for r in standing}
    plans = {query: plan for query, r in newest.items() if (plan := plan_of(r)) is not None}
    wanted: dict[str, TopicSpec] = {}
    for plan in plans.values():
        wanted |= {spec.name: spec for spec in topics_of(plan, partitions=partitions)}
    indexed = indexes(plan for query, plan in plans.items() if newest[query].engine in SQL_ENGINES)
    wanted |= {index.topic: index.spec(partitions) for index in indexed}
    yield from (topic_finding(spec, actual) for spec in wanted.values())
    yield from (index_finding(log, i) for i in indexed if actual.topic(i.topic) and actual.topic(i.schedule))
    for registration in standing:
        yield version_finding(registration, newest[registration.query], actual)
    specs = {spec.id: spec for spec in actual.specs if spec.context == name}
    for query, plan in plans.items():
        if plan.continuous:
            yield spec_finding(plan, newest[query].version, specs)
            yield from _schedule_finding(plan, actual)
    queries = {query for query, plan in plans.items() if plan.continuous}
    for spec in specs.values():
        if spec.enabled and spec.query in queries:
            yield beat_finding(spec, beats.get(spec.id), now_ms)
        elif spec.enabled:
            detail = f"is enabled, but {spec.query} is not applied as a continuous query"
            yield Finding(object=spec.id, state="drift", detail=detail, hint=APPLY)


def topic_finding(spec: TopicSpec, actual: Actual) -> Finding:
    """Return how a topic stands against what an applied query needs.

    Args:
        spec: As the query needs it.
        actual: What is there.
    """
    known = actual.topic(spec.name)
    if known is None:
        return Finding(object=spec.name, state="drift", detail="does not exist", hint=APPLY)
    there = {field.name: field.type for field in known.spec.schema}
    said = [f"has {n} = {getattr(known.spec, n)}, not {getattr(spec, n)}" for n in ("partitions", "cleanup")
            if getattr(known.spec, n) != getattr(spec, n)]  # fmt: skip
    said += [f"has no column {f.name}" for f in spec.schema if f.name not in there]
    extra = sorted(there.keys() - set(spec.schema.names))
    said += [f"has also the column {name}" for name in extra]
    said += [f"{f.name} is {there[f.name]}, not {f.type}" for f in spec.schema if there.get(f.name, f.type) != f.type]
    if known.spec.retention_ms != spec.retention_ms:
        said.append(f"keeps records {kept(known.spec.retention_ms)}, not {kept(spec.retention_ms)}")
    said += known.drift
    if said:
        return Finding(object=spec.name, state="drift", detail="; ".join(said), hint="rc infra plan")
    return Finding(object=spec.name, state="ok", detail=f"columns: {len(there)}, partitions: {spec.partitions}")


def index_finding(log: Log, index: Index) -> Finding:
    """Return whether an index says what its schedule says.

    Args:
        log: Where both are.
        index: The index.
    """
    name = f"{index.topic} rows"
    try:
        found = difference(log, index)
    except ScheduleError as error:
        return Finding(object=name, state="problem", detail=error.message, hint="rc schedule check")
    if found.rows:
        return Finding(object=name, state="drift", detail=found.said, hint="rc schedule check --fix")
    return Finding(object=name, state="ok", detail=f"as {index.schedule} says")


def version_finding(registration: Registration, newest: Registration, actual: Actual) -> Finding:
    """Return how a version that is not stopped stands.

    Args:
        registration: The version.
        newest: The newest version of the query that is not stopped.
        actual: What is there.
    """
    name, run = registration.name, actual.run(registration.name)
    if registration.version != newest.version:
        detail = f"v{newest.version} is to take its place; apply was left half done"
        return Finding(object=name, state="drift", detail=detail, hint=APPLY)
    if registration.state != "applied":
        detail = f"is only {registration.state}; apply was left half done" + _why(run.detail if run else "")
        return Finding(object=name, state="drift", detail=detail, hint=APPLY)
    if run is None:
        return Finding(object=name, state="drift", detail="the engine does not know it", hint=APPLY)
    is_here = registration.engine not in SQL_ENGINES
    if run.state in {"failed", "ended"}:
        hint = APPLY if run.state == "ended" else _OWN_LOG if is_here else _SERVERS_LOG
        return Finding(object=name, state="problem", detail=f"{run.state}{_why(run.detail)}", hint=hint)
    if run.state in {"waiting", "starting"}:
        detail = run.detail if run.state == "starting" else NO_ENGINE.partition(":")[0]
        return Finding(object=name, state="problem", detail=detail, hint="rc engine run" if is_here else _SOON)
    return Finding(object=name, state="ok", detail=f"runs{_why(run.detail)}")


def _why(detail: str) -> str:
    return f": {detail}" if detail else ""


def spec_finding(plan: Query, version: int, specs: Mapping[str, HeartbeatSpec]) -> Finding:
    """Return whether the heartbeat spec of a continuous query is as its registration implies.

    Args:
        plan: Of the query.
        version: Of the registration.
        specs: What is specified, by id.
    """
    wanted = derive_spec(plan, version=version, updated_ms=0)
    known = specs.get(wanted.id)
    if known is None:
        return Finding(object=wanted.id, state="drift", detail="has no specification", hint=APPLY)
    parts = changed_spec(known, wanted)
    if "enabled" in parts:
        return Finding(object=wanted.id, state="drift", detail="is disabled", hint=APPLY)
    if parts:
        detail = f"is not as v{version} of {plan.name} implies: {', '.join(parts)}"
        return Finding(object=wanted.id, state="drift", detail=detail, hint=APPLY)
    return Finding(object=wanted.id, state="ok", detail=f"specified by v{version} of {plan.name}")


def beat_finding(spec: HeartbeatSpec, beat: HeartbeatState | None, now_ms: int) -> Finding:
    """Return whether the heartbeats of a spec are on time.

    Args:
        spec: An enabled spec.
        beat: Where its heartbeats stand; None when none was ever sent.
        now_ms: The time they go by, ms.
    """
    name = f"{spec.id} heartbeat"
    if beat is None:
        return Finding(object=name, state="problem", detail="was never sent", hint=BEAT)
    last = f"the last at {time_text(beat.last_hb_ms)} by {beat.holder}"
    if beat.mode == "stopped":
        return Finding(object=name, state="problem", detail=f"stopped; {last}", hint=BEAT)
    if beat.last_hb_ms < now_ms - _MISSED * spec.interval_ms - spec.grace_ms:
        late_s = (now_ms - beat.last_hb_ms) / 1000
        return Finding(object=name, state="problem", detail=f"{late_s:,.0f} s without one; {last}", hint=BEAT)
    return Finding(object=name, state="ok", detail=last)


def _schedule_finding(plan: Query, actual: Actual) -> Iterator[Finding]:
    topic = plan.schedule_topic
    if topic is None:
        return
    known = actual.topic(topic)
    if known is None:
        yield Finding(object=topic, state="drift", detail="does not exist", hint=APPLY)
    elif not known.has_records:
        yield Finding(object=topic, state="problem", detail="has no sessions, so no bars", hint="rc schedule import")
    else:
        yield Finding(object=topic, state="ok", detail="has sessions")
