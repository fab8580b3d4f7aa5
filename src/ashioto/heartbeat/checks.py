"""Checks a heartbeat specification against the log, and says when its schedule runs out."""

from __future__ import annotations

import logging
from difflib import get_close_matches
from typing import TYPE_CHECKING, Final

from ashioto.errors import SpecError, UnknownTopicError
from ashioto.observe.logs import fields
from ashioto.period import DAY_MS
from ashioto.schedule.sessions import time_text

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ashioto.control.specs import HeartbeatSpec
    from ashioto.heartbeat.beat import SpecBeat
    from ashioto.log.base import Log, TopicInfo
    from ashioto.observe.metrics import HeartbeatMetrics
    from ashioto.schedule.sessions import Sessions

LOG: Final = logging.getLogger("ashioto.heartbeat")


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


class ScheduleEnds:
    """Warns of schedules that are missing or run out soon, once each time that their end is another.

    Args:
        warn_days: How many days ahead.
        metrics: Where the end is told.
    """

    def __init__(self, warn_days: int, metrics: HeartbeatMetrics) -> None:
        self._ahead_ms, self._metrics = warn_days * DAY_MS, metrics
        self._warned: dict[str, int | None] = {}

    def look(self, name: str, beat: SpecBeat, now: int) -> None:
        """Warn when it is time to.

        Args:
            name: Of the specification.
            beat: Knows its schedule.
            now: The time, ms.
        """
        ends = beat.ends_ms
        self._metrics.schedule_ends(name, at_ms=ends)
        if not beat.is_named if ends is None else ends >= now + self._ahead_ms:
            self._warned.pop(name, None)
            return
        if name in self._warned and self._warned[name] == ends:
            return
        self._warned[name] = ends
        if ends is None:
            text = f"the schedule {beat.spec.schedule_topic} has no sessions, so no bar will end: rc schedule import"
        else:
            text = f"the schedule of some keys ends at {time_text(ends)}; import more sessions"
        LOG.warning("%s: %s", name, text, extra=fields(spec=name))

    def forget(self, name: str) -> None:
        """Forget a specification that is served no more."""
        self._warned.pop(name, None)


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
