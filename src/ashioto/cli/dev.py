"""Runs every role of a project in one process: topics, engine and heartbeats."""

from __future__ import annotations

import signal
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from ashioto.clock import Clock, ReplayClock, SystemClock
from ashioto.context import load_contexts
from ashioto.deploy.bootstrap import ensure_topics
from ashioto.engines.embedded.runner import EmbeddedEngine, QueryRunner
from ashioto.engines.embedded.topics import DEV_CLOCK
from ashioto.errors import ConfigError
from ashioto.heartbeat.inprocess import InProcessHeartbeat
from ashioto.log.opening import open_log
from ashioto.schedule.sessions import time_text

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ashioto.config import Config
    from ashioto.dsl.context import Context
    from ashioto.log.base import Log

IDLE_SECONDS: Final = 0.005
REPORT_SECONDS: Final = 1.0
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
        parts = [f"{time_text(self.now_ms)}", f"{self.ticks:,} ticks", f"{self.bars:,} bar updates"]
        troubles = {
            "out of session": self.out_of_session,
            "of unknown keys": self.unknown_key,
            "too late": self.late,
            "rejected": self.rejected,
        }
        parts += [f"{count:,} {name}" for name, count in troubles.items() if count]
        return " · ".join(parts)


@dataclass(slots=True)
class DevServer:
    """Holds the roles of a project and turns them over, one step at a time.

    Args:
        log: Where everything is.
        contexts: What runs.
        env: Environment and cluster.
        base_clock: The clock that really runs.
        follow: Whether to follow the replay clock that `rc ticks send --speed` announces.
    """

    log: Log
    contexts: Sequence[Context]
    env: tuple[str, ...] = ("dev", "local")
    base_clock: Clock = field(default_factory=SystemClock)
    follow: bool = True
    status: DevStatus = field(default_factory=DevStatus)

    def __post_init__(self) -> None:
        self._clock: Clock = self.base_clock
        self.created = ensure_topics(self.log, self.contexts)
        queries = [q.plan for context in self.contexts for q in context.queries.values()]
        self._engine = EmbeddedEngine(self.log, queries, clock=self.base_clock, env=self.env)
        self._announced = self._announcement()
        if self._announced and self.follow:
            self._resume_replay()
        start = self._clock.now_ms() - 1
        self._beats = [
            (runner, InProcessHeartbeat(self.log, runner.query, start_ms=start, env=self.env))
            for runner in self._engine.runners
            if runner.query.continuous
        ]
        for _, beat in self._beats:
            beat.resume(earliest_ms=start - CATCH_UP_MS)

    _clock: Clock = field(init=False, repr=False)
    created: list[str] = field(init=False)
    _engine: EmbeddedEngine = field(init=False, repr=False)
    _announced: tuple[int, int, float] | None = field(init=False, repr=False)
    _beats: list[tuple[QueryRunner, InProcessHeartbeat]] = field(init=False, repr=False)

    @property
    def replaying(self) -> bool:
        """Whether the clock is not the wall clock."""
        return isinstance(self._clock, ReplayClock)

    def step(self) -> bool:
        """Send what is due, read and write what there is.

        Returns:
            Whether there was anything to do.
        """
        self._follow_clock()
        now = self._clock.now_ms()
        sent = 0
        for runner, beat in self._beats:
            beat.know(runner.keys)
            sent += beat.send(now)
        busy = self._engine.poll()
        self._update(now, sent)
        return busy or sent > 0

    def finish(self) -> None:
        """Write everything that has been read."""
        self._engine.drain()
        self._update(self._clock.now_ms(), 0)

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

    def _announcement(self) -> tuple[int, int, float] | None:
        page = self.log.view(DEV_CLOCK, limit=1)
        if not page.keys:
            return None
        row = page.data.to_pylist()[0]
        return row["event_ms"], row["wall_ms"], row["speed"]

    def _follow_clock(self) -> None:
        """Set the clock when a replay begins."""
        found = self._announcement() if self.follow else None
        if found is None or found == self._announced:
            return
        self._announced = found
        event, wall, speed = found
        self._clock = ReplayClock(base=self.base_clock, event_ms=event, anchor_ms=wall, speed=speed)
        for _, beat in self._beats:
            beat.restart_at(event - 1)

    def _resume_replay(self) -> None:
        """Go on, at real pace, from where an earlier replay stood, so that no years are filled up to today."""
        reached = [p.now_ms for r in self._engine.runners for p in r.progress if p.now_ms > 0]
        if reached and max(reached) < self.base_clock.now_ms() - 86_400_000:
            wall = self.base_clock.now_ms()
            self._clock = ReplayClock(base=self.base_clock, event_ms=max(reached) + 1, anchor_ms=wall, speed=1.0)


def run_dev(config: Config, *, wall: bool = False, tell: Callable[[str], None] = print) -> None:
    """Run a project until SIGINT or SIGTERM.

    Args:
        config: The project.
        wall: Whether to keep to the wall clock, also where a replay was announced.
        tell: Where status lines go.

    Raises:
        ConfigError: The project names no context with a query.
    """
    contexts = load_contexts(config)
    if not any(context.queries for context in contexts):
        raise ConfigError("the project declares no query", hint="end a chain with .to_query() in a context's module")
    log = open_log(config)
    env = (config.project.env, config.project.cluster)
    server = DevServer(log=log, contexts=contexts, env=env, follow=not wall)
    if server.created:
        tell(f"created {len(server.created)} topics: {', '.join(server.created)}")
    if server.replaying:
        tell("the clock goes on from where the last replay stood; `rc dev --wall` returns to today")
    tell("running; ^C stops. In another terminal: rc ticks simulate, rc ticks send FILE --speed 60, rc bars tail")
    _loop(server, tell)


def _loop(server: DevServer, tell: Callable[[str], None]) -> None:
    stopping = False

    def stop(*_: object) -> None:
        nonlocal stopping
        stopping = True

    before = {s: signal.signal(s, stop) for s in (signal.SIGINT, signal.SIGTERM)}
    clock = server.base_clock
    reported, told = clock.monotonic(), ""
    try:
        while not stopping:
            if not server.step():
                clock.sleep(IDLE_SECONDS)
            if clock.monotonic() - reported >= REPORT_SECONDS:
                reported, line = clock.monotonic(), server.status.line()
                if line.split(" · ")[1:] != told.split(" · ")[1:]:
                    tell(line)
                    told = line
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        server.finish()
        tell(f"stopped: {server.status.line()}")
