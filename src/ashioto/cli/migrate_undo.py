"""`rc migrate undo`: bars back as they were before a swap."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003  # typer reads it
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ashioto.migration.undo import UndoReport


def undo(
    file: Annotated[Path, typer.Argument(help="The undo file that rc migrate swap has written.")],
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would change, and change nothing.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Put back bars that somebody has changed since, too.")] = False,
    max_rate: Annotated[float | None, typer.Option(min=1, help="Bars a second at most.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Summary for programs.")] = False,
) -> None:
    """Put everything back that a swap has changed."""
    from ashioto.cli.migrate_source import place_of, query_of
    from ashioto.cli.output import json_line
    from ashioto.cli.project import open_project
    from ashioto.migration.undo import UndoOptions
    from ashioto.migration.undo import undo as run
    from ashioto.migration.undo_file import UndoFile

    project = open_project()
    found = UndoFile(file)
    plan = query_of(project, found.label.query, found.label.context)
    options = UndoOptions(agreed=lambda _: not dry_run, force=force, max_rate=max_rate)
    report = run(place_of(project), plan, found, options)
    for line in [json_line(undo_json(report))] if as_json else undo_lines(report, dry_run=dry_run):
        typer.echo(line)


def undo_lines(report: UndoReport, *, dry_run: bool) -> Iterator[str]:
    """Yield what was done, for people."""
    if not report.differs:
        yield f"nothing to do   {report.already:,} bars are as they were"
        return
    for kind, count in (report.back + report.deleted).items():
        would = "would put back" if dry_run else "put back"
        yield f"{would:<15} {kind} {count:,}, {report.deleted[kind]:,} of them had not been there and go"
    if report.already:
        yield f"as they were    {report.already:,}"
    if report.others:
        yield f"forced          {report.others:,} that somebody had changed since"


def undo_json(report: UndoReport) -> dict[str, object]:
    """Return the same for programs."""
    return {
        "back": dict(report.back),
        "deleted": dict(report.deleted),
        "already": report.already,
        "others": report.others,
        "applied": report.applied,
    }
