"""`rc hb run`: the heartbeat, active or standing by."""

from __future__ import annotations

import logging
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated, Final

import typer

from ashioto.errors import LogBusyError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ashioto.cli.replay import SharedClock
    from ashioto.cli.stopping import Stopping
    from ashioto.clock import Clock
    from ashioto.config import Config
    from ashioto.deploy.target import DeployLog
    from ashioto.heartbeat.hold import Hold
    from ashioto.heartbeat.options import HeartbeatOptions
    from ashioto.heartbeat.service import HeartbeatService
    from ashioto.log.base import Log
    from ashioto.observe.health import Health, Leader
    from ashioto.observe.metrics import HeartbeatMetrics

LOG: Final = logging.getLogger("ashioto.heartbeat")
FOLLOW_S: Final = 0.1
"""How often the clock of a replay is looked for, seconds."""
STALE_S: Final = 5.0
"""After so long without a turn it counts as stuck, seconds."""
RETRY_S: Final = 1.0
"""How long after it was asked in vain a log is asked again at the start, seconds."""
LOOK_S: Final = 0.5
"""How often it is looked who leads, for the health endpoints, seconds."""


def run(
    *,
    context: Annotated[
        list[str] | None, typer.Option(help="Only of this context; may be given again. All without.")
    ] = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Of the health endpoints; 0 picks a free one.")] = 0,
    log_format: Annotated[str, typer.Option(help="text or json, one line an event on stderr.")] = "text",
    log_level: Annotated[str, typer.Option(help="DEBUG, INFO, WARNING or ERROR.")] = "INFO",
) -> None:
    """Keep bars on time, until ^C: active, or standing by until the active one is gone."""
    from ashioto.cli.role_logs import role_logs

    with role_logs(LOG, log_format=log_format, log_level=log_level):
        _run(context or [], port)


def _run(contexts: list[str], port: int) -> None:
    from ashioto.cli.infra_target import deploy_log
    from ashioto.cli.project import open_project
    from ashioto.cli.stopping import Stopping
    from ashioto.clock import SystemClock
    from ashioto.observe.health import HealthServer
    from ashioto.observe.metrics import HeartbeatMetrics

    project = open_project()
    names = [project.context(name).name for name in contexts] or [c.name for c in project.contexts]
    base, metrics = SystemClock(), HeartbeatMetrics()
    env = (project.config.project.env, project.config.project.cluster)
    watcher = Turned(base)
    with (
        HealthServer(port, registry=metrics.registry, status=watcher.health, stale_after=STALE_S) as server,
        Stopping() as stopping,
    ):
        LOG.info("of %s; health on http://127.0.0.1:%d; ^C hands over", ", ".join(names), server.port)
        clock = clock_of(project.log, base, stopping, watcher.waits)
        if clock is not None:
            log = deploy_log(project.log)
            service = heartbeat_service(
                log, names, env=env, clock=clock, base=base, metrics=metrics,
                hold=engine_hold(project.config, log, env=env, clock=base),
            )  # fmt: skip
            turn_heartbeat(service, clock, stopping, lambda: watcher.turned(service))


def clock_of(log: Log, base: Clock, stopping: Stopping, waits: Callable[[str], None]) -> SharedClock | None:
    """Return the clock that a log announces, once the log answers; None where the process is to end before it does.

    Args:
        log: Where the clock is.
        base: The machine's clock.
        stopping: Says when to end.
        waits: Told why there is no clock yet, each time that the log was asked in vain.
    """
    from ashioto.cli.replay import SharedClock

    while not stopping:
        try:
            return SharedClock(log, base)
        except LogBusyError as error:
            LOG.warning("there is nothing to do yet: %s; tried again", error.message)
            waits(error.message)
            stopping.wait(RETRY_S)
    return None


def heartbeat_service(
    log: DeployLog,
    contexts: Sequence[str],
    *,
    env: tuple[str, ...],
    clock: SharedClock,
    base: Clock,
    metrics: HeartbeatMetrics,
    options: HeartbeatOptions | None = None,
    hold: Hold | None = None,
    holder: str = "",
) -> HeartbeatService:
    """Return the heartbeat of some contexts of a project, ready to step.

    Args:
        log: Where everything is; it also keeps the leases.
        contexts: Their names.
        env: Environment and cluster.
        clock: What deadlines are measured by.
        base: The machine's clock, which is watched for jumps.
        metrics: Where it counts.
        options: How much at once.
        hold: Holds markers back for engines that cannot wait; None where the engine waits itself.
        holder: Tells heartbeats inside one process apart.
    """
    from ashioto.control.election import LeaseElection
    from ashioto.control.processes import this_process
    from ashioto.control.roles import heartbeat_role
    from ashioto.heartbeat.guard import ClockGuard
    from ashioto.heartbeat.orchestrator import Orchestrator
    from ashioto.heartbeat.service import ContextRole, HeartbeatService

    me = this_process(holder)
    roles = []
    for name in contexts:
        orchestrator = Orchestrator(
            log, env=env, context=name, clock=clock, options=options, metrics=metrics, hold=hold,
            replaying=lambda: clock.replaying,
        )  # fmt: skip
        election = LeaseElection(log, heartbeat_role(env, name), holder=me, clock=base)
        roles.append(ContextRole(orchestrator, election, clock=clock, holder=me.name, metrics=metrics))
    return HeartbeatService(roles, clock=clock, guard=ClockGuard(base), metrics=metrics)


def engine_hold(config: Config, log: DeployLog, *, env: tuple[str, str], clock: Clock) -> Hold | None:
    """Return what holds markers back until the engine of a project has read up to their cut.

    The embedded engine waits itself: for it there is nothing.

    Args:
        config: The project's settings.
        log: Where everything is.
        env: Environment and cluster.
        clock: The machine's clock.

    Raises:
        UnsupportedError: This version does not know the engine.
        ConfigError: A file of a secret cannot be read.
        EngineError: A certificate for the engine cannot be used.
    """
    if config.engine.kind == "embedded":
        return None
    from ashioto.engines.opening import open_engine
    from ashioto.heartbeat.asking import EngineProgress
    from ashioto.heartbeat.hold import Hold

    engine = open_engine(config, log, env, clock)
    return Hold(EngineProgress(engine, log, env=env, clock=clock), clock)


def turn_heartbeat(
    service: HeartbeatService, clock: SharedClock, stopping: Stopping, turned: Callable[[], None]
) -> None:
    """Turn the heartbeat over until the process is asked to end, then hand over.

    Args:
        service: The heartbeat.
        clock: The clock it follows; a replay that is announced sets it.
        stopping: Says when to end.
        turned: Told after every turn.
    """
    looked = clock.monotonic()
    try:
        while not stopping:
            if clock.monotonic() - looked >= FOLLOW_S:
                looked = clock.monotonic()
                if clock.follow() and clock.line is not None:
                    service.rewind(clock.line.event_ms - 1)
            service.step()
            turned()
            stopping.wait(min(service.wait_s(clock.speed), FOLLOW_S if clock.replaying else 1.0))
    finally:
        service.stop()


class Turned:
    """Knows when a heartbeat was last turned over and how it stood then; asked from other threads, it reads no log.

    Args:
        clock: Tells when.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._health: Health | None = None
        self._waits = "it has only just been started"
        self._looked = float("-inf")
        self._leaders: tuple[Leader, ...] = ()

    def waits(self, reason: str) -> None:
        """Note why there is nothing to turn over yet."""
        self._waits = reason

    def turned(self, service: HeartbeatService) -> None:
        """Note that a heartbeat has been turned over now."""
        from ashioto.observe.health import Health

        at, problems = self._clock.monotonic(), tuple(service.problems)
        if at - self._looked >= LOOK_S:
            self._looked = at
            with suppress(LogBusyError):  # they stay as they were seen last
                self._leaders = _leaders(service)
        self._health = Health(turned_at=at, ready=not problems, reasons=problems, leaders=self._leaders)

    def health(self) -> Health:
        """Return how it stands: before its first turn it is alive, since it waits, and not ready."""
        from ashioto.observe.health import Health

        if self._health is None:
            return Health(turned_at=self._clock.monotonic(), ready=False, reasons=(self._waits,))
        return self._health


def _leaders(service: HeartbeatService) -> tuple[Leader, ...]:
    from ashioto.observe.health import Leader

    return tuple(
        Leader(
            context=role.context,
            holder=role.election.leader(),
            epoch=role.election.newest(),
            is_this=role.mode == "active",
        )
        for role in service.roles
    )
