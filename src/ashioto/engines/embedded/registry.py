"""The embedded engine as `infra apply` and people see it, from any process: by what its host has written."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ashioto.control.topics import APPLIED
from ashioto.engines.base import RunningQuery
from ashioto.engines.embedded.host import KIND
from ashioto.engines.embedded.plan import compile_query
from ashioto.engines.embedded.progress import version_progress
from ashioto.engines.embedded.runner import check_grouping, source_of
from ashioto.engines.embedded.versions import plan_of
from ashioto.errors import AshiotoError, UnknownTopicError
from ashioto.logical.render import render

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ashioto.control.applied import Registration
    from ashioto.control.shares import Owners
    from ashioto.engines.embedded.progress import Progress
    from ashioto.log.base import Log

NO_HOST = "no engine process: rc engine run, or rc dev"


class EmbeddedRegistry:
    """Knows the queries of the embedded engine.

    Nothing is told to the engine directly: its host follows `rc.infra.applied`, runs what is `registered` or `applied`
    there and stops the rest. Whoever registers writes that record, so `register` and `stop` have nothing left to do.

    Args:
        log: Where everything is.
        env: Environment and cluster.
        owners: Say which host runs which partitions.
    """

    kind = KIND

    def __init__(self, log: Log, *, env: tuple[str, ...], owners: Owners) -> None:
        self._log, self._env, self._owners = log, env, owners

    def compile(self, registration: Registration) -> list[str]:
        """Return the plan in words: it is what runs.

        Raises:
            UnsupportedError: The plan is of a later version, or ticks are spread by other columns than it groups by.
            InputError: The plan is damaged.
            DefinitionError: The plan does not hold together.
        """
        query = plan_of(registration)
        compile_query(query)
        partitions = self._partitions(source_of(query))
        if partitions is not None:
            check_grouping(query, partitions)
        return [render(query)]

    def inspect(self, registrations: Sequence[Registration]) -> list[RunningQuery]:
        """Return how these versions stand, those left out that shall not run or are another engine's."""
        engines = self._owners.engines()
        return [self._stand(r, engines) for r in registrations if r.engine == KIND and r.state != "stopped"]

    def register(self, registration: Registration) -> None:
        """Do nothing: the host follows the record of the registration, which the caller writes."""

    def stop(self, registration: Registration) -> None:
        """Do nothing: the host follows the record of the registration, which the caller writes."""

    def progress(self, registration: Registration) -> Mapping[int, int] | None:
        """Return up to which offset of each partition a version has read, or None when it has not begun."""
        cuts = _cuts(self._records(registration))
        return cuts or None

    def _stand(self, registration: Registration, engines: Sequence[str]) -> RunningQuery:
        records = self._records(registration)
        name, cuts = registration.name, _cuts(records)
        if not engines:
            return RunningQuery(name=name, state="waiting", cuts=cuts, detail=NO_HOST)
        topic, partitions, problem = self._source(registration)
        problems = [p.problem for p in records.values() if p.problem and p.written_ms >= registration.updated_ms]
        problems += [problem] if problem and cuts else []
        if problems:
            return RunningQuery(name=name, state="failed", cuts=cuts, detail=problems[0])
        owners = self._owners.of(topic, partitions)
        if waiting := [partition for partition in range(partitions) if partition not in owners]:
            return RunningQuery(name=name, state="starting", cuts=cuts, detail=f"nobody runs {_numbers(waiting)} yet")
        return RunningQuery(name=name, state="running", cuts=cuts, detail=_who(owners))

    def _source(self, registration: Registration) -> tuple[str, int, str | None]:
        """Return the source of a version, how many partitions it has, and why its plan cannot be run.

        Where that is not known, whoever runs the topic of the registrations answers for the version.
        """
        try:
            topic = source_of(plan_of(registration))
        except AshiotoError as error:
            return APPLIED, 1, error.message
        partitions = self._partitions(topic)
        return (APPLIED, 1, None) if partitions is None else (topic, partitions, None)

    def _records(self, registration: Registration) -> dict[int, Progress]:
        try:
            return version_progress(self._log, self._env, registration.context, registration.object)
        except UnknownTopicError:
            return {}

    def _partitions(self, topic: str) -> int | None:
        try:
            return self._log.describe(topic).spec.partitions
        except UnknownTopicError:
            return None


def _cuts(records: Mapping[int, Progress]) -> dict[int, int]:
    return {partition: p.source_offset for partition, p in sorted(records.items()) if p.source_offset >= 0}


def _numbers(partitions: Sequence[int]) -> str:
    return f"partition{'s' if len(partitions) > 1 else ''} {', '.join(map(str, partitions))}"


def _who(owners: Mapping[int, str]) -> str:
    """Return who runs what, in one line; the partitions are left out where one runs them all."""
    found: dict[str, list[int]] = {}
    for partition, name in sorted(owners.items()):
        found.setdefault(name, []).append(partition)
    return next(iter(found)) if len(found) == 1 else "; ".join(f"{name}: {_numbers(n)}" for name, n in found.items())
