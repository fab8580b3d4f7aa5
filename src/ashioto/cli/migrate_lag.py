"""`rc migrate lag`: how far the engine is behind the ticks, and when it will have caught up."""

from __future__ import annotations

from contextlib import suppress
from itertools import chain
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from ashioto.cli.project import Project
    from ashioto.clock import Clock
    from ashioto.migration.lag import Lag, Served

NOTHING = "no query is registered: rc infra apply"


def lag(
    *,
    interval: Annotated[float, typer.Option(min=0, help="Seconds between two looks; 0 is one look.")] = 1.0,
    watch: Annotated[bool, typer.Option("--watch", help="Look again and again, until ^C.")] = False,
    seconds: Annotated[float | None, typer.Option(min=0, help="Stop watching after so long.")] = None,
    context: Annotated[str | None, typer.Option(help="Only of this context.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Show for each query and partition: ticks and seconds behind, ticks a second, time left."""
    from ashioto.cli.output import print_rows
    from ashioto.cli.project import open_project
    from ashioto.clock import SystemClock
    from ashioto.errors import UsageError
    from ashioto.migration.lag import follow, look_twice

    if watch and not interval:
        raise UsageError("--watch --interval 0 would never rest", hint="e.g. --interval 1")
    project = open_project()
    names = [c.name for c in project.contexts] if context is None else [project.context(context).name]
    env = (project.config.project.env, project.config.project.cluster)
    clock = SystemClock()
    served = served_by(project, clock)
    if not watch:
        found = look_twice(project.log, env, names, clock, interval, served=served)
        print_rows(rows_of(found, as_json=as_json), title="lag", as_json=as_json, empty=NOTHING)
        return
    looks = until(follow(project.log, env, names, clock, interval, served=served), clock, seconds)
    with suppress(KeyboardInterrupt):
        show_all(looks, as_json=as_json)


def served_by(project: Project, clock: Clock) -> Served | None:
    """Return what says how queries stand in a project's engine, where that is a server; None for the embedded one."""
    from ashioto.cli.infra_target import target_of
    from ashioto.engines.base import SQL_ENGINES

    if project.config.engine.kind not in SQL_ENGINES:
        return None
    engine = target_of(project, clock).engine
    return lambda one: next(iter(engine.inspect([one])), None)


def rows_of(found: Sequence[Lag], *, as_json: bool) -> list[dict[str, object]]:
    """Return what is printed; people are spared what no line has."""
    rows = [one.row() for one in found]
    if as_json:
        return rows
    told = [{**row, "eta_s": eta_text(one)} for row, one in zip(rows, found, strict=True)]
    bare = {"detail"} if not any(row["detail"] for row in told) else set()
    if not any(one.read_rate is not None for one in found):
        bare |= {"per_second", "eta_s"}
    renamed = {"eta_s": "time left", "per_second": "ticks/s", "seconds": "seconds"}
    return [{renamed.get(n, n): value for n, value in row.items() if n not in bare} for row in told]


def eta_text(one: Lag) -> str:
    """Return how long it will take, as people read it.

    >>> from ashioto.migration.lag import Lag
    >>> rates = {"read_rate": 1.0, "write_rate": 0.0}
    >>> eta_text(Lag(query="q", partition=0, read=0, end=7200, seconds=1.0, state="behind", **rates))
    '2:00:00'
    """
    from datetime import timedelta

    if one.read_rate is None:
        return ""
    return "never at this pace" if one.eta is None else str(timedelta(seconds=round(one.eta)))


def until(looks: Iterator[list[Lag]], clock: Clock, seconds: float | None) -> Iterator[list[Lag]]:
    """Yield looks until so many seconds have passed."""
    end = None if seconds is None else clock.monotonic() + seconds
    for found in looks:
        yield found
        if end is not None and clock.monotonic() >= end:
            return


def show_all(looks: Iterable[list[Lag]], *, as_json: bool) -> None:
    """Draw a table anew at each look, or print a line of JSON for each query and partition."""
    from rich.console import Console

    from ashioto.cli.output import json_line, print_rows, table_of

    console = Console()
    if as_json or not console.is_terminal:
        for found in looks:
            if as_json:
                for row in rows_of(found, as_json=True):
                    typer.echo(json_line(row))
            else:
                print_rows(rows_of(found, as_json=False), title="lag", as_json=False, empty=NOTHING)
        return
    from rich.live import Live

    looks = iter(looks)
    first = next(looks, [])
    with Live(console=console, auto_refresh=False) as live:
        for found in chain([first], looks):
            rows = rows_of(found, as_json=False)
            live.update(table_of(rows, title="lag (^C stops)") if rows else NOTHING, refresh=True)
