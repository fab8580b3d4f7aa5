"""Compares topics: which are created, altered, made anew, deleted or kept, and which cannot become as declared."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from ashioto.bars.placement import placement_of, placement_said
from ashioto.deploy.changes import TopicChange
from ashioto.schema.evolution import other_types

if TYPE_CHECKING:
    from collections.abc import Collection

    import pyarrow as pa

    from ashioto.deploy.actual import Actual, ActualTopic
    from ashioto.deploy.desired import Desired, DesiredTopic

OWN: Final = "rc."
"""Topics of ashioto itself begin so; they are never deleted."""
HIDDEN: Final = "__"
"""Columns that keep partial aggregates begin so; nobody declares them by name."""


@dataclass(slots=True)
class _Found:
    """What stands in the way, and which columns could be declared in another way."""

    reasons: list[str] = field(default_factory=list)
    rename: list[str] = field(default_factory=list)
    default: list[str] = field(default_factory=list)

    def ways_out(self, name: str) -> str:
        """Return what can be done instead, deleting the topic last."""
        ways = [f"rename {', '.join(self.rename)}"] if self.rename else []
        ways += [f"give {', '.join(self.default)} a default"] if self.default else []
        return ", or ".join([*ways, _delete_hint(name)])


def topic_changes(desired: Desired, actual: Actual, allow_delete: Collection[str]) -> list[TopicChange]:
    """Return what becomes of every topic, declared ones first.

    Args:
        desired: What is declared.
        actual: What is there.
        allow_delete: Topics that may be deleted.
    """
    declared = set(desired.topic_names)
    there = [topic.spec.name for topic in actual.topics]
    found = [_declared(topic, actual.topic(topic.spec.name), allow_delete) for topic in desired.topics]
    found += [_undeclared(name, allow_delete) for name in there if name not in declared and not name.startswith(OWN)]
    gone = sorted(set(allow_delete) - declared - set(there))
    return found + [
        TopicChange(object=name, action="keep", gravity="no-op", reason="does not exist, so it is not deleted")
        for name in gone
    ]


def _declared(topic: DesiredTopic, known: ActualTopic | None, allow_delete: Collection[str]) -> TopicChange:
    spec = topic.spec
    if known is None:
        return TopicChange(object=spec.name, action="create", gravity="in place", reason="does not exist", spec=spec)
    obstacles = _obstacles(topic, known)
    reason = "; ".join(obstacles.reasons)
    if reason and spec.name in allow_delete:
        lost = " all its records are lost" if known.has_records else " it is empty"
        return TopicChange(
            object=spec.name, action="recreate", gravity="replace", reason=f"{reason};{lost}", spec=spec
        )  # fmt: skip
    if reason:
        hint = obstacles.ways_out(spec.name)
        return TopicChange(
            object=spec.name, action="recreate", gravity="blocked", reason=reason, hint=hint, spec=spec
        )  # fmt: skip
    differs = _differences(topic, known)
    if differs:
        return TopicChange(object=spec.name, action="alter", gravity="in place", reason="; ".join(differs), spec=spec)
    return TopicChange(object=spec.name, action="keep", gravity="no-op", spec=spec)


def over_leftover(change: TopicChange, left: str, allow_delete: Collection[str]) -> TopicChange:
    """Return what becomes of a new topic of which something is left, or which another cluster has too.

    Args:
        change: Creates the topic.
        left: What stands in the way, e.g. its subject in the registry.
        allow_delete: Topics that may be deleted.
    """
    reason = f"does not exist, but {left} holds other columns"
    if change.object in allow_delete:
        return replace(change, action="recreate", gravity="replace", reason=f"{reason}; it is deleted")
    way = f"where it belongs to another cluster, set another log.prefix; else {_delete_hint(change.object)}"
    return replace(change, gravity="blocked", reason=reason, hint=way)


def _undeclared(name: str, allow_delete: Collection[str]) -> TopicChange:
    if name in allow_delete:
        return TopicChange(
            object=name, action="delete", gravity="replace", reason="no longer declared; all its records are lost"
        )
    return TopicChange(
        object=name, action="keep", gravity="no-op", reason="no longer declared; kept",
        hint=f"--allow-delete {name} deletes it",
    )  # fmt: skip


def _delete_hint(name: str) -> str:
    if name.startswith(OWN):
        return "use the release of ashioto that made this log"
    return f"--allow-delete {name} deletes it and makes it anew: all its records are lost"


def _obstacles(topic: DesiredTopic, known: ActualTopic) -> _Found:
    found, spec = _Found(), topic.spec
    for name in ("partitions", "cleanup"):
        is_now, shall_be = getattr(known.spec, name), getattr(spec, name)
        if is_now != shall_be:
            found.reasons.append(f"has {name} = {is_now}, not {shall_be}")
    for said, columns in other_types(known.spec.schema, spec.schema).items():
        found.reasons.append(f"{', '.join(columns)} {'is' if len(columns) == 1 else 'are'} {said}")
        found.rename += [name for name in columns if not name.startswith(HIDDEN)]
    if known.has_records:
        _add_obstacles_of_records(found, topic, known)
    return found


def _add_obstacles_of_records(found: _Found, topic: DesiredTopic, known: ActualTopic) -> None:
    if topic.behind_keys:
        mine, theirs = (_before(s.schema, topic.behind_keys) for s in (topic.spec, known.spec))
        if mine != theirs:
            found.reasons.append(f"its records are kept by {', '.join(theirs)}, not by {', '.join(mine)}")
    placed = placement_of(known.spec.schema)
    if topic.placement not in {None, placed}:
        found.reasons.append(f"its bars are placed by {placement_said(placed)}, and this engine does it otherwise")
    for name in topic.required:
        if name not in known.spec.schema.names:
            found.reasons.append(f"{name} is new, and there are records without it")
            found.default.append(name)


def _before(schema: pa.Schema, column: str) -> list[str]:
    names: list[str] = schema.names
    return names[: names.index(column)] if column in names else []


def _differences(topic: DesiredTopic, known: ActualTopic) -> list[str]:
    wanted, there = topic.spec, known.spec
    added = [name for name in wanted.schema.names if name not in there.schema.names]
    removed = [name for name in there.schema.names if name not in wanted.schema.names]
    found = [f"adds {', '.join(added)}"] if added else []
    found += [f"drops {', '.join(removed)}"] if removed else []
    if not found and wanted.schema.names != there.schema.names:
        found.append("puts the columns in another order")
    if wanted.retention_ms != there.retention_ms:
        found.append(f"keeps records {kept(wanted.retention_ms)}, not {kept(there.retention_ms)}")
    if topic.placement is not None and placement_of(there.schema) != topic.placement:
        found.append(f"places bars by {placement_said(topic.placement)}")
    return [*found, *known.drift]


def kept(retention_ms: int | None) -> str:
    """Return how long records are kept, for people.

    >>> kept(7_200_000), kept(None)
    ('for 2 h', 'for ever')
    """
    return "for ever" if retention_ms is None else f"for {retention_ms / 3_600_000:g} h"
