"""`rc engine run`: the embedded engine, running what `rc infra apply` has registered."""

from __future__ import annotations

import logging
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated, Final

import typer

from ashioto.errors import LogBusyError, UsageError

if TYPE_CHECKING:
    from ashioto.clock import Clock
    from ashioto.deploy.target import DeployLog
    from ashioto.engines.embedded.host import EngineHost
    from ashioto.log.base import Log
    from ashioto.observe.health import Health

LOG: Final = logging.getLogger("ashioto.engine")
LOOK_S: Final = 0.5
"""How often it is counted what it has done, seconds."""
COUNTERS: Final = ("ticks", "out_of_session", "unknown_key", "late", "rejected")


def run(
    *,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Of the health endpoints; 0 picks a free one.")] = 0,
    log_format: Annotated[str, typer.Option(help="text or json, one line an event on stderr.")] = "text",
    log_level: Annotated[str, typer.Option(help="DEBUG, INFO, WARNING or ERROR.")] = "INFO",
) -> None:
    """Run every registered query, until ^C; on Kafka several share the partitions, else a second one stands by."""
    from ashioto.cli.role_logs import role_logs

    with role_logs(LOG, log_format=log_format, log_level=log_level):
        _run(port)


def _run(port: int) -> None:
    from ashioto.cli.infra_target import deploy_log
    from ashioto.cli.project import open_project
    from ashioto.cli.stopping import Stopping
    from ashioto.clock import SystemClock
    from ashioto.control.sharing import ENGINE_EXPIRE_S
    from ashioto.observe.health import HealthServer

    project = open_project()
    if project.config.engine.kind != "embedded":
        kind, url = project.config.engine.kind, project.config.engine.url
        raise UsageError(
            f'engine.kind = "{kind}": the queries run in the cluster at {url}, there is nothing to run here',
            hint="rc infra apply registers them, rc infra status shows how they stand",
        )
    env, clock = (project.config.project.env, project.config.project.cluster), SystemClock()
    host = engine_host(deploy_log(project.log), env=env, clock=clock)
    watcher = Watched(host, project.log, clock)
    registry = watcher.metrics.registry
    with HealthServer(port, registry=registry, status=watcher.health, stale_after=ENGINE_EXPIRE_S) as server:
        LOG.info("health on http://127.0.0.1:%d; ^C writes what has been read and ends", server.port)
        with Stopping() as stopping:
            try:
                while not stopping:
                    busy = host.step()
                    watcher.turned()
                    if not busy:
                        stopping.wait(host.pause())
            finally:
                host.finish()


class Watched:
    """Knows how an engine stood when it was last turned over; asked from other threads, it reads no log.

    Args:
        host: The engine.
        log: Where the ends of its sources are.
        clock: Tells when.
    """

    def __init__(self, host: EngineHost, log: Log, clock: Clock) -> None:
        from ashioto.observe.metrics import EngineMetrics

        self.metrics = EngineMetrics()
        self._host, self._log, self._clock = host, log, clock
        self._known: set[str] = set()
        self._looked = float("-inf")
        self._health: Health
        self.turned()

    def turned(self) -> None:
        """Note that it has been turned over now, and count twice a second."""
        from ashioto.observe.health import Health

        at = self._clock.monotonic()
        self._health = Health(turned_at=at, ready=True)
        if at - self._looked >= LOOK_S:
            self._looked = at
            self._count()

    def health(self) -> Health:
        """Return how it stands."""
        return self._health

    def _count(self) -> None:
        running = self._host.running()
        for name in self._known - running.keys():
            self.metrics.forget(name)
        self._known = set(running)
        for name, runner in running.items():
            counts = {c: sum(getattr(part, c) for part in runner.progress) for c in COUNTERS}
            self.metrics.totals(name, **counts)
            self.metrics.written(name, bars=runner.written)
            self.metrics.running(name, present=True)
            with suppress(LogBusyError):  # the lag stays as it was seen last
                ends = self._log.end_offsets(runner.source)
                self.metrics.lag(name, records=sum(max(ends[p] - offset, 0) for p, offset in runner.read().items()))


def engine_host(log: DeployLog, *, env: tuple[str, ...], clock: Clock, holder: str = "") -> EngineHost:
    """Return an engine that runs what is registered on a log.

    Args:
        log: Where everything is; it also says what is this engine's share.
        env: Environment and cluster.
        clock: The machine's clock.
        holder: Tells engines inside one process apart.
    """
    from ashioto.control.sharing import engine_shares
    from ashioto.engines.embedded.host import EngineHost

    shares = engine_shares(log, env=env, clock=clock, holder=holder)
    return EngineHost(log, env=env, clock=clock, shares=shares)
