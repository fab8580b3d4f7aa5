"""Flink as `infra apply` and people see it: a job a version, by what gateway, job manager and consumer groups say."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from ashioto import naming
from ashioto.engines.flink.folder import newest_checkpoint
from ashioto.engines.flink.identity import JobId, group_of, minute_of, owner_of, sql_of
from ashioto.engines.flink.reach import Reach
from ashioto.engines.flink.settled import Settled
from ashioto.engines.flink.standing import Standing
from ashioto.engines.flink.statements import SLICE_MS, script
from ashioto.engines.sql.reading import Reading
from ashioto.errors import AshiotoError, EngineError, InputError, UnknownTopicError, UnsupportedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from ashioto.clock import Clock
    from ashioto.control.applied import Registration
    from ashioto.engines.base import RunningQuery
    from ashioto.engines.flink.gateway import Gateway, Session
    from ashioto.engines.flink.jobs import Job, Jobs
    from ashioto.engines.flink.options import FlinkOptions
    from ashioto.engines.flink.statements import Script
    from ashioto.log.base import TopicSpec
    from ashioto.log.groups import GroupLog

    Generator = Callable[..., Script]

KIND: Final = "flink"
JOB_ID: Final = "$internal.pipeline.job-id"
_REMEMBERED_S: Final = 3.5
"""How old an answer of the job manager may be, and a little more, seconds (`web.refresh-interval`)."""
_REFUSED: Final = frozenset({400, 500})
"""With these the gateway answers where SQL is refused."""


class FlinkEngine:
    """Runs each version of a query as one job of a Flink cluster.

    The id of a job says which version it runs and by which SQL. So nothing is kept beside Flink and Kafka, and state is
    never read back by other SQL than it was made by.

    Args:
        log: Keeps ticks, and the consumer groups by which jobs tell how far they have read.
        env: Environment and cluster.
        gateway: Takes statements.
        jobs: Knows jobs.
        options: How jobs are run.
        clock: Waits, and counts attempts.
        preflight: Whether `compile` has the gateway plan the statements.
        generate: Makes statements.
        schema: Tells the registered Avro schema of a topic's values.
    """

    kind = KIND

    def __init__(
        self, log: GroupLog, *, env: tuple[str, ...], gateway: Gateway, jobs: Jobs, options: FlinkOptions,
        clock: Clock, preflight: bool = True, generate: Generator = script,
        schema: Callable[[str], Mapping[str, Any] | None] = lambda _: None,
    ) -> None:  # fmt: skip
        self._log, self._env, self._options, self._clock = log, env, options, clock
        self._gateway, self._jobs, self._generate, self._preflight = gateway, jobs, generate, preflight
        self._schema = schema
        self._reading = Reading(log)
        self._settled = Settled(SLICE_MS)
        self._standing = Standing(jobs, self._reading, clock=clock, interval_ms=options.interval_ms)

    def close(self) -> None:
        """Close its connections."""
        self._gateway.close()
        self._jobs.close()

    def compile(self, registration: Registration) -> list[str]:
        """Return the script, secrets left out, after the gateway has planned it; changes nothing.

        Raises:
            UnsupportedError: Flink cannot run the query.
            EngineError: The gateway is not reached.
        """
        made = self._made(registration)
        if self._preflight:
            self._explain(registration, made)
        return [self._options.shown(replace(made, settings=self._settings(registration, made)).text())]

    def inspect(self, registrations: Sequence[Registration]) -> list[RunningQuery]:
        """Return how these versions stand, those left out that have no job or are another engine's.

        Raises:
            EngineError: The job manager is not reached.
        """
        wanted = [r for r in registrations if r.engine == KIND and r.state != "stopped"]
        known = self._jobs.all() if wanted else []
        found = [(r, self._newest(r, known)) for r in wanted]
        return [self._standing.of(r, job, self._group(r)) for r, job in found if job is not None]

    def register(self, registration: Registration) -> None:
        """Submit the job of a version unless one is there.

        A job that was lost goes on from its newest checkpoint, if that was made by the same SQL. Else it begins with
        the oldest tick there is; buckets that have lost ticks are left alone.

        Raises:
            UnsupportedError: Flink cannot run the query.
            EngineError: Gateway or job manager are not reached, or refuse the job.
        """
        owner, jobs = self._owner(registration), self._mine(registration, self._jobs.all())
        if any(not job.ended for job, _ in jobs):
            return
        sql = self._sql(registration)
        kept = self._kept(jobs, owner, sql)
        if kept is None:
            since_ms, path = self._reading.lost_before_ms(_source(registration)), None
            self._log.forget(self._group(registration))  # it would be taken for progress of the new job
        else:
            since_ms, path = kept[0].since_ms, kept[1]
        self._own_topics(registration, anew=kept is None)
        attempt = max([self._clock.now_ms() // 1000, *(known.attempt + 1 for _, known in jobs)])
        self._submit(registration, JobId(owner=owner, sql=sql, since_min=minute_of(since_ms), attempt=attempt), path)

    def stop(self, registration: Registration) -> None:
        """End the jobs of a version, with a savepoint and without draining them; none is no error.

        Raises:
            EngineError: The job manager is not reached, or a job does not end.
        """
        for job, _ in self._mine(registration, self._jobs.all()):
            if not job.ended:
                self._jobs.stop(job.id, self._options.savepoints)
        with suppress(UnsupportedError, InputError):  # a plan of another ashioto: what its topics are is not known here
            self._delete(self._bare(registration).topics)

    def progress(self, registration: Registration) -> Mapping[int, int] | None:
        """Return up to which offset of each partition a version has read, or None when it has not begun.

        Every bar of what it has read is written.

        Raises:
            EngineError: The job manager is not reached.
        """
        topic = _source(registration)
        cuts = self._reading.cuts(self._group(registration), topic)
        job = self._newest(registration, self._jobs.all())
        if job is None or job.ended:
            return None
        saved = self._jobs.checkpoints(job.id)
        if not saved.completed + saved.restored:
            return None
        return self._settled.of(job.id, self._reading.seen(topic, {}) if cuts is None else cuts, saved)

    def _explain(self, registration: Registration, made: Script) -> None:
        try:
            with self._defined(registration, made) as session:
                session.run(f"EXPLAIN {made.job.removeprefix('EXECUTE ')}", about=f"the plan of {registration.name}")
        except EngineError as error:
            if error.ids.get("status") not in _REFUSED:
                raise
            raise UnsupportedError(
                f"{registration.context}.{registration.query}: Flink refuses it: {error.ids.get('said')}",
                hint="rc infra sql shows the statements", query=registration.name,
            ) from error  # fmt: skip

    def _own_topics(self, registration: Registration, *, anew: bool) -> None:
        """Create the topics that only the version uses; a job that begins all over must not find what another wrote."""
        wanted = self._bare(registration, partitions=self._partitions(registration)).topics
        if anew:
            self._delete(wanted)
        self._log.create(wanted)

    def _delete(self, topics: Sequence[TopicSpec]) -> None:
        there = set(self._log.topics())
        self._log.delete([spec.name for spec in topics if spec.name in there])

    def _submit(self, registration: Registration, job: JobId, path: str | None) -> None:
        made = self._made(registration, since_ms=job.since_ms)
        settings = {JOB_ID: str(job)}
        if path is not None:
            settings |= {"execution.state-recovery.path": path, "execution.state-recovery.claim-mode": "CLAIM"}
        with self._defined(registration, made, settings) as session:
            started = session.run(made.job, about=f"the job of {registration.name}").job
        if started != str(job):
            if started is not None:
                self._jobs.cancel(started)
            raise EngineError(
                f"{registration.name}: Flink gave the job the id {started}, not {job}",
                hint=f"{JOB_ID} must not be set in the cluster's own settings", query=registration.name,
            )  # fmt: skip

    @contextmanager
    def _defined(
        self, registration: Registration, made: Script, settings: Mapping[str, str] | None = None
    ) -> Iterator[Session]:
        """Open a session in which the tables of a version have names."""
        with self._gateway.session(self._settings(registration, made) | dict(settings or {})) as session:
            for statement in made.definitions:
                session.run(statement, about=f"tables of {registration.name}")
            yield session

    def _made(self, registration: Registration, *, since_ms: int | None = None) -> Script:
        found = {topic: self._schema(topic) for topic in _written(registration)}
        schemas = {topic: schema for topic, schema in found.items() if schema is not None}
        reach = replace(self._options.reach, group=self._group(registration), schemas=schemas)
        return self._generate(registration, reach, since_ms=since_ms)

    def _partitions(self, registration: Registration) -> int:
        """Return how many partitions a version's ticks have, as its own topics get; 1 while there are no ticks yet."""
        try:
            return self._log.describe(_source(registration)).spec.partitions
        except UnknownTopicError:
            return 1

    def _sql(self, registration: Registration) -> str:
        """Return the digits of what a version does, wherever brokers and registry are and whoever logs in there."""
        made = self._bare(registration)
        return sql_of("\x1f".join((*made.definitions, made.job)))

    def _bare(self, registration: Registration, *, partitions: int = 1) -> Script:
        """Return the script of nobody's brokers and registry: nothing is asked for it."""
        reach = Reach(bootstrap="", registry="", prefix=self._options.reach.prefix, group=self._group(registration))
        return self._generate(registration, reach, partitions=partitions)

    def _settings(self, registration: Registration, made: Script) -> dict[str, str]:
        return dict(made.settings) | {
            "pipeline.name": f"{registration.name} ({'/'.join(self._env)})",
            "execution.checkpointing.interval": f"{self._options.interval_ms} ms",
            "execution.checkpointing.dir": self._options.checkpoints,
            "execution.checkpointing.externalized-checkpoint-retention": "RETAIN_ON_CANCELLATION",
        }

    def _kept(self, jobs: Sequence[tuple[Job, JobId]], owner: str, sql: str) -> tuple[JobId, str] | None:
        """Return where the newest state is that this SQL has made, and the job it is of."""
        found = [(known, path) for job, known in jobs if known.sql == sql and (path := self._path(job)) is not None]
        in_folder = newest_checkpoint(self._options.checkpoints, owner, sql)
        found += [] if in_folder is None else [in_folder]
        return max(found, key=lambda one: one[0].attempt, default=None)

    def _path(self, job: Job) -> str | None:
        """Return where the newest state of a job that has ended is.

        For a while the job manager answers by what it has seen before, in which that state has not been saved yet, or
        the one before it has been deleted.
        """
        saved = self._jobs.checkpoints(job.id)
        if saved.path is None and saved.completed and job.state != "FINISHED":
            self._clock.sleep(_REMEMBERED_S)
            saved = self._jobs.checkpoints(job.id)
        return saved.path

    def _mine(self, registration: Registration, jobs: Sequence[Job]) -> list[tuple[Job, JobId]]:
        owner = self._owner(registration)
        parsed = [(job, JobId.parse(job.id)) for job in jobs]
        return [(job, known) for job, known in parsed if known is not None and known.owner == owner]

    def _owner(self, registration: Registration) -> str:
        return owner_of(self._options.reach.prefix, self._env, registration.name)

    def _newest(self, registration: Registration, jobs: Sequence[Job]) -> Job | None:
        """Return the job of a version: the one that runs, else the one that was submitted last."""
        mine = self._mine(registration, jobs)
        return max(mine, key=lambda one: (not one[0].ended, one[1].attempt))[0] if mine else None

    def _group(self, registration: Registration) -> str:
        return f"{self._options.reach.prefix}{group_of(self._env, registration.name)}"


def _written(registration: Registration) -> list[str]:
    """Return the topics that a version writes; none where its plan cannot be read."""
    try:
        plan = registration.decoded()
    except AshiotoError:
        return []
    bars = [naming.bars_topic(plan.context, plan.entity.name, period) for period in plan.frames]
    return [*bars, naming.late_topic(plan.context, plan.entity.name)]


def _source(registration: Registration) -> str:
    """Return the topic of the ticks of a version.

    Raises:
        UnsupportedError: Its plan cannot be read.
    """
    try:
        plan = registration.decoded()
    except AshiotoError as error:
        raise UnsupportedError(f"{registration.name}: {error.message}", hint=error.hint) from error
    return naming.topic(plan.context, plan.entity.name)
