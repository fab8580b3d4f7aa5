"""Checks a heartbeat specification against the log, and says when its schedule runs out."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

from ashioto.errors import SpecError, UnknownTopicError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ashioto.control.specs import HeartbeatSpec
    from ashioto.log.base import Log, TopicInfo
    from ashioto.schedule.sessions import Sessions


def check_spec(log: Log, spec: HeartbeatSpec) -> None:
    """Refuse a specification that cannot be served.

    Args:
        log: Where its topics should be.
        spec: The specification.

    Raises:
        SpecError: It names a topic or a column that does not exist.
    """
    source = _topic(log, spec, spec.source_topic, "ticks")
    beats = _topic(log, spec, spec.heartbeat_topic, "heartbeats")
    if source.spec.partitions != beats.spec.partitions:
        raise SpecError(
            f"{spec.id}: {spec.heartbeat_topic} has {beats.spec.partitions} partitions, "
            f"{spec.source_topic} {source.spec.partitions}",
            hint="heartbeats lie beside their ticks: make the topics with equal partitions",
            spec=spec.id,
        )
    if spec.schedule_topic is None:
        return
    known = _topic(log, spec, spec.schedule_topic, "schedule").spec.schema.names
    wanted = [theirs for _, theirs in spec.join] + [spec.open_column, spec.close_column, spec.day_column]
    for name in wanted:
        if name not in known:
            near = get_close_matches(name, known, 1)
            raise SpecError(
                f"{spec.id}: the schedule {spec.schedule_topic} has no column {name!r}",
                hint=f"did you mean {near[0]!r}?" if near else f"it has {', '.join(known)}",
                spec=spec.id,
                column=name,
            )


def schedule_end(schedules: Iterable[Sessions]) -> int | None:
    """Return when the first of these schedules runs out, ms; None when there is no session at all.

    >>> schedule_end([]) is None
    True
    """
    return min((int(sessions.closes[-1]) for sessions in schedules if len(sessions)), default=None)


def _topic(log: Log, spec: HeartbeatSpec, name: str, what: str) -> TopicInfo:
    try:
        return log.describe(name)
    except UnknownTopicError as error:
        raise SpecError(
            f"{spec.id}: the topic {name} of its {what} does not exist",
            hint="run `rc infra apply`; it creates the topics and writes the specification anew",
            spec=spec.id,
            topic=name,
        ) from error
