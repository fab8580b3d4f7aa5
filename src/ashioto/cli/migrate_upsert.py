"""`rc migrate upsert`: finished bars from files, as bars of the project."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ashioto.migration.upsert import UpsertReport

Conflict = Literal["upsert", "skip", "error"]


def upsert(
    bars: Annotated[list[str], typer.Argument(help="Parquet or CSV files of bars; globs are fine.")],
    *,
    bar: Annotated[str, typer.Option(help="Kind of bars, e.g. RateBar5m.")],
    mapping: Annotated[
        str | None, typer.Option("--map", help="Mapping of the columns: a name of dict/migration_maps, or a file.")
    ] = None,
    key: Annotated[list[str] | None, typer.Option(help="column=value, for key columns the files have not.")] = None,
    conflict: Annotated[Conflict, typer.Option(help="What happens where another bar is there already.")] = "upsert",
    validate_schedule: Annotated[bool, typer.Option(help="Whether bars must lie in the sessions of their key.")] = True,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check all, say what would be, write nothing.")] = False,
    max_rate: Annotated[float | None, typer.Option(min=1, help="At most so many bars a second.")] = None,
    context: Annotated[str | None, typer.Option(help="Where the bars are declared.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Add finished bars from files; what is there already stays as it is."""
    from ashioto.bars.options import BarAddOptions
    from ashioto.bars.timebucket import BarTable
    from ashioto.cli.migrate_files import mapping_of, market_clock, reading_bar
    from ashioto.cli.output import json_line
    from ashioto.cli.project import open_project
    from ashioto.dsl.bar import bind_bar
    from ashioto.files.reading import open_files
    from ashioto.migration.upsert import BarUpsert

    project = open_project()
    (owner, kind), *_ = project.bars([bar], context)
    table = BarTable(bind_bar(kind, context=owner), project.log)
    used = mapping_of(table.binding, mapping, key or [], project.config.root)
    files = open_files(bars)
    options = BarAddOptions(conflict=conflict, validate_schedule=validate_schedule, max_rate=max_rate)
    with reading_bar(f"adding {bar}", sum(file.size for file in files)) as told:
        work = BarUpsert(table, files, used, told=told)
        report = work.run(options, dry_run=dry_run, clock=market_clock(project.log))
    if as_json:
        typer.echo(json_line(row_of(bar, report)))
        return
    for line in sentences(bar, report):
        typer.echo(line)


def row_of(bar: str, report: UpsertReport) -> dict[str, Any]:
    """Return a report for programs."""
    return {
        "bar": bar,
        "dry_run": report.dry_run,
        "written": report.added.written,
        "skipped": report.added.skipped,
        "conflicting": report.added.conflicting,
        "left_out": dict(report.left_out),
        "other_periods": report.other_periods,
        "rounded": dict(report.rounded),
    }


def sentences(bar: str, report: UpsertReport) -> Iterator[str]:
    """Yield a report for people.

    >>> from ashioto.bars.options import BarAddReport
    >>> from ashioto.migration.upsert import UpsertReport
    >>> list(sentences("RateBar1m", UpsertReport(added=BarAddReport(skipped=3))))
    ['nothing changed: all 3 RateBar1m are there already']
    """
    added = report.added
    would = "would write" if report.dry_run else "wrote"
    if report.is_unchanged:
        rest = " or in the way and stay" if added.conflicting else ""
        changed = "would change" if report.dry_run else "changed"
        yield f"nothing {changed}: all {added.rows:,} {bar} are there already{rest}"
    else:
        yield f"{would} {added.written:,} {bar}, {added.skipped:,} were left as they are"
    if added.conflicting:
        yield f"conflicting     {added.conflicting:,} met another bar"
    for reason, count in report.left_out.items():
        yield f"left out        {count:,} {reason}"
    if report.other_periods:
        yield f"left out        {report.other_periods:,} rows of other periods"
    for name, count in report.rounded.items():
        yield f"rounded         {count:,} values of {name} have more digits than are kept"
