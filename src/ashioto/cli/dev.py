"""Runs every role of a project in one process: topics, engine and heartbeats."""

from __future__ import annotations

import signal
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from ashioto import naming
from ashioto.cli.dev_lock import dev_lock
from ashioto.cli.project import declared
from ashioto.cli.replay import SharedClock, return_to_wall
from ashioto.clock import Clock, SystemClock
from ashioto.deploy.bootstrap import ensure_topics
from ashioto.engines.embedded.runner import EMIT_INTERVAL, EmbeddedEngine, QueryRunner
from ashioto.errors import ConfigError, UnsupportedError
from ashioto.heartbeat.inprocess import InProcessHeartbeat
from ashioto.log.opening import open_log
from ashioto.logical.schedules import is_always_open
from ashioto.schedule.sessions import time_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ashioto.cli.dev_screen import Screen
    from ashioto.config import Config
    from ashioto.dsl.context import Context
    from ashioto.log.base import Log
    from ashioto.logical.nodes import Query

STOPPING: Final = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
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
        self.created = ensure_topics(self.log, self.contexts)
        if not self.follow:
            return_to_wall(self.log, self.base_clock)
        self._clock = SharedClock(self.log, self.base_clock)
        queries = [q.plan for context in self.contexts for q in context.queries.values()]
        self._engine = EmbeddedEngine(self.log, queries, clock=self.base_clock, env=self.env)
        self._topics = sorted({topic for query in queries for topic in read_topics(query)})
        self._ends, self._flushed_at = None, self.base_clock.monotonic()
        start = self._clock.now_ms() - 1
        self._beats = [
            (runner, InProcessHeartbeat(self.log, runner.query, start_ms=start, env=self.env))
            for runner in self._engine.runners
            if runner.query.continuous
        ]
        for runner, beat in self._beats:
            beat.know(runner.keys)
            beat.resume(earliest_ms=start - CATCH_UP_MS)

    _clock: SharedClock = field(init=False, repr=False)
    created: list[str] = field(init=False)
    _engine: EmbeddedEngine = field(init=False, repr=False)
    _beats: list[tuple[QueryRunner, InProcessHeartbeat]] = field(init=False, repr=False)
    _topics: list[str] = field(init=False, repr=False)
    _ends: list[dict[int, int]] | None = field(init=False, repr=False)
    _flushed_at: float = field(init=False, repr=False)

    @property
    def replaying(self) -> bool:
        """Whether the clock is not the wall clock."""
        return self._clock.replaying

    @property
    def scheduled(self) -> bool:
        """Whether a heartbeat is still to come; of markets that never close it is not known before their first tick."""
        return not self._beats or any(
            beat.due_ms() is not None or runner.query.time_frame is None or is_always_open(runner.query.time_frame)
            for runner, beat in self._beats
        )

    def step(self) -> bool:
        """Send what is due, read and write what there is.

        Returns:
            Whether there was anything to do.
        """
        self._set_clock()
        now = self._clock.now_ms()
        sent = sum(beat.send(now) for _, beat in self._beats)
        busy = self._turn_engine(sent > 0)
        self._update(now, sent)
        return busy or sent > 0

    def pause(self) -> float:
        """Return how many seconds there is nothing to do: until the next heartbeat, or the next look for ticks."""
        found = [due for _, beat in self._beats if (due := beat.due_ms()) is not None]
        if not found:
            return IDLE_SECONDS
        left = (min(found) - self._clock.now_ms()) / 1000 / self._clock.speed
        return min(max(left, 0.0), IDLE_SECONDS)

    def finish(self) -> None:
        """Write everything that has been read."""
        self._engine.drain()
        self._update(self._clock.now_ms(), 0)

    def _turn_engine(self, woken: bool) -> bool:  # noqa: FBT001  # said right above
        """Read and write what there is; where nothing was appended, only live bars that have waited are written."""
        ends = [self.log.end_offsets(topic) for topic in self._topics]
        clock = self.base_clock.monotonic()
        if woken or ends != self._ends:
            busy = self._engine.poll()
            self._ends = None if busy else ends
            for runner, beat in self._beats if busy else ():
                beat.know(runner.keys)
            return busy
        if clock - self._flushed_at >= EMIT_INTERVAL:
            self._flushed_at = clock
            for runner in self._engine.runners:
                runner.flush()
        return False

    def _set_clock(self) -> None:
        if self.follow and self._clock.follow() and self._clock.line is not None:
            for _, beat in self._beats:
                beat.restart_at(self._clock.line.event_ms - 1)

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


def read_topics(query: Query) -> list[str]:
    """Return the topics whose records change bars: ticks, and sessions where they have a topic."""
    frame = query.time_frame
    schedules = [] if frame is None or is_always_open(frame) else [frame.schedule.name]
    return [naming.topic(query.context, name) for name in (query.entity.name, *schedules)]


def run_dev(config: Config, screen: Screen, *, wall: bool = False) -> None:
    """Run a project until SIGINT or SIGTERM.

    Args:
        config: The project.
        screen: Where it says how it stands.
        wall: Whether to return to the wall clock and keep to it, whatever is played back.

    Raises:
        ConfigError: The project names no context with a query, or declares it wrongly.
        UnsupportedError: Its queries are for another engine.
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
    log = open_log(config)
    env = (config.project.env, config.project.cluster)
    with dev_lock(config.log.path):
        server = DevServer(log=log, contexts=contexts, env=env, follow=not wall)
        if server.created:
            screen.tell(f"created {len(server.created)} topics: {', '.join(server.created)}")
        if server.replaying:
            screen.tell("the clock is that of the last replay; `rc dev --wall` returns to today")
        if not server.scheduled:
            screen.tell(NO_SESSIONS)
        screen.tell(
            "running; ^C stops. In another terminal: rc ticks simulate, rc ticks send FILE --speed 60, rc bars tail"
        )
        run_until_stopped(server, screen)


def run_until_stopped(server: DevServer, screen: Screen) -> None:
    """Turn a project over until SIGINT, SIGTERM or SIGHUP, then write what has been read."""
    clock = server.base_clock
    reported = clock.monotonic()
    with _signals() as stopping:
        while not stopping:
            if not server.step():
                clock.sleep(server.pause())
            if clock.monotonic() - reported >= screen.interval:
                reported = clock.monotonic()
                screen.show(server.status)
        server.finish()
    screen.tell(f"stopped: {server.status.line()}")


@contextmanager
def _signals() -> Iterator[list[int]]:
    """Collect the signals that ask the process to end, instead of ending it."""
    caught: list[int] = []
    before = {number: signal.signal(number, lambda n, _: caught.append(n)) for number in STOPPING}
    try:
        yield caught
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
