"""`rc infra acls`: the rights that each role needs on Kafka, printed or granted."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ashioto.cli.project import Project
    from ashioto.config import Config
    from ashioto.deploy.acls import Place, Right
    from ashioto.deploy.changes import Row
    from ashioto.log.kafka import KafkaLog
    from ashioto.log.kafka.grants import Grant


def acls(
    *,
    role: Annotated[
        list[str] | None,
        typer.Option(help="infra, hb, engine, app, migrate or viewer; may be given again. All without."),
    ] = None,
    principal: Annotated[str | None, typer.Option(help="Who plays the role, e.g. User:engine.")] = None,
    grant: Annotated[
        bool, typer.Option("--apply", help="Grant what is not granted yet; nothing is taken away.")
    ] = False,
    context: Annotated[list[str] | None, typer.Option(help="Only of this one; may be given again.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Print the rights that each role needs on Kafka, and not one more; with --apply, grant them."""
    from ashioto.cli.infra_target import chosen
    from ashioto.cli.output import print_rows
    from ashioto.cli.project import open_project
    from ashioto.deploy.acls import ROLES, rights

    project = open_project()
    log = kafka_of(project)
    _check(role, principal, grant=grant)
    found = rights(chosen(project, context), place_of(project.config), roles=role or ROLES)
    if not grant:
        rows = [right.row() | ({} if principal is None else {"principal": principal}) for right in found]
        print_rows(rows if as_json else _for_people(rows), title="rights", as_json=as_json)
        return
    rows = [asdict(made) for made in log.grants.grant(grants_of(found, str(principal)))]
    print_rows(rows if as_json else _for_people(rows), title="granted", as_json=as_json, empty="nothing to do")


def _for_people(rows: Sequence[Row]) -> list[Row]:
    from ashioto.keys import shown

    return [row | {"name": shown(str(row["name"]))} for row in rows]


def place_of(config: Config) -> Place:
    """Return where the rights of a project are given."""
    from ashioto.deploy.acls import Place
    from ashioto.engines.base import SQL_ENGINES

    kind = config.engine.kind
    return Place(
        env=(config.project.env, config.project.cluster), prefix=config.log.prefix, index=kind in SQL_ENGINES,
        flink=kind == "flink",
        ksqldb=kind == "ksqldb",
    )  # fmt: skip


def kafka_of(project: Project) -> KafkaLog:
    """Return the log of a project, which is on Kafka.

    Raises:
        UsageError: It is not.
    """
    from ashioto.errors import UsageError

    if project.config.log.kind == "kafka":
        from ashioto.log.kafka import KafkaLog

        if isinstance(project.log, KafkaLog):
            return project.log
    raise UsageError("the log is one file: who may read it may do everything", hint='for log.kind = "kafka"')


def grants_of(found: Sequence[Right], principal: str) -> list[Grant]:
    """Return rights as they are granted to somebody."""
    from ashioto.log.kafka.grants import Grant

    return [
        Grant(principal=principal, kind=r.kind, name=r.name, pattern=r.pattern, operation=r.operation) for r in found
    ]


def _check(role: list[str] | None, principal: str | None, *, grant: bool) -> None:
    from ashioto.errors import UsageError

    if grant and (not role or principal is None):
        raise UsageError(
            "--apply grants the rights of roles to somebody", hint="--role engine --principal User:engine --apply"
        )
    if principal is not None and ":" not in principal:
        raise UsageError(f"--principal {principal}: no principal", hint=f"e.g. User:{principal}")
