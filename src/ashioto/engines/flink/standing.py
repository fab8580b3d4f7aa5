"""How a job stands: a job that is called RUNNING may restart all the time, or read nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ashioto import naming
from ashioto.engines.base import RunningQuery
from ashioto.errors import AshiotoError, UnknownTopicError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ashioto.clock import Clock
    from ashioto.control.applied import Registration
    from ashioto.engines.flink.jobs import Checkpoints, Job, Jobs
    from ashioto.engines.sql.reading import Reading

STALL_S: Final = 12.5
"""A job that has ticks to read is watched for so long before it is said that it reads none, seconds: where no tick
follows, its source tells for up to 10 s nothing of those it has read."""
UNSAVED_S: Final = 60.0
"""So long, and ten intervals more, a job may go on without its state being saved, seconds."""
_POLL_S: Final = 0.25
_BEGINS: Final = frozenset({"INITIALIZING", "CREATED", "RECONCILING"})
_ON_PURPOSE: Final = frozenset({"CANCELED", "FINISHED", "CANCELLING"})
_BREAKS: Final = frozenset({"RESTARTING", "FAILING", "SUSPENDED", "CANCELLING"})


class Standing:
    """Says how jobs stand.

    Args:
        jobs: Knows jobs.
        reading: Says how far they have read.
        clock: Waits while a job is watched.
        interval_ms: How often state is saved, ms.
    """

    def __init__(self, jobs: Jobs, reading: Reading, *, clock: Clock, interval_ms: int) -> None:
        self._jobs, self._reading, self._clock = jobs, reading, clock
        self._interval_s = interval_ms / 1000

    def of(self, registration: Registration, job: Job, group: str) -> RunningQuery:
        """Return how a version stands by its job.

        Args:
            registration: The version.
            job: Its job.
            group: By which the job tells how far it has read.

        Raises:
            EngineError: The job manager is not reached.
        """
        name = registration.name
        if job.ended:
            return RunningQuery(name=name, state="ended", detail=f"its job is {job.state}{self._why(job)}")
        if job.state in _BREAKS:
            return RunningQuery(name=name, state="failed", detail=f"job {job.id} is {job.state}{self._why(job)}")
        saved = self._jobs.checkpoints(job.id)
        if job.state not in _BEGINS and (problem := self._problem(job, saved)):
            return RunningQuery(name=name, state="failed", detail=problem)
        if waits := self._waits_for(job, saved):
            return RunningQuery(name=name, state="starting", detail=waits)
        return self._reads(registration, job, group)

    @staticmethod
    def _waits_for(job: Job, saved: Checkpoints) -> str:
        """Return what a job that has not begun waits for; nothing where it has."""
        if job.state in _BEGINS:
            return f"job {job.id} is {job.state}"
        if job.running < job.tasks:
            return f"{job.running} of {job.tasks} tasks run; are there free slots?"
        return "" if saved.completed + saved.restored else f"job {job.id} has not saved its state yet"

    def _problem(self, job: Job, saved: Checkpoints) -> str:
        """Return what is wrong with a job that is called running; nothing where that is what it does."""
        failure = self._jobs.failure(job.id)
        if failure is not None and (saved.at_ms is None or failure.at_ms > saved.at_ms):
            return f"restarts: {failure.said}"
        now_ms = self._jobs.now_ms(job.id)
        silent_s = (now_ms - (job.started_ms if saved.at_ms is None else saved.at_ms)) / 1000
        if silent_s > UNSAVED_S + 10 * self._interval_s:
            tried = f", {saved.failed} attempts failed" if saved.failed else ""
            return f"its state was not saved for {silent_s:,.0f} s{tried}; nothing it has read since counts"
        return ""

    def _reads(self, registration: Registration, job: Job, group: str) -> RunningQuery:
        """Return how a job stands that works: what it has read, or that it reads nothing."""
        name = registration.name
        try:
            plan = registration.decoded()
            topic = naming.topic(plan.context, plan.entity.name)
            cuts = self._cuts(group, topic)
        except UnknownTopicError as error:
            return RunningQuery(name=name, state="failed", detail=error.message)
        except AshiotoError as error:
            return RunningQuery(name=name, state="running", detail=f"job {job.id}; {error.message}")
        if (left := self._reading.unread(topic, cuts)) and self._is_stuck(job, group, topic, cuts):
            detail = f"reads nothing, though {left:,} ticks wait: does the cluster reach the brokers?"
            return RunningQuery(name=name, state="failed", cuts=cuts, detail=detail)
        return RunningQuery(name=name, state="running", cuts=self._cuts(group, topic), detail=f"job {job.id}")

    def _cuts(self, group: str, topic: str) -> dict[int, int]:
        found = self._reading.cuts(group, topic)
        return self._reading.seen(topic, {}) if found is None else found

    def _is_stuck(self, job: Job, group: str, topic: str, before: Mapping[int, int]) -> bool:
        """Return whether a job has read nothing for a while, in which its state was saved twice."""
        saved = self._jobs.checkpoints(job.id).completed
        until = self._clock.monotonic() + STALL_S
        while self._clock.monotonic() < until:
            self._clock.sleep(_POLL_S)
            if self._cuts(group, topic) != before:
                return False
        return self._jobs.checkpoints(job.id).completed >= saved + 2

    def _why(self, job: Job) -> str:
        failure = None if job.state in _ON_PURPOSE else self._jobs.failure(job.id)
        return "" if failure is None else f": {failure.said}"
