"""`rc infra plan`: what `rc infra apply` would do."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003  # typer reads it
from typing import TYPE_CHECKING, Annotated, Final

import typer

if TYPE_CHECKING:
    from ashioto.deploy.plan import Plan

CHANGES: Final = 3


def plan(
    *,
    context: Annotated[list[str] | None, typer.Option(help="Only this one; may be given again. All without.")] = None,
    plan_file: Annotated[Path | None, typer.Option(help="Save the plan here, for `rc infra apply`.")] = None,
    allow_delete: Annotated[
        list[str] | None, typer.Option(help="A topic that may be deleted with all its records; may be given again.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Say what apply would do; writes nothing. Exit code 0 nothing to do, 3 there are changes, 4 one is blocked."""
    from ashioto.cli.infra_target import plan_json, request_of, target_of
    from ashioto.cli.project import open_project
    from ashioto.clock import SystemClock
    from ashioto.deploy.plan import make_plan
    from ashioto.deploy.plan_file import saved_plan, write_plan
    from ashioto.errors import BlockedError

    project = open_project()
    target = target_of(project, SystemClock())
    request = request_of(project, context, allow_delete)
    made = make_plan(request, target)
    if as_json:
        import json

        typer.echo(json.dumps(plan_json(made), ensure_ascii=False, indent=1))
    else:
        _print(made)
    if made.blocked:
        raise typer.Exit(BlockedError.exit_code)
    if plan_file is not None:
        write_plan(plan_file, saved_plan(made, target, allow_delete=request.allow_delete))
        typer.echo(f"saved: rc infra apply --plan-file {plan_file}", err=True)
    if made.steps:
        raise typer.Exit(CHANGES)


def _print(made: Plan) -> None:
    from ashioto.cli.infra_target import print_changes
    from ashioto.cli.output import print_rows
    from ashioto.deploy.explain import explain

    print_changes([change for change in made.changes if change.gravity != "no-op" or change.reason], title="changes")
    if made.blocked:
        typer.echo(f"{len(made.blocked)} blocked, so nothing would be done")
    else:
        print_rows(explain(made.steps), title="steps", as_json=False, empty="nothing to do")
