"""`rc schedule check`: overlaps, empty sessions, how far ahead a schedule reaches, and whether its index agrees."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Annotated, Final

import typer

if TYPE_CHECKING:
    from datetime import date

    import pyarrow as pa

SOON_MS: Final = 7 * 86_400_000
_DAY_MS: Final = 86_400_000


def check(
    source: Annotated[
        str | None, typer.Argument(help="A file, or a calendar such as XNYS; without, the project's schedule.")
    ] = None,
    *,
    start: Annotated[str | None, typer.Option("--from", help="First market date; calendars need it.")] = None,
    end: Annotated[str | None, typer.Option("--to", help="Last market date; calendars need it.")] = None,
    key: Annotated[list[str] | None, typer.Option(help="column=value: only these.")] = None,
    context: Annotated[str | None, typer.Option(help="Where the schedule is declared.")] = None,
    fix: Annotated[bool, typer.Option("--fix", help="Write what the schedule index lacks.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Find overlapping and empty sessions, and say how far ahead each key reaches; exit code 1 if any is wrong.

    The index of the project's schedule, where it has one, is compared with all of it.
    """
    from ashioto.cli.output import print_rows
    from ashioto.cli.project import day_range, pairs
    from ashioto.cli.schedule_source import load_rows
    from ashioto.clock import SystemClock
    from ashioto.errors import UsageError

    first, last = day_range(start, end)
    if fix and source is not None:
        raise UsageError("--fix is for the schedule of the project", hint=f"leave {source} out")
    names, rows = load_rows(source, pairs(key or [], option="--key"), context, first, last)
    found = findings(names, between(rows, first, last), SystemClock().now_ms())
    print_rows(found, title=source or "schedule", as_json=as_json, empty="no sessions")
    wrong = not found or any(row["overlapping"] or row["empty"] for row in found)
    if source is None:
        wrong = not _index_holds(context, fix=fix) or wrong
    if wrong:
        raise typer.Exit(1)


def _index_holds(context: str | None, *, fix: bool) -> bool:
    """Say how the index of the project's schedule differs from it, make it right if wanted, return whether it is."""
    from ashioto.cli.project import open_project
    from ashioto.engines.sql.index import difference, index_batches, index_of, index_partitions
    from ashioto.errors import ScheduleError

    project = open_project()
    owner = project.context(context)
    index = index_of(owner.name, project.schedule(owner))
    partitions = None if index is None else index_partitions(project.log, index)
    if index is None or partitions is None:
        if fix:
            typer.echo("this schedule has no index: only engines that speak SQL need one", err=True)
        return True
    try:
        found = difference(project.log, index)
    except ScheduleError:
        typer.echo(f"{index.topic} cannot be compared before the sessions hold together", err=True)
        return False
    if not found.rows:
        return True
    if fix:
        project.log.append(index_batches(index, found.rows, partitions))
        typer.echo(f"{index.topic}: {len(found.rows):,} rows written; were {found.said}", err=True)
        return True
    typer.echo(f"{index.topic} differs from its schedule: {found.said}", err=True)
    typer.echo("Hint: rc schedule check --fix", err=True)
    return False


def between(rows: pa.Table, first: date | None, last: date | None) -> pa.Table:
    """Return the sessions of some market dates, both ends included.

    Args:
        rows: Sessions with a market_date.
        first: First date; None is the beginning.
        last: Last date; None is the end.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    for bound, holds in ((first, pc.greater_equal), (last, pc.less_equal)):
        if bound is not None:
            rows = rows.filter(holds(rows["market_date"], pa.scalar(bound, pa.date32())))
    return rows


def findings(names: tuple[str, ...], rows: pa.Table, now_ms: int) -> list[dict[str, object]]:
    """Return what is wrong with each key of a schedule, and how far it reaches.

    Args:
        names: The key columns.
        rows: Keys, open, close and market_date; equal rows count once.
        now_ms: Today, UTC milliseconds.
    """
    from ashioto.schema.arrow import int64_view

    rows = rows.group_by([*names, "open", "close", "market_date"]).aggregate([])
    rows = rows.sort_by([(name, "ascending") for name in (*names, "open", "close")]).combine_chunks()
    keys = list(zip(*(rows[name].to_pylist() for name in names), strict=True)) if names else [()] * rows.num_rows
    opens, closes = int64_view(rows["open"]).tolist(), int64_view(rows["close"]).tolist()
    of_key: dict[tuple[str, ...], list[tuple[int, int]]] = {}
    for one, opened, closed in zip(keys, opens, closes, strict=True):
        of_key.setdefault(one, []).append((opened, closed))
    return [_finding(names, one, sessions, now_ms) for one, sessions in of_key.items()]


def _finding(
    names: tuple[str, ...], key: tuple[str, ...], sessions: list[tuple[int, int]], now_ms: int
) -> dict[str, object]:
    from ashioto.schedule.sessions import time_text

    empty = [opened for opened, closed in sessions if opened >= closed]
    whole = [one for one in sessions if one[0] < one[1]]
    overlapping = [after[0] for before, after in pairwise(whole) if after[0] < before[1]]
    reach = max(closed for _, closed in sessions)
    ahead = (reach - now_ms) // _DAY_MS
    notes = [f"overlap at {time_text(overlapping[0])}"] if overlapping else []
    notes += [f"empty at {time_text(empty[0])}"] if empty else []
    notes += ["has ended"] if reach <= now_ms else ["ends soon"] if reach < now_ms + SOON_MS else []
    return {
        **dict(zip(names, key, strict=True)),
        "sessions": len(sessions),
        "overlapping": len(overlapping),
        "empty": len(empty),
        "reaches": time_text(reach),
        "days_ahead": max(ahead, 0),
        "note": "; ".join(notes) or "ok",
    }
