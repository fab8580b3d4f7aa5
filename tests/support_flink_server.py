"""A Flink cluster in memory that answers as gateway and job manager do, and an engine that runs jobs in it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import httpx
from tests.support_host import ENV, version_of

from ashioto.clock import ManualClock
from ashioto.engines.flink.gateway import Gateway
from ashioto.engines.flink.jobs import Jobs
from ashioto.engines.flink.options import FlinkOptions
from ashioto.engines.flink.reach import Reach
from ashioto.engines.flink.registry import JOB_ID, FlinkEngine
from ashioto.engines.flink.statements import Script
from ashioto.engines.flink.traces import explained
from ashioto.engines.rest import Access, Rest
from ashioto.testing.memory_log import MemoryLog

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ashioto.control.applied import Registration

NOW = 1_795_866_000_000
DONE = {"FAILED", "CANCELED", "FINISHED"}
Reply = tuple[int, Any]


def trace(*causes: str) -> str:
    """Return a trace as Java prints it."""
    stack = "\n\tat org.apache.flink.Some.method(Some.java:91)\n\t... 40 more\n"
    return stack.join([causes[0], *(f"Caused by: {cause}" for cause in causes[1:]), ""])


def refusal(*causes: str) -> Reply:
    """Return an answer of the gateway to a statement that it refuses."""
    said = trace("org.apache.flink.table.gateway.api.utils.SqlGatewayException: Failed to fetchResults.", *causes)
    return 500, {
        "errors": ["Internal server error.", f"<Exception on server side:\n{said}\nEnd of exception on server side>"]
    }


@dataclass
class FakeJob:
    """A job as the job manager remembers it."""

    id: str
    name: str
    settings: dict[str, str]
    statement: str
    state: str = "RUNNING"
    tasks: int = 3
    running: int = 3
    completed: int = 1
    restored: int = 0
    failed: int = 0
    saved_ms: int | None = NOW
    saving_ms: int = 100
    path: str | None = None
    discarded: bool = False
    exceptions: list[tuple[int, str]] = field(default_factory=list)


class FlinkServer(httpx.MockTransport):
    """Keeps sessions, statements and jobs; `refuse` says what is wrong with a statement, `slow` how often it waits."""

    def __init__(self, clock: ManualClock) -> None:
        super().__init__(self._reply)
        self.clock = clock
        self.jobs: list[FakeJob] = []
        self.statements: list[str] = []
        self.sessions: dict[str, dict[str, str]] = {}
        self.closed: list[str] = []
        self.refuse: Callable[[str], Reply | None] = lambda _: None
        self.requests: list[str] = []
        self.slow = 0
        self.down = False
        self.deaf: list[int] = []
        """Answers that are sent instead of the next ones."""
        self.ignores_id = False
        self.savepoints: list[str | None] = []
        self.asked_stop: list[dict[str, Any]] = []
        self.sticks = False
        """Whether jobs that are to end do not."""

    @property
    def job(self) -> FakeJob:
        """The job that was submitted last."""
        return self.jobs[-1]

    def _reply(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path
        self.requests.append(f"{request.method} {path}")
        if self.down:
            raise httpx.ConnectError("[Errno 111] Connection refused")
        if self.deaf:
            return httpx.Response(self.deaf.pop(0), text="busy")
        body = json.loads(request.content) if request.content else {}
        parts = path.strip("/").split("/")
        status, answer = self._gateway(request.method, parts[1:], body) if parts[0] == "v4" else self._manager(
            request.method, parts, body
        )  # fmt: skip
        return httpx.Response(status, json=answer)

    def _gateway(self, method: str, parts: list[str], body: dict[str, Any]) -> Reply:  # noqa: PLR0911  # one a route
        match method, parts:
            case "GET", ["info"]:
                return 200, {"productName": "Apache Flink", "version": "2.3.0"}
            case "POST", ["sessions"]:
                handle = f"s{len(self.sessions)}"
                self.sessions[handle] = dict(body["properties"])
                return 200, {"sessionHandle": handle}
            case "DELETE", ["sessions", handle]:
                self.closed.append(handle)
                return 200, {"status": "CLOSED"}
            case "POST", ["sessions", _, "heartbeat"]:
                return 200, {}
            case "POST", ["sessions", _, "statements"]:
                self.statements.append(body["statement"])
                return 200, {"operationHandle": f"o{len(self.statements) - 1}"}
            case "POST", ["sessions", _, "operations", _, "cancel"]:
                return 200, {"status": "CANCELED"}
            case "GET", ["sessions", handle, "operations", operation, "result", token]:
                return self._result(handle, int(operation[1:]), int(token))
        return 404, {"errors": ["Not found"]}

    def _result(self, handle: str, number: int, token: int) -> Reply:
        if self.slow > 0:
            self.slow -= 1
            return 200, {"resultType": "NOT_READY", "nextResultUri": "again"}
        statement = self.statements[number]
        if (refused := self.refuse(statement)) is not None:
            return refused
        if token > 0:
            return 200, {"resultType": "EOS", "results": {"data": []}}
        answer: dict[str, Any] = {
            "resultType": "PAYLOAD", "results": {"data": [{"kind": "INSERT", "fields": ["OK"]}]},
            "nextResultUri": f"/v4/sessions/{handle}/operations/o{number}/result/1?rowFormat=JSON",
        }  # fmt: skip
        if statement.startswith("EXECUTE"):
            settings = self.sessions[handle]
            job = settings.get(JOB_ID, "f" * 32) if not self.ignores_id else "f" * 32
            restored = int("execution.state-recovery.path" in settings)
            self.jobs.append(FakeJob(job, settings["pipeline.name"], settings, statement, restored=restored))
            answer["jobID"] = job
        return 200, answer

    def _manager(self, method: str, parts: list[str], body: dict[str, Any]) -> Reply:  # noqa: PLR0911  # one a route
        if parts == ["overview"]:
            used = sum(job.state not in DONE for job in self.jobs)
            slots = {"slots-total": 4, "slots-available": 4 - used}
            return 200, {"taskmanagers": 1, "flink-version": "2.3.0", **slots}
        if parts == ["jobs", "overview"]:
            return 200, {"jobs": [_overview(job) for job in self.jobs]}
        found = [job for job in self.jobs if job.id == parts[1]]
        if not found:
            return 404, {"errors": [f"org.apache.flink.runtime.rest.NotFoundException: Job {parts[1]} not found"]}
        match method, parts[2:]:
            case "GET", []:
                return 200, {"now": self.clock.now_ms(), "state": found[0].state}
            case "GET", ["checkpoints"]:
                return 200, _checkpoints(found[0])
            case "GET", ["exceptions"]:
                entries = [{"timestamp": at, "stacktrace": said} for at, said in found[0].exceptions]
                return 200, {"exceptionHistory": {"entries": entries}}
            case "POST", ["stop"]:
                self.asked_stop.append(body)
                return 202, {"request-id": "r1"}
            case "GET", ["savepoints", _]:
                return self._savepoint(found[0])
            case "PATCH", []:
                return self._cancel(found[0])
        return 404, {"errors": ["Not found"]}

    def _savepoint(self, job: FakeJob) -> Reply:
        place = self.savepoints.pop(0) if self.savepoints else "file:/data/flink/savepoints/savepoint-1"
        if place == "":
            return 200, {"status": {"id": "IN_PROGRESS"}, "operation": None}
        if place is None:
            return 200, {"status": {"id": "COMPLETED"}, "operation": {"failure-cause": {"class": "x"}}}
        job.state = job.state if self.sticks else "FINISHED"
        return 200, {"status": {"id": "COMPLETED"}, "operation": {"location": place}}

    def _cancel(self, job: FakeJob) -> Reply:
        if job.state in DONE:
            return 409, {"errors": ["the job has already reached another terminal state"]}
        job.state = job.state if self.sticks else "CANCELED"
        return 202, {}


def _overview(job: FakeJob) -> dict[str, Any]:
    tasks = {"total": job.tasks, "running": job.running, "finished": 0}
    return {"jid": job.id, "name": job.name, "state": job.state, "start-time": NOW, "tasks": tasks}


def _checkpoints(job: FakeJob) -> dict[str, Any]:
    counts = {"completed": job.completed, "restored": job.restored, "failed": job.failed}
    completed = None
    if job.saved_ms is not None:
        completed = {"id": job.completed, "latest_ack_timestamp": job.saved_ms, "external_path": job.path}
        completed |= {"trigger_timestamp": job.saved_ms - job.saving_ms, "discarded": job.discarded}
    return {"counts": counts, "latest": {"completed": completed, "savepoint": None}}


class GroupLog(MemoryLog):
    """A log that knows what groups have read; `loses` moves where topics begin."""

    def __init__(self) -> None:
        super().__init__()
        self.groups: dict[str, dict[int, int]] = {}
        self.forgotten: list[str] = []

    def committed(self, group: str, topic: str) -> dict[int, int]:
        """Return what a group has read."""
        self.describe(topic)
        return dict(self.groups.get(group, {}))

    def forget(self, group: str) -> None:
        """Forget a group."""
        self.forgotten.append(group)
        self.groups.pop(group, None)


def generated(
    registration: Registration, reach: Reach, *, since_ms: int | None = None,
    partitions: int = 1,  # noqa: ARG001  # as the engine gives it
) -> Script:  # fmt: skip
    """Return a script that says all that it was made from."""
    options = "".join(
        f", 'properties.{n}' = '{_quoted(v)}'" for n, v in (*reach.kafka.items(), ("group.id", reach.group))
    )
    table = f"CREATE TEMPORARY TABLE ticks WITH ('servers' = '{reach.bootstrap}'{options})"
    job = f"EXECUTE STATEMENT SET BEGIN {registration.checksum} since {since_ms}; END"
    return Script(settings={"table.exec.state.ttl": "0"}, definitions=(table,), job=job, topics=())


def _quoted(text: str) -> str:
    return text.replace("'", "''")


@dataclass
class Site:
    """An engine on a fake cluster.

    Args:
        log: Where ticks are.
        checkpoints: Where state is kept.
        kafka: Properties of the cluster's clients.
    """

    log: Any = field(default_factory=GroupLog)
    checkpoints: str = "s3://bucket/flink"
    kafka: Mapping[str, str] = field(default_factory=dict)
    clock: ManualClock = field(default_factory=lambda: ManualClock(NOW))
    server: FlinkServer = field(init=False)

    def __post_init__(self) -> None:
        self.server = FlinkServer(self.clock)

    @property
    def gateway(self) -> Gateway:
        """A client of the gateway."""
        return Gateway(self.rest("the gateway"), clock=self.clock)

    @property
    def jobs(self) -> Jobs:
        """A client of the job manager."""
        return Jobs(self.rest("the job manager"), clock=self.clock)

    def rest(self, name: str, **options: Any) -> Rest:
        """Return what reaches the server."""
        own: dict[str, Any] = {"access": Access(), "explain": explained} | options
        return Rest("http://flink", name=name, clock=self.clock, transport=self.server, **own)

    def engine(self, *, reach: Reach | None = None, **options: Any) -> FlinkEngine:
        """Return an engine; each knows nothing of others."""
        reached = reach or Reach(bootstrap="kafka:9092", registry="http://registry", prefix="p.", kafka=self.kafka)
        return FlinkEngine(
            self.log, env=ENV, gateway=self.gateway, jobs=self.jobs, clock=self.clock,
            options=FlinkOptions(reach=reached, checkpoints=self.checkpoints, interval_ms=2_000),
            **({"generate": generated} | options),
        )  # fmt: skip

    @staticmethod
    def version(plan: Any, version: int = 1, **others: Any) -> Registration:
        """Return a version that runs in Flink."""
        return version_of(plan.plan, version, **({"engine": "flink"} | others))
