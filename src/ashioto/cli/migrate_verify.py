"""`rc migrate verify`: whether the bars in the log are those of files."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003  # typer reads it
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ashioto.migration.expected import FileVerification
    from ashioto.migration.verify import Verification

DIFFERENT: Final = 3
_SHOWN: Final = 20
_ROWS: Final = 40
"""Series that the picture in a terminal has room for."""
_NAMED: Final = 5


def verify(
    expected: Annotated[list[str], typer.Argument(help="Parquet or CSV files of bars; globs are fine.")],
    *,
    bar: Annotated[str, typer.Option(help="Kind of bars, e.g. RateBar1m.")],
    mapping: Annotated[
        str | None, typer.Option("--map", help="Mapping of the columns: a name of dict/migration_maps, or a file.")
    ] = None,
    key: Annotated[list[str] | None, typer.Option(help="column=value, for key columns the files have not.")] = None,
    start: Annotated[str | None, typer.Option("--from", help="First bucket start, ISO; UTC unless it says.")] = None,
    end: Annotated[str | None, typer.Option("--to", help="Bucket starts before this.")] = None,
    columns: Annotated[str | None, typer.Option(help="Compare these, e.g. open,close; else those both have.")] = None,
    context: Annotated[str | None, typer.Option(help="Where the bars are declared.")] = None,
    out: Annotated[Path | None, typer.Option(help="Draw series by day here: .png or .html.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Compare bars of files with those in the log; exit code 3 if they differ."""
    from ashioto.bars.timebucket import BarTable
    from ashioto.cli.migrate_files import mapping_of, reading_bar
    from ashioto.cli.project import open_project, time_range
    from ashioto.dsl.bar import bind_bar
    from ashioto.errors import UsageError
    from ashioto.files.reading import open_files
    from ashioto.migration.expected import Wanted, verify_files

    if out is not None and out.suffix.lower() not in {".png", ".html"}:
        raise UsageError(f"--out {out}: no .png or .html", hint="e.g. --out equality.html, to look around in")
    begin, stop = time_range(start, end)
    project = open_project()
    (owner, kind), *_ = project.bars([bar], context)
    table = BarTable(bind_bar(kind, context=owner), project.log)
    used = mapping_of(table.binding, mapping, key or [], project.config.root)
    files = open_files(expected)
    wanted = Wanted(
        start=None if begin is None else round(begin.timestamp() * 1000),
        end=None if stop is None else round(stop.timestamp() * 1000),
        columns=None if columns is None else tuple(name.strip() for name in columns.split(",")),
    )
    with reading_bar(f"reading {bar}", sum(file.size for file in files)) as told:
        found = verify_files(table, files, used, wanted, told=told)
    if out is not None and found.verification.bars:
        from ashioto.charts.equality import equality_of, write_equality

        write_equality(equality_of(found.verification.by_day), out, title=f"{bar}: equal bars by series and day")
    tell(bar, found, out, as_json=as_json)
    if not found.verification.is_equal:
        raise typer.Exit(DIFFERENT)


def tell(bar: str, found: FileVerification, out: Path | None, *, as_json: bool) -> None:
    """Print what was found: a summary, the first bars that differ, series by day.

    Args:
        bar: Kind of bars.
        found: What was found.
        out: Where the picture is.
        as_json: For programs.
    """
    from ashioto.cli.output import show, table_of

    if as_json:
        import json

        typer.echo(json.dumps(report(bar, found), ensure_ascii=False))
        return
    for line in summary(bar, found):
        typer.echo(line)
    differences = found.verification.differences[:_SHOWN]
    if differences:
        rows = [
            {"series": " ".join(one.key.values()), "bucket_start": one.start, "bar": one.words} for one in differences
        ]
        show(table_of(rows, title="first bars that differ"))
    _picture(found.verification)
    if out is not None:
        typer.echo(f"drew {out}" if found.verification.bars else "there is nothing to draw")


def summary(bar: str, found: FileVerification) -> Iterator[str]:
    """Yield the summary for people."""
    result = found.verification
    yield f"{bar}: {percent(result)} of {result.bars:,} bars are equal"
    yield f"expected    {result.expected:,}"
    yield f"actual      {result.actual:,}"
    for name in ("missing", "extra", "unequal"):
        yield f"{name:<10}  {getattr(result, name):,}"
    for name, side in (("twice_expected", "in the files"), ("twice_actual", "in the log")):
        if getattr(result, name):
            yield f"twice       {getattr(result, name):,} rows {side} name a bar again; the first counted"
    if result.differing:
        yield f"differing   {', '.join(f'{name} {count:,}' for name, count in result.differing.items())}"
    yield f"compared    {', '.join(result.columns) or 'nothing but which bars there are'}"
    if result.left_out:
        yield f"not         {'; '.join(left_out(result))}"
    if found.other_periods:
        yield f"left out    {found.other_periods:,} rows of other periods"
    if found.others:
        names = ", ".join(" ".join(one) for one in found.others[:_NAMED]) + ", ..." * (len(found.others) > _NAMED)
        yield f"left out    {len(found.others):,} series of the log that are in no file: {names}"
    for name, count in found.rounded.items():
        yield f"rounded     {count:,} values of {name} have more digits than are kept"


def left_out(result: Verification) -> Iterator[str]:
    """Yield the columns that were not compared, by reason."""
    for reason in dict.fromkeys(result.left_out.values()):
        yield f"{', '.join(name for name, why in result.left_out.items() if why == reason)} ({reason})"


def percent(result: Verification) -> str:
    """Return the equality rate; 100 % and 0 % are said of nothing less and nothing more."""
    if result.equal in {0, result.bars}:
        return f"{result.rate:.0%}".replace("%", " %")
    return f"{min(max(result.rate * 100, 0.01), 99.99):.2f} %"


def report(bar: str, found: FileVerification) -> dict[str, Any]:
    """Return everything for programs."""
    from ashioto.cli.output import plain

    result = found.verification
    differences = [
        {
            "kind": one.kind,
            **one.key,
            "bucket_start": plain(one.start),
            "columns": {
                name: {"expected": plain(mine), "actual": plain(its)} for name, (mine, its) in one.columns.items()
            },
        }
        for one in result.differences
    ]
    by_day = [{name: plain(value) for name, value in row.items()} for row in result.by_day.to_pylist()]
    return {
        "bar": bar,
        **result.row(),
        "other_periods": found.other_periods,
        "series_not_compared": [list(one) for one in found.others],
        "rounded": dict(found.rounded),
        "differences": differences,
        "by_day": by_day,
    }


def _picture(result: Verification) -> None:
    from rich.console import Console

    from ashioto.charts.equality import equality_of, terminal_lines

    if not result.bars:
        return
    console = Console()
    typer.echo("equal bars by series and UTC day")
    for line in terminal_lines(equality_of(result.by_day), width=min(console.width, 120), rows=_ROWS):
        console.print(line, no_wrap=True, soft_wrap=True)
