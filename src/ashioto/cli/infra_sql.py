"""`rc infra sql`: the statements that make the engine run what is declared."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, cast

import typer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ashioto.cli.project import Project
    from ashioto.control.applied import Registration
    from ashioto.deploy.changes import Row


def sql(
    *,
    context: Annotated[list[str] | None, typer.Option(help="Only this one; may be given again. All without.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Print the statements of every declared query, secrets left out; asks no engine and changes nothing."""
    from ashioto.cli.infra_target import chosen, deploy_log
    from ashioto.cli.project import open_project
    from ashioto.clock import SystemClock
    from ashioto.deploy.declared import declared_versions
    from ashioto.engines.opening import open_engine

    project = open_project()
    config, contexts = project.config, chosen(project, context)
    env = (config.project.env, config.project.cluster)
    engine = open_engine(config, deploy_log(project.log), env, SystemClock(), preflight=False)
    versions = declared_versions(contexts, _recorded(project, [c.name for c in contexts]), engine=engine.kind)
    rows: list[Row] = [
        {"query": f"{v.context}.{v.query}", "name": v.name, "engine": engine.kind, "statements": engine.compile(v)}
        for v in versions
    ]
    if as_json:
        import json

        typer.echo(json.dumps(rows, ensure_ascii=False, indent=1))
    else:
        _print(rows)


def _recorded(project: Project, names: Sequence[str]) -> list[Registration]:
    """Return what is recorded of contexts; nothing where the log does not answer, which is told."""
    from ashioto.control.applied import registrations
    from ashioto.errors import LogBusyError, UnknownTopicError

    env = (project.config.project.env, project.config.project.cluster)
    try:
        return [r for name in names for r in registrations(project.log, env, name)]
    except UnknownTopicError:
        return []
    except LogBusyError as error:
        typer.echo(f"versions are those of a first apply: {error.message}", err=True)
        return []


def _print(rows: Sequence[Row]) -> None:
    if not rows:
        typer.echo("no query is declared")
    for row in rows:
        typer.echo(f"-- {row['query']}: {row['name']}")
        for statement in cast("list[str]", row["statements"]):
            typer.echo(statement)
        typer.echo("")
