"""What the commands `rc infra …` share: where they apply to, what they were asked for, and how plans are printed."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ashioto.cli.project import Project
    from ashioto.clock import Clock
    from ashioto.context import Context
    from ashioto.deploy.changes import AnyChange
    from ashioto.deploy.plan import Plan, Request
    from ashioto.deploy.target import DeployLog, Target
    from ashioto.log.base import Log


def target_of(project: Project, clock: Clock) -> Target:
    """Return where a project is applied to.

    Args:
        project: The project.
        clock: Stamps records, and waits.

    Raises:
        UnsupportedError: Its log or its engine cannot be applied to by this version.
        ConfigError: A file of a secret cannot be read.
        EngineError: A certificate for its engine cannot be used.
    """
    from ashioto.deploy.target import Target
    from ashioto.engines.opening import open_engine

    config = project.config
    log, env = deploy_log(project.log), (config.project.env, config.project.cluster)
    return Target(log=log, engine=open_engine(config, log, env, clock), env=env, clock=clock)


def deploy_log(log: Log) -> DeployLog:
    """Return a log as one that also changes topics and keeps leases.

    Raises:
        UnsupportedError: It does not.
    """
    from ashioto.errors import UnsupportedError

    missing = [name for name in ("topics", "alter", "delete", "lease", "change_lease") if not hasattr(log, name)]
    if missing:
        raise UnsupportedError(f"{type(log).__name__} cannot be applied to", hint='set log.kind = "embedded"')
    return cast("DeployLog", log)


def embedded_target(log: DeployLog, env: tuple[str, str], clock: Clock) -> Target:
    """Return where something is applied to that the embedded engine runs.

    Args:
        log: Keeps everything.
        env: Environment and cluster.
        clock: Stamps records, and waits.
    """
    from ashioto.deploy.target import Target
    from ashioto.engines.opening import open_embedded

    return Target(log=log, engine=open_embedded(log, env, clock), env=env, clock=clock)


def chosen(project: Project, names: Sequence[str] | None) -> list[Context]:
    """Return the contexts of these names; all without names.

    Raises:
        UsageError: There is no such context.
    """
    return [project.context(name) for name in dict.fromkeys(names)] if names else list(project.contexts)


def request_of(project: Project, names: Sequence[str] | None, allow_delete: Sequence[str] | None) -> Request:
    """Return what a command was asked to apply.

    Args:
        project: The project.
        names: Of contexts; all without.
        allow_delete: Topics that may be deleted.

    Raises:
        UsageError: There is no such context.
    """
    from ashioto.deploy.plan import Request

    return Request(
        contexts=chosen(project, names),
        partitions=project.config.log.partitions,
        allow_delete=tuple(dict.fromkeys(allow_delete or ())),
    )


def plan_json(plan: Plan) -> dict[str, object]:
    """Return a plan for programs: its changes, and the steps that make them."""
    from ashioto.deploy.explain import explain

    return {"changes": [change.row() for change in plan.changes], "steps": explain(plan.steps)}


def print_changes(changes: Sequence[AnyChange], *, title: str) -> None:
    """Print changes as a table for people, with hints below."""
    import typer

    from ashioto.cli.output import print_rows

    if changes:
        rows = [{n: v for n, v in change.row().items() if n != "hint"} for change in changes]
        print_rows(rows, title=title, as_json=False)
    for change in changes:
        if change.hint:
            typer.echo(f"{change.object}: {change.hint}")
