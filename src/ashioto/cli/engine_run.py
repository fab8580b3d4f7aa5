"""`rc engine run`: the embedded engine, running what `rc infra apply` has registered."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Annotated, Final

import typer

if TYPE_CHECKING:
    from ashioto.clock import Clock
    from ashioto.deploy.target import DeployLog
    from ashioto.engines.embedded.host import EngineHost

LOG: Final = logging.getLogger("ashioto.engine")
ENGINE_EXPIRE_S: Final = 10.0
"""A pass over many ticks, and the first compilation of a query, may take seconds in which nothing is renewed."""


def run(
    *,
    log_format: Annotated[str, typer.Option(help="text or json, one line an event on stderr.")] = "text",
    log_level: Annotated[str, typer.Option(help="DEBUG, INFO, WARNING or ERROR.")] = "INFO",
) -> None:
    """Run every registered query, until ^C; a second one stands by."""
    from ashioto.cli.hb_run import log_format_of
    from ashioto.cli.infra_target import deploy_log
    from ashioto.cli.project import open_project
    from ashioto.cli.stopping import Stopping
    from ashioto.clock import SystemClock
    from ashioto.errors import UnsupportedError
    from ashioto.observe.logs import configure_logs

    configure_logs(fmt=log_format_of(log_format), level=log_level)
    project = open_project()
    if project.config.engine.kind != "embedded":
        raise UnsupportedError(
            f'{project.config.file}: engine.kind = "{project.config.engine.kind}" runs its queries itself',
            hint='rc engine run is for engine.kind = "embedded"',
        )
    env = (project.config.project.env, project.config.project.cluster)
    host = engine_host(deploy_log(project.log), env=env, clock=SystemClock())
    LOG.info("^C writes what has been read and ends")
    with Stopping() as stopping:
        try:
            while not stopping:
                if not host.step():
                    stopping.wait(host.pause())
        finally:
            host.finish()


def engine_host(log: DeployLog, *, env: tuple[str, ...], clock: Clock, holder: str = "") -> EngineHost:
    """Return an engine that runs what is registered on a log.

    Args:
        log: Where everything is; it also keeps the lease.
        env: Environment and cluster.
        clock: The machine's clock.
        holder: Tells engines inside one process apart.
    """
    from ashioto.control.election import LeaseElection, LeaseOptions
    from ashioto.control.processes import this_process
    from ashioto.control.roles import engine_role
    from ashioto.engines.embedded.host import EngineHost

    options = LeaseOptions(renew_s=1.0, expire_s=ENGINE_EXPIRE_S)
    election = LeaseElection(log, engine_role(env), holder=this_process(holder), clock=clock, options=options)
    return EngineHost(log, env=env, clock=clock, election=election)
