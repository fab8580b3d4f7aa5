"""`rc migrate replay`: raw ticks of files into the bars of a query, or into its source."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003  # typer reads it
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ashioto.logical.nodes import Query
    from ashioto.migration.into_source import SendReport
    from ashioto.migration.replay import ReplayReport


def replay(
    files: Annotated[list[str], typer.Argument(help="Parquet or CSV files of ticks; globs are fine.")],
    *,
    query: Annotated[str | None, typer.Option(help="Whose bars, e.g. rate_bars; not needed if there is one.")] = None,
    context: Annotated[str | None, typer.Option(help="Where it is declared.")] = None,
    columns: Annotated[list[str] | None, typer.Option("--map", help="column=column of the file.")] = None,
    key: Annotated[list[str] | None, typer.Option(help="column=value, for columns the file has not.")] = None,
    start: Annotated[str | None, typer.Option("--from", help="Only ticks from this time on, ISO.")] = None,
    end: Annotated[str | None, typer.Option("--to", help="Only ticks before this time, ISO.")] = None,
    into_source: Annotated[bool, typer.Option("--into-source", help="Send the ticks into the source instead.")] = False,
    resume: Annotated[
        bool, typer.Option(help="Whether sending into the source goes on where it was cut off, and is done once.")
    ] = True,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Do everything but the writing.")] = False,
    max_rate: Annotated[float | None, typer.Option(min=1, help="Bars, or ticks into the source, a second.")] = None,
    rejects: Annotated[Path | None, typer.Option(help="Where to list bad rows, .csv or .parquet.")] = None,
    threads: Annotated[int, typer.Option(min=1, max=64, help="Threads that fold ticks.")] = 2,
    as_json: Annotated[bool, typer.Option("--json", help="Summary for programs.")] = False,
) -> None:
    """Replay ticks into bars: as the stream would have made them, merged with those it has."""
    from ashioto.cli.migrate_source import place_of, query_of, source_of, watching
    from ashioto.cli.output import json_line
    from ashioto.cli.project import open_project
    from ashioto.migration.into_source import SendOptions, send_into_source
    from ashioto.migration.replay import ReplayOptions
    from ashioto.migration.replay import replay as run

    project = open_project()
    plan = query_of(project, query, context)
    source = source_of(files, columns=columns, key=key, span=(start, end), threads=threads)
    place = place_of(project)
    with watching(source, rejects) as shown:
        if into_source:
            send = SendOptions(resume=resume, dry_run=dry_run, max_rate=max_rate, watching=shown.watching)
            sent = send_into_source(place, plan, source, send)
        else:
            made = run(
                place, plan, source,
                ReplayOptions(dry_run=dry_run, max_rate=max_rate, watching=shown.watching, wrote=shown.wrote),
            )  # fmt: skip
    if into_source:
        row, lines, notes = sent_json(sent), sent_lines(sent, dry_run=dry_run), sent_notes(sent)
    else:
        row, lines, notes = made_json(made), made_lines(made, plan, dry_run=dry_run), made_notes(made)
    for note in notes:
        typer.echo(note, err=True)
    for line in [json_line(row | {"dry_run": dry_run})] if as_json else lines:
        typer.echo(line)


def made_lines(report: ReplayReport, query: Query, *, dry_run: bool) -> Iterator[str]:
    """Yield what was done, for people."""
    from ashioto.cli.migrate_source import tell_ticks

    yield from tell_ticks(report.ticks)
    would = "would write" if dry_run else "wrote"
    bars = ", ".join(f"{p.kind} {report.written[p.kind]:,}" for p in query.frames if report.written[p.kind])
    yield f"{would:<15} {bars or 'nothing: every bar is there already as it should be'}"
    if report.merged:
        yield f"merged          {report.merged:,} of these with ticks of the stream"
    if report.replaced:
        yield f"replaced        {report.replaced:,} of these took the place of other bars with ticks"
    if report.equal.total():
        yield f"equal           {report.equal.total():,} bars were there already"
    if report.live.total():
        live = ", ".join(f"{kind} {count:,}" for kind, count in report.live.items())
        yield f"live            {live}: left out, they can still grow"


def made_notes(report: ReplayReport) -> Iterator[str]:
    """Yield what people should look at."""
    if report.live.total():
        yield "Hint: run this again when the live bars have ended; it adds what they lack and changes nothing else"
    if report.kept:
        yield (
            f"note: {report.kept:,} bars stay as they are, they hold these ticks already or cannot be taken apart\n"
            "Hint: --from and --to say that these ticks are all there are in between; rc migrate swap makes bars anew"
        )
    if report.ticks.in_stream and report.seams:
        from ashioto.schedule.sessions import time_text

        name, at = min(report.seams.items(), key=lambda seam: seam[1])
        keys, since = len(report.seams), time_text(at)
        yield f"note: the stream has the ticks of {keys:,} keys, those of {'/'.join(name)} from {since} on"


def made_json(report: ReplayReport) -> dict[str, object]:
    """Return what was done, for programs."""
    from ashioto.cli.migrate_source import ticks_json

    return {
        "job": report.job.id,
        "state": report.job.state,
        **ticks_json(report.ticks),
        "keys": report.keys,
        "written": dict(report.written),
        "equal": dict(report.equal),
        "merged": report.merged,
        "replaced": report.replaced,
        "live": dict(report.live),
        "kept": report.kept,
    }


def sent_lines(report: SendReport, *, dry_run: bool) -> Iterator[str]:
    """Yield what was sent, for people."""
    from ashioto.cli.migrate_source import tell_ticks

    if report.ticks is None:
        yield f"nothing to do   these ticks are in {report.topic} already; --no-resume sends them again"
        return
    yield from tell_ticks(report.ticks)
    if report.before:
        yield f"before          {report.before:,} rows were dealt with by an earlier run"
    yield f"{'would send' if dry_run else 'sent':<15} {report.sent:,} ticks to {report.topic}"


def sent_notes(report: SendReport) -> Iterator[str]:
    """Yield what people should look at."""
    if report.too_old:
        yield (
            f"warning: {report.too_old:,} ticks are older than the retention, the engine sends them to "
            f"{report.topic}_late\nHint: without --into-source they go straight into bars"
        )


def sent_json(report: SendReport) -> dict[str, object]:
    """Return what was sent, for programs."""
    from ashioto.cli.migrate_source import ticks_json

    read = {} if report.ticks is None else ticks_json(report.ticks)
    said = {"job": report.job.id, "state": report.job.state, "topic": report.topic, "sent": report.sent}
    return {**said, "before": report.before, "too_old": report.too_old, **read}
