"""`rc migrate swap`: bars made anew from ticks, compared, and only the difference applied."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ashioto.migration.swap import ChangedBar, SwapReport

DIFFERENT = 3
_SHOWN_DAYS = 40


def swap(
    *,
    from_ticks: Annotated[list[str], typer.Option("--from-ticks", help="Parquet or CSV files of ticks; globs too.")],
    query: Annotated[str | None, typer.Option(help="Whose bars, e.g. rate_bars; not needed if there is one.")] = None,
    context: Annotated[str | None, typer.Option(help="Where it is declared.")] = None,
    columns: Annotated[list[str] | None, typer.Option("--map", help="column=column of the file.")] = None,
    key: Annotated[list[str] | None, typer.Option(help="column=value, for columns the file has not.")] = None,
    start: Annotated[str | None, typer.Option("--from", help="From the bucket that begins here on, ISO.")] = None,
    end: Annotated[str | None, typer.Option("--to", help="Until the bucket that ends here, ISO.")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Apply the difference without asking.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the difference and change nothing.")] = False,
    undo_dir: Annotated[Path, typer.Option(help="Folder of the undo file.")] = Path(),
    max_rate: Annotated[float | None, typer.Option(min=1, help="Bars a second at most.")] = None,
    rejects: Annotated[Path | None, typer.Option(help="Where to list bad rows, .csv or .parquet.")] = None,
    threads: Annotated[int, typer.Option(min=1, max=64, help="Threads that fold ticks.")] = 2,
    as_json: Annotated[bool, typer.Option("--json", help="Summary for programs.")] = False,
) -> None:
    """Make bars anew from ticks beside those that are there, and apply only what differs.

    An undo file is written before the first bar is changed. Exit code 3: there is a difference and it was not applied.
    """
    from ashioto.cli.migrate_source import place_of, query_of, source_of, watching
    from ashioto.cli.output import json_line
    from ashioto.cli.project import open_project
    from ashioto.migration.swap import SwapOptions
    from ashioto.migration.swap import swap as run

    project = open_project()
    plan = query_of(project, query, context)
    source = source_of(from_ticks, columns=columns, key=key, span=(start, end), threads=threads)
    check_folder(undo_dir)

    def agreed(report: SwapReport) -> bool:
        if as_json:
            return yes and not dry_run
        with shown.asking():
            show_difference(report)
            return not dry_run and (yes or _asked(f"apply this to {report.differs:,} bars?"))

    with watching(source, rejects) as shown:
        options = SwapOptions(
            folder=undo_dir, agreed=agreed, max_rate=max_rate, watching=shown.watching, wrote=shown.wrote
        )  # fmt: skip
        report = run(place_of(project), plan, source, options)
    for line in [json_line(swap_json(report))] if as_json else outcome(report):
        typer.echo(line)
    if report.differs and not report.applied:
        raise typer.Exit(DIFFERENT)


def check_folder(folder: Path) -> None:
    """Refuse a folder that undo files cannot be written into.

    Raises:
        InputError: It is not there, or nothing may be written into it.
    """
    from ashioto.files.writing import check_target

    check_target(folder / "undo.parquet")


def show_difference(report: SwapReport) -> None:
    """Print how many bars differ by key and day, and the first of them."""
    from ashioto.cli.migrate_source import tell_ticks
    from ashioto.cli.output import print_rows

    for line in tell_ticks(report.ticks):
        typer.echo(line)
    days = day_rows(report)
    print_rows(days[:_SHOWN_DAYS], title="bars that differ", as_json=False)
    if len(days) > _SHOWN_DAYS:
        typer.echo(f"… and {len(days) - _SHOWN_DAYS:,} more lines")
    print_rows([first_row(bar) for bar in report.first], title="the first of them", as_json=False)


def day_rows(report: SwapReport) -> list[dict[str, object]]:
    """Return how many bars differ by key, market date and frame."""
    places = sorted({*report.added, *report.changed, *report.removed}, key=lambda place: (place[1], place[2], place[0]))
    return [
        {
            "key": "/".join(place[1]),
            "market_date": place[2],
            "frame": place[0],
            "added": report.added[place],
            "changed": report.changed[place],
            "removed": report.removed[place],
        }
        for place in places
    ]


def first_row(bar: ChangedBar) -> dict[str, object]:
    """Return a bar that differs, in words."""
    from ashioto.cli.output import text

    values = ", ".join(f"{name} {text(was) or '-'} → {text(now) or '-'}" for name, (was, now) in bar.columns.items())
    return {
        "frame": bar.frame,
        "key": "/".join(bar.key),
        "bucket_start": bar.start,
        "is": bar.change,
        "columns": values,
    }


def outcome(report: SwapReport) -> Iterator[str]:
    """Yield what was done, for people."""
    if report.live:
        yield f"live            {report.live:,} bars can still grow and are left alone"
    if report.kept:
        yield f"kept            {report.kept:,} bars hold what cannot be taken apart and are left alone"
    if not report.differs:
        yield f"nothing to do   {report.equal:,} bars are as these ticks make them"
    elif report.applied:
        yield f"changed         {report.differs:,} bars; {report.equal:,} were as they should be"
        yield f"undo            rc migrate undo {report.undo_file}"
    else:
        yield f"not applied     {report.differs:,} bars differ, nothing was changed"


def swap_json(report: SwapReport) -> dict[str, object]:
    """Return the difference and what was done, for programs."""
    from ashioto.cli.migrate_source import ticks_json
    from ashioto.cli.output import plain

    first = [
        {
            "frame": bar.frame,
            "key": list(bar.key),
            "bucket_start": plain(bar.start),
            "change": bar.change,
            "columns": {name: [plain(was), plain(now)] for name, (was, now) in bar.columns.items()},
        }
        for bar in report.first
    ]
    return {
        "job": report.job.id,
        **ticks_json(report.ticks),
        "equal": report.equal,
        "added": report.added.total(),
        "changed": report.changed.total(),
        "removed": report.removed.total(),
        "live": report.live,
        "kept": report.kept,
        "days": day_rows(report),
        "first": first,
        "applied": report.applied,
        "undo_file": None if report.undo_file is None else str(report.undo_file),
    }


def _asked(question: str) -> bool:
    """Ask, where somebody can answer; else the answer is no."""
    import sys

    return sys.stdin.isatty() and typer.confirm(question)
