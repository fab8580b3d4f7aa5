"""Compares what is declared with what is there. Pure: it gets both and returns changes, in the declared order."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ashioto.control.applied import Registration
from ashioto.control.specs import derive_spec
from ashioto.deploy.actual import live
from ashioto.deploy.begins import begins_at, changed_parts, plan_of
from ashioto.deploy.changes import IndexChange, QueryChange, SpecChange
from ashioto.deploy.topic_diff import topic_changes
from ashioto.engines.base import SQL_ENGINES

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from ashioto.control.specs import HeartbeatSpec
    from ashioto.deploy.actual import Actual
    from ashioto.deploy.changes import AnyChange, TopicChange
    from ashioto.deploy.desired import Desired, DesiredQuery


def diff(desired: Desired, actual: Actual, *, engine: str, allow_delete: Collection[str] = ()) -> list[AnyChange]:
    """Return what becomes of every topic, query and heartbeat spec.

    Versions begin with state `intent` and no time: whoever writes them says when.

    Args:
        desired: What is declared.
        actual: What is there.
        engine: Kind of the engine.
        allow_delete: Topics that may be deleted.
    """
    topics = topic_changes(desired, actual, allow_delete)
    anew = {change.object for change in topics if change.action == "recreate"}
    queries = [_query(query, actual, engine, sorted(anew.intersection(query.topics))) for query in desired.queries]
    filled = _indexes(desired, actual, topics)
    return [*topics, *filled, *queries, *_withdrawn(desired, actual), *_specs(desired, queries, actual)]


def _indexes(desired: Desired, actual: Actual, topics: Sequence[TopicChange]) -> list[IndexChange]:
    """Return the indexes that are new or empty while their schedules have sessions."""
    anew = {change.object for change in topics if change.action == "recreate"}
    found = []
    for index in desired.indexes:
        known = actual.topic(index.topic)
        empty = known is None or not known.has_records or index.topic in anew
        if empty and index in actual.scheduled and index.schedule not in anew:
            reason = f"{index.schedule} has sessions"
            found.append(IndexChange(object=index.topic, action="fill", gravity="in place", reason=reason, index=index))
    return found


def _query(query: DesiredQuery, actual: Actual, engine: str, anew: Sequence[str]) -> QueryChange:
    versions = actual.versions(query.plan.context, query.plan.name)
    standing = live(versions)
    newest = standing[-1] if standing else None
    if newest is None:
        reason = "is new" if not versions else f"was stopped as v{versions[-1].version}"
        return QueryChange(
            object=query.id, action="register", gravity="in place", reason=reason,
            runs=_next(query, actual, engine, None),
        )  # fmt: skip
    reasons = _reasons(query, newest, engine, anew)
    if reasons:
        return QueryChange(
            object=query.id, action="replace", gravity="replace", reason="; ".join(reasons),
            runs=_next(query, actual, engine, None if anew else newest), retires=tuple(standing),
            retires_first=bool(anew),
        )  # fmt: skip
    return _same(query, actual, standing)


def _same(query: DesiredQuery, actual: Actual, standing: list[Registration]) -> QueryChange:
    """Return what is left to do of a version that is as declared."""
    newest, older = standing[-1], standing[:-1]
    change = QueryChange(
        object=query.id, action="keep", gravity="no-op", runs=newest, recorded=newest.state, retires=tuple(older)
    )
    if newest.state != "applied":
        reason = f"v{newest.version} was left half done"
        return replace(change, action="finish", gravity="in place", reason=reason)
    if older:
        names = ", ".join(f"v{r.version}" for r in older)
        return replace(change, action="finish", gravity="in place", reason=f"{names} still to be stopped")
    run = actual.run(newest.name)
    if run is None or run.state == "ended":
        reason = "the engine does not know it" if run is None else "it has ended in the engine"
        return replace(change, action="register", gravity="in place", reason=reason)
    return change


def _reasons(query: DesiredQuery, newest: Registration, engine: str, anew: Sequence[str]) -> list[str]:
    found = []
    if newest.checksum != query.checksum:
        known = plan_of(newest)
        parts = [] if known is None else changed_parts(known, query.plan)
        found.append(f"v{newest.version} has another definition" + (f" ({', '.join(parts)})" if parts else ""))
    if newest.engine != engine:
        found.append(f"v{newest.version} runs in {newest.engine}, not {engine}")
    return found + ([f"{', '.join(anew)} is made anew"] if anew else [])


def _next(query: DesiredQuery, actual: Actual, engine: str, before: Registration | None) -> Registration:
    plan = query.plan
    versions = actual.versions(plan.context, plan.name)
    stays = before is not None and before.engine == engine and engine not in SQL_ENGINES
    return Registration(
        context=plan.context,
        query=plan.name,
        version=1 + max((r.version for r in versions), default=0),
        state="intent",
        engine=engine,
        checksum=query.checksum,
        plan=query.text,
        begins=begins_at(before, plan, run=actual.run(before.name)) if before is not None and stays else "start",
        updated_ms=0,
    )


def _withdrawn(desired: Desired, actual: Actual) -> Iterator[QueryChange]:
    """Yield the queries that are no longer declared and not yet stopped."""
    declared = {query.id for query in desired.queries}
    names = dict.fromkeys((r.context, r.query) for r in live(actual.registrations))
    for context, name in names:
        if f"{context}.{name}" not in declared:
            yield QueryChange(
                object=f"{context}.{name}", action="stop", gravity="in place", reason="no longer declared",
                retires=tuple(live(actual.versions(context, name))),
            )  # fmt: skip


def _specs(desired: Desired, queries: Sequence[QueryChange], actual: Actual) -> list[SpecChange]:
    there = {spec.id: spec for spec in actual.specs}
    wanted = {}
    for query, change in zip(desired.queries, queries, strict=True):
        if query.plan.continuous and change.runs is not None:
            spec = derive_spec(query.plan, version=change.runs.version, updated_ms=0)
            wanted[spec.id] = spec
    found = [_spec(spec, there.get(name)) for name, spec in wanted.items()]
    return found + [
        SpecChange(
            object=name, action="stop", gravity="in place", reason="no continuous query wants it any more",
            spec=replace(spec, enabled=False, updated_ms=0),
        )
        for name, spec in there.items()
        if name not in wanted and spec.enabled
    ]  # fmt: skip


def _spec(wanted: HeartbeatSpec, known: HeartbeatSpec | None) -> SpecChange:
    if known is None:
        return SpecChange(object=wanted.id, action="write", gravity="in place", reason="does not exist", spec=wanted)
    parts = changed_spec(known, wanted)
    if not parts:
        return SpecChange(object=wanted.id, action="keep", gravity="no-op", spec=known)
    return SpecChange(
        object=wanted.id, action="write", gravity="in place", reason=f"differs in {', '.join(parts)}", spec=wanted
    )


def changed_spec(known: HeartbeatSpec, wanted: HeartbeatSpec) -> list[str]:
    """Return the names of the parts in which two specs differ, the time of writing apart."""
    names = [name for name in known.__dataclass_fields__ if name != "updated_ms"]
    return [name for name in names if getattr(known, name) != getattr(wanted, name)]
