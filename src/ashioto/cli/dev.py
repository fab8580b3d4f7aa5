"""Runs every role of a project in one process: what is declared is applied, then engine and heartbeat turn."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from ashioto.cli.dev_lock import dev_lock
from ashioto.cli.engine_run import engine_host
from ashioto.cli.hb_run import heartbeat_service
from ashioto.cli.infra_target import deploy_log, embedded_target
from ashioto.cli.project import declared
from ashioto.cli.replay import SharedClock, return_to_wall
from ashioto.cli.stopping import Stopping
from ashioto.clock import Clock, SystemClock
from ashioto.control.election import LeaseElection
from ashioto.control.processes import this_process
from ashioto.control.roles import infra_role
from ashioto.control.schedules import LogSchedules
from ashioto.control.specs import heartbeat_specs
from ashioto.deploy.apply import LOCK, apply
from ashioto.deploy.changes import TopicChange
from ashioto.deploy.plan import Request
from ashioto.errors import ConfigError, UnsupportedError
from ashioto.heartbeat.options import HeartbeatOptions
from ashioto.log.opening import open_log
from ashioto.observe.metrics import HeartbeatMetrics
from ashioto.schedule.sessions import time_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ashioto.cli.dev_screen import Screen
    from ashioto.config import Config
    from ashioto.control.specs import HeartbeatSpec
    from ashioto.deploy.changes import AnyChange
    from ashioto.deploy.target import DeployLog
    from ashioto.dsl.context import Context
    from ashioto.engines.embedded.host import EngineHost
    from ashioto.heartbeat.service import HeartbeatService

IDLE_SECONDS: Final = 0.02
"""How often ticks are looked for where there were none; heartbeats are sent when they are due, whatever this is."""
NO_SESSIONS: Final = (
    "the schedule has no sessions from now on, so no bars will end: rc schedule import, rc schedule check"
)
CATCH_UP_MS: Final = 86_400_000
"""How far back heartbeats are sent that were due while nothing ran."""


@dataclass(slots=True)
class DevStatus:
    """Says how a running project stands.

    Args:
        now_ms: The time by the clock it follows, ms.
        ticks: Ticks counted into bars or dropped as out of session.
        bars: Bars written since the start.
        out_of_session: Ticks outside the sessions of their key.
        unknown_key: Ticks of keys without a schedule.
        late: Ticks older than the retention, sent to the late topic.
        rejected: Bad records, sent to the dead letters.
        markers: Heartbeats sent since the start.
    """

    now_ms: int = 0
    ticks: int = 0
    bars: int = 0
    out_of_session: int = 0
    unknown_key: int = 0
    late: int = 0
    rejected: int = 0
    markers: int = 0

    def line(self) -> str:
        """Return the status on one line."""
        return " · ".join([time_text(self.now_ms), *self.counts()])

    def counts(self) -> list[str]:
        """Return what has been counted, as people read it."""
        parts = [f"{self.ticks:,} ticks", f"{self.bars:,} bar updates"]
        troubles = {
            "out of session": self.out_of_session,
            "of unknown keys": self.unknown_key,
            "too late": self.late,
            "rejected": self.rejected,
        }
        return parts + [f"{count:,} {name}" for name, count in troubles.items() if count]


@dataclass(slots=True)
class DevServer:
    """Holds the roles of a project and turns them over, one step at a time.

    Args:
        log: Where everything is.
        contexts: What runs; it is applied first.
        env: Environment and cluster.
        base_clock: The clock that really runs.
        follow: Whether to follow the replay clock that `rc ticks send --speed` announces.
        partitions: How many partitions new topics of ticks, heartbeats and bars get.

    Raises:
        BlockedError: Something cannot become as declared.
    """

    log: DeployLog
    contexts: Sequence[Context]
    env: tuple[str, str] = ("dev", "local")
    base_clock: Clock = field(default_factory=SystemClock)
    follow: bool = True
    partitions: int = 1
    status: DevStatus = field(default_factory=DevStatus)

    def __post_init__(self) -> None:
        self.applied = self._apply()
        if not self.follow:
            return_to_wall(self.log, self.base_clock)
        self._clock = SharedClock(self.log, self.base_clock)
        self._engine = engine_host(self.log, env=self.env, clock=self.base_clock, holder="dev")
        self._beats = heartbeat_service(
            self.log,
            [context.name for context in self.contexts],
            env=self.env,
            clock=self._clock,
            base=self.base_clock,
            metrics=HeartbeatMetrics(),
            options=HeartbeatOptions(catch_up_ms=CATCH_UP_MS),
            holder="dev",
        )

    applied: list[AnyChange] = field(init=False)
    _clock: SharedClock = field(init=False, repr=False)
    _engine: EngineHost = field(init=False, repr=False)
    _beats: HeartbeatService = field(init=False, repr=False)

    @property
    def replaying(self) -> bool:
        """Whether the clock is not the wall clock."""
        return self._clock.replaying

    @property
    def ready(self) -> bool:
        """Whether the engine has something to run."""
        return bool(self._engine.running())

    @property
    def scheduled(self) -> bool:
        """Whether a heartbeat is still to come; of markets that never close it is not known before their first tick."""
        now = self._clock.now_ms()
        specs = [s for context in self.contexts for s in heartbeat_specs(self.log, self.env, context.name) if s.enabled]
        return not specs or any(self._has_sessions(spec, now) for spec in specs)

    def step(self) -> bool:
        """Send what is due, read and write what there is.

        Returns:
            Whether there was anything to do.
        """
        if self.follow and self._clock.follow() and self._clock.line is not None:
            self._beats.rewind(self._clock.line.event_ms - 1)
        now = self._clock.now_ms()
        sent = self._beats.step()
        busy = self._engine.step()
        self._update(now, sent)
        return busy or sent > 0

    def pause(self) -> float:
        """Return how many seconds there is nothing to do: until the next heartbeat, or the next look for ticks."""
        return min(self._beats.wait_s(self._clock.speed), self._engine.pause())

    def finish(self) -> None:
        """Write everything that has been read."""
        self._engine.drain()
        self._update(self._clock.now_ms(), 0)

    def close(self) -> None:
        """Write everything that has been read, and hand every role over."""
        self.finish()
        self._beats.stop()
        self._engine.finish()

    def _apply(self) -> list[AnyChange]:
        target = embedded_target(self.log, self.env, self.base_clock)
        lock = LeaseElection(
            self.log, infra_role(self.env), holder=this_process("dev"), clock=self.base_clock, options=LOCK
        )
        done = apply(Request(contexts=self.contexts, partitions=self.partitions), target, lock)
        return done.plan.made

    def _has_sessions(self, spec: HeartbeatSpec, now: int) -> bool:
        schedules = LogSchedules(self.log, spec)
        known = [schedules.sessions(key) for key in schedules.scheduled()]
        return spec.schedule_topic is None or any(s is not None and len(s) and s.closes[-1] > now for s in known)

    def _update(self, now: int, sent: int) -> None:
        status = self.status
        status.now_ms, status.markers = now, status.markers + sent
        parts = [p for runner in self._engine.runners for p in runner.progress]
        status.ticks = sum(p.ticks for p in parts)
        status.out_of_session = sum(p.out_of_session for p in parts)
        status.unknown_key = sum(p.unknown_key for p in parts)
        status.late = sum(p.late for p in parts)
        status.rejected = sum(p.rejected for p in parts)
        status.bars = sum(runner.written for runner in self._engine.runners)


def run_dev(config: Config, screen: Screen, *, wall: bool = False) -> None:
    """Run a project until SIGINT or SIGTERM.

    Args:
        config: The project.
        screen: Where it says how it stands.
        wall: Whether to return to the wall clock and keep to it, whatever is played back.

    Raises:
        ConfigError: The project names no context with a query, or declares it wrongly.
        UnsupportedError: Its queries are for another engine.
        BlockedError: Something cannot become as declared.
        LogBusyError: Another `rc dev` runs on the same log.
    """
    if config.engine.kind != "embedded":
        raise UnsupportedError(
            f'{config.file}: engine.kind = "{config.engine.kind}", but rc dev runs the embedded engine',
            hint="for this run: ASHIOTO_ENGINE__KIND=embedded rc dev",
        )
    contexts = declared(config)
    if not any(context.queries for context in contexts):
        raise ConfigError("the project declares no query", hint="end a chain with .to_query() in a context's module")
    log = deploy_log(open_log(config))
    env = (config.project.env, config.project.cluster)
    with dev_lock(config.log.local, place=config.log.place):
        server = DevServer(
            log=log, contexts=contexts, env=env, follow=not wall, partitions=config.log.partitions
        )  # fmt: skip
        for line in applied_lines(server.applied):
            screen.tell(line)
        if server.replaying:
            screen.tell("the clock is that of the last replay; `rc dev --wall` returns to today")
        if not server.scheduled:
            screen.tell(NO_SESSIONS)
        screen.tell(
            "running; ^C stops. In another terminal: rc ticks simulate, rc ticks send FILE --speed 60, rc bars tail"
        )
        run_until_stopped(server, screen)


def applied_lines(changes: Sequence[AnyChange]) -> list[str]:
    """Return what was applied, for people: new topics on one line, everything else on one each.

    >>> applied_lines([])
    []
    """
    created = [change.object for change in changes if isinstance(change, TopicChange) and change.action == "create"]
    lines = [f"created {len(created)} topics: {', '.join(created)}"] if created else []
    return lines + [f"{change.action} {change.object}" for change in changes if change.object not in created]


def run_until_stopped(server: DevServer, screen: Screen) -> None:
    """Turn a project over until SIGINT, SIGTERM or SIGHUP, then write what has been read."""
    clock = server.base_clock
    reported = clock.monotonic()
    with Stopping() as stopping:
        while not stopping:
            if not server.step():
                clock.sleep(min(server.pause(), IDLE_SECONDS))
            if clock.monotonic() - reported >= screen.interval:
                reported = clock.monotonic()
                screen.show(server.status)
        server.close()
    screen.tell(f"stopped: {server.status.line()}")
