"""Flink's job manager: which jobs there are, how they stand, and how they are ended, by its REST interface."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from ashioto.engines.flink.traces import with_context
from ashioto.errors import EngineBusyError, EngineError

if TYPE_CHECKING:
    from ashioto.clock import Clock
    from ashioto.engines.rest import Rest

ENDED: Final = frozenset({"FAILED", "CANCELED", "FINISHED"})
"""In these states a job never runs again."""
_POLL_S: Final = 0.1
STOP_S: Final = 120.0
"""How long a savepoint may take, seconds."""
_CONFLICT: Final = 409


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """Describes a cluster.

    Args:
        version: Of Flink.
        taskmanagers: How many there are.
        slots: How many tasks can run beside each other.
        free: How many more.
    """

    version: str
    taskmanagers: int
    slots: int
    free: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """Describes a job.

    Args:
        id: Its id, 32 digits.
        name: Its name.
        state: As Flink calls it, e.g. `RUNNING`.
        started_ms: When it was submitted, ms.
        tasks: How many tasks it has.
        running: How many of them run.
    """

    id: str
    name: str
    state: str
    started_ms: int
    tasks: int = 0
    running: int = 0

    @property
    def ended(self) -> bool:
        """Whether it never runs again.

        >>> Job(id="", name="", state="FAILED", started_ms=0).ended
        True
        """
        return self.state in ENDED


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoints:
    """Says how the state of a job is saved.

    Args:
        completed: How many times it was.
        restored: How many times it was read back.
        failed: How many times it could not be saved.
        begun_ms: When the last saving began, ms by the clock of the job manager; None when it was never saved.
        at_ms: When it was last saved, ms by the clock of the job manager; None when it never was.
        path: Where to, if that is still there.
    """

    completed: int = 0
    restored: int = 0
    failed: int = 0
    begun_ms: int | None = None
    at_ms: int | None = None
    path: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Says why a job was last interrupted.

    Args:
        at_ms: When, ms.
        said: What its exception says.
    """

    at_ms: int
    said: str


class Jobs:
    """Asks a job manager, and has it end jobs.

    Args:
        rest: Reaches it.
        clock: Waits.
    """

    def __init__(self, rest: Rest, *, clock: Clock) -> None:
        self._rest, self._clock = rest, clock

    @property
    def url(self) -> str:
        """Where it is."""
        return self._rest.url

    def close(self) -> None:
        """Close its connections."""
        self._rest.close()

    def overview(self) -> Overview:
        """Return what the cluster has.

        Raises:
            EngineError: The job manager is not reached, or is none.
        """
        found = self._rest.send("GET", "/overview", about="what it has")
        return Overview(
            version=str(found.get("flink-version", "unknown")), taskmanagers=int(found.get("taskmanagers", 0)),
            slots=int(found.get("slots-total", 0)), free=int(found.get("slots-available", 0)),
        )  # fmt: skip

    def all(self) -> list[Job]:
        """Return all jobs that the job manager remembers, ended ones too.

        Raises:
            EngineError: It is not reached.
        """
        found = self._rest.send("GET", "/jobs/overview", about="which jobs there are")
        return [_job(one) for one in found["jobs"]]

    def find(self, job: str) -> Job | None:
        """Return a job, or None when it is not known.

        Raises:
            EngineError: The job manager is not reached.
        """
        return next((one for one in self.all() if one.id == job), None)

    def now_ms(self, job: str) -> int:
        """Return the time by the clock of the job manager, ms; 0 where the job is gone.

        Raises:
            EngineError: It is not reached.
        """
        found = self._rest.send("GET", f"/jobs/{job}", about=f"job {job}", absent=True)
        return 0 if found is None else int(found["now"])

    def checkpoints(self, job: str) -> Checkpoints:
        """Return how the state of a job is saved; none where the job is not known.

        Raises:
            EngineError: The job manager is not reached.
        """
        found = self._rest.send("GET", f"/jobs/{job}/checkpoints", about=f"checkpoints of job {job}", absent=True)
        if found is None:
            return Checkpoints()
        counts, latest = found["counts"], found.get("latest") or {}
        saved = [one for one in (latest.get("completed"), latest.get("savepoint")) if one]
        newest = max(saved, key=lambda one: int(one["id"]), default=None)
        kept = [one for one in saved if one.get("external_path") and not one.get("discarded")]
        place = max(kept, key=lambda one: int(one["id"]), default=None)
        return Checkpoints(
            completed=int(counts["completed"]), restored=int(counts["restored"]), failed=int(counts["failed"]),
            begun_ms=None if newest is None else int(newest["trigger_timestamp"]),
            at_ms=None if newest is None else int(newest["latest_ack_timestamp"]),
            path=None if place is None else str(place["external_path"]),
        )  # fmt: skip

    def failure(self, job: str) -> Failure | None:
        """Return why a job was last interrupted, or None when it never was.

        Raises:
            EngineError: The job manager is not reached.
        """
        found = self._rest.send("GET", f"/jobs/{job}/exceptions", about=f"exceptions of job {job}", absent=True)
        entries = [] if found is None else found["exceptionHistory"]["entries"]
        if not entries:
            return None
        last = max(entries, key=lambda entry: int(entry["timestamp"]))
        said = self._rest.shown(with_context(str(last.get("stacktrace") or last.get("exceptionName"))))
        return Failure(at_ms=int(last["timestamp"]), said=said)

    def stop(self, job: str, folder: str) -> str | None:
        """Save the state of a job and end it, without draining it; returns where the state is, None if it had ended.

        A job that does not run has no state to save: it is cancelled.

        Args:
            job: Its id.
            folder: Where to save the state, a URI.

        Raises:
            EngineError: The job manager is not reached, or the job does not end.
        """
        found = self.find(job)
        if found is None or found.ended:
            return None
        place = self._saved(job, folder) if found.state == "RUNNING" and found.running == found.tasks else None
        if place is None:
            self.cancel(job)
        self._await_end(job)
        return place

    def cancel(self, job: str) -> None:
        """Have a job end without saving its state; one that has ended is no error.

        Raises:
            EngineError: The job manager is not reached.
        """
        try:
            self._rest.send("PATCH", f"/jobs/{job}?mode=cancel", about=f"the end of job {job}", absent=True)
        except EngineError as error:
            if error.ids.get("status") != _CONFLICT:
                raise

    def _saved(self, job: str, folder: str) -> str | None:
        """Return where the state of a job was saved as it was ended, or None where it could not be."""
        body = {"drain": False, "targetDirectory": folder}
        asked = self._rest.send("POST", f"/jobs/{job}/stop", about=f"the end of job {job}", body=body)
        path = f"/jobs/{job}/savepoints/{asked['request-id']}"
        until = self._clock.monotonic() + STOP_S
        while self._clock.monotonic() < until:
            found = self._rest.send("GET", path, about=f"savepoint of job {job}")
            if found["status"]["id"] == "COMPLETED":
                done: dict[str, Any] = found.get("operation") or {}
                return str(done["location"]) if done.get("location") else None
            self._clock.sleep(_POLL_S)
        return None

    def _await_end(self, job: str) -> None:
        until = self._clock.monotonic() + STOP_S
        while (found := self.find(job)) is not None and not found.ended:
            if self._clock.monotonic() >= until:
                raise EngineBusyError(
                    f"job {job} ({found.name}) is {found.state} and does not end", url=self.url, job=job,
                    hint=f"see it at {self.url}; rc infra apply goes on from here",
                )  # fmt: skip
            self._clock.sleep(_POLL_S)


def _job(found: dict[str, Any]) -> Job:
    tasks = found.get("tasks") or {}
    return Job(
        id=str(found["jid"]), name=str(found["name"]), state=str(found["state"]),
        started_ms=int(found["start-time"]), tasks=int(tasks.get("total", 0)),
        running=int(tasks.get("running", 0)) + int(tasks.get("finished", 0)),
    )  # fmt: skip
