"""What is there: topics, what is recorded as applied, heartbeat specs, how the engine stands. Nothing is written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ashioto.control.applied import registrations
from ashioto.control.specs import heartbeat_specs
from ashioto.control.topics import APPLIED, HB_SPECS

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from ashioto.control.applied import Registration
    from ashioto.control.specs import HeartbeatSpec
    from ashioto.deploy.target import Target
    from ashioto.engines.base import RunningQuery
    from ashioto.engines.sql.index import Index
    from ashioto.log.base import TopicSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class ActualTopic:
    """Describes a topic that exists.

    Args:
        spec: Its columns and settings.
        has_records: Whether there is anything in it.
        drift: Which settings of the log are not as declared, for people.
    """

    spec: TopicSpec
    has_records: bool
    drift: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Actual:
    """Holds what is there of some contexts; empty where nothing was ever applied.

    Args:
        topics: Theirs and those of ashioto itself, by name.
        registrations: Every version that is recorded, by context, query and version.
        specs: Every heartbeat spec, enabled or not, by key.
        running: How the engine stands with the versions that are not stopped; those it does not know are left out.
        scheduled: Those of the indexes looked at whose schedules have sessions.
    """

    topics: tuple[ActualTopic, ...] = ()
    registrations: tuple[Registration, ...] = ()
    specs: tuple[HeartbeatSpec, ...] = ()
    running: tuple[RunningQuery, ...] = ()
    scheduled: tuple[Index, ...] = ()

    def topic(self, name: str) -> ActualTopic | None:
        """Return a topic, or None when it does not exist.

        >>> Actual().topic("trading.rate") is None
        True
        """
        return next((topic for topic in self.topics if topic.spec.name == name), None)

    def versions(self, context: str, query: str) -> list[Registration]:
        """Return every recorded version of a query, oldest first."""
        return [r for r in self.registrations if (r.context, r.query) == (context, query)]

    def run(self, name: str) -> RunningQuery | None:
        """Return how the engine stands with a version, or None when it does not know it."""
        return next((one for one in self.running if one.name == name), None)


def live(versions: Sequence[Registration]) -> list[Registration]:
    """Return the versions that have not been stopped, oldest first."""
    return sorted((r for r in versions if r.state != "stopped"), key=lambda r: (r.context, r.query, r.version))


def actual_state(
    target: Target, contexts: Sequence[str], *, others: Collection[str] = (), indexes: Sequence[Index] = ()
) -> Actual:
    """Read what is there.

    Args:
        target: Where.
        contexts: Names of the contexts to look at.
        others: Topics to look at besides those of the contexts.
        indexes: Those whose schedules are looked at.
    """
    log, env = target.log, target.env
    names = log.topics()
    wanted = [n for n in names if n in others or any(n.startswith(f"{context}.") for context in contexts)]
    recorded = [r for c in contexts for r in registrations(log, env, c)] if APPLIED in names else []
    specs = [s for c in contexts for s in heartbeat_specs(log, env, c)] if HB_SPECS in names else []
    return Actual(
        topics=tuple(_topic(target, name) for name in wanted),
        registrations=tuple(recorded),
        specs=tuple(specs),
        running=tuple(target.engine.inspect(live(recorded))),
        scheduled=tuple(i for i in indexes if i.schedule in names and log.view(i.schedule, limit=1).keys),
    )


def _topic(target: Target, name: str) -> ActualTopic:
    info = target.log.describe(name)
    return ActualTopic(
        spec=info.spec,
        has_records=any(end > info.start_offsets[p] for p, end in info.end_offsets.items()),
        drift=info.drift,
    )
