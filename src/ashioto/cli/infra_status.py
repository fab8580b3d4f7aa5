"""`rc infra status`: whether what is there is what was applied, and whether it works."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

import typer

if TYPE_CHECKING:
    from ashioto.clock import Clock
    from ashioto.log.base import Log

DRIFT: Final = 3


def status(
    *,
    context: Annotated[list[str] | None, typer.Option(help="Only this one; may be given again. All without.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Compare what was applied with what is there; exit code 3 if anything is missing, differs or does not work."""
    from ashioto.cli.infra_target import chosen, target_of
    from ashioto.cli.output import print_rows
    from ashioto.cli.project import open_project
    from ashioto.clock import SystemClock
    from ashioto.deploy.status import status as found_status

    project = open_project()
    clock = SystemClock()
    target = target_of(project, clock)
    names = [one.name for one in chosen(project, context)]
    found = found_status(
        target, names, now_ms=_now_ms(project.log, clock), partitions=project.config.log.partitions
    )  # fmt: skip
    print_rows([finding.row() for finding in found], title="status", as_json=as_json)
    if any(finding.state != "ok" for finding in found):
        raise typer.Exit(DRIFT)


def _now_ms(log: Log, clock: Clock) -> int:
    """Return the time that heartbeats go by: that of a replay where one was announced."""
    from ashioto.cli.replay import reached

    market = reached(log)
    return clock.now_ms() if market is None else market
