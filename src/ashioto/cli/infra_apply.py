"""`rc infra apply`: makes topics, queries and heartbeat specs as they are declared."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003  # typer reads it
from typing import TYPE_CHECKING, Annotated, Final

import typer

if TYPE_CHECKING:
    from ashioto.cli.project import Project
    from ashioto.deploy.apply import Outcome
    from ashioto.deploy.plan import Request
    from ashioto.deploy.plan_file import SavedPlan

SERVER_S: Final = 120.0
"""How long queries of a server may take until they make progress, seconds: it may have to read all ticks first."""


def apply(
    *,
    context: Annotated[list[str] | None, typer.Option(help="Only this one; may be given again. All without.")] = None,
    plan_file: Annotated[
        Path | None, typer.Option(help="Do exactly what this plan of `rc infra plan` says, or nothing.")
    ] = None,
    allow_delete: Annotated[
        list[str] | None, typer.Option(help="A topic that may be deleted with all its records; may be given again.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Make topics, queries and heartbeat specs as declared; a second time there is nothing to do."""
    from ashioto.cli.infra_target import target_of
    from ashioto.cli.project import open_project
    from ashioto.clock import SystemClock
    from ashioto.control.election import LeaseElection
    from ashioto.control.processes import this_process
    from ashioto.control.roles import infra_role
    from ashioto.deploy.apply import LOCK, ApplyOptions
    from ashioto.deploy.apply import apply as apply_now
    from ashioto.deploy.explain import line

    project = open_project()
    target = target_of(project, SystemClock())
    request, saved = _asked(project, context, allow_delete, plan_file)
    lock = LeaseElection(
        target.log, infra_role(target.env), holder=this_process(), clock=target.clock, options=LOCK
    )  # fmt: skip
    options = (
        ApplyOptions() if target.engine.kind == "embedded" else ApplyOptions(verify_timeout_s=SERVER_S, poll_s=0.5)
    )
    done = apply_now(
        request, target, lock, saved=saved, options=options, tell=lambda s: None if as_json else typer.echo(line(s))
    )  # fmt: skip
    _print(done, as_json=as_json)


def _asked(
    project: Project, context: list[str] | None, allow_delete: list[str] | None, plan_file: Path | None
) -> tuple[Request, SavedPlan | None]:
    from ashioto.cli.infra_target import request_of
    from ashioto.deploy.plan_file import read_plan
    from ashioto.errors import UsageError

    if plan_file is None:
        return request_of(project, context, allow_delete), None
    if context or allow_delete:
        raise UsageError(
            "--plan-file goes without --context and --allow-delete: the plan says them",
            hint="give them to rc infra plan",
        )
    saved = read_plan(plan_file)
    return request_of(project, saved.contexts, saved.allow_delete), saved


def _print(done: Outcome, *, as_json: bool) -> None:
    from ashioto.cli.infra_target import plan_json, print_changes

    if as_json:
        import json

        typer.echo(json.dumps(plan_json(done.plan) | {"notes": list(done.notes)}, ensure_ascii=False, indent=1))
        return
    if done.plan.steps:
        print_changes(done.plan.made, title="applied")
    else:
        typer.echo("nothing to do")
    for note in done.notes:
        typer.echo(note)
