"""`rc bars read`: bars of a range, as a table or JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    import pyarrow as pa

    from ashioto.bars.timebucket import BarTable

DEFAULT_ROWS = 20
SHOWN = 8
"""How many series a hint names."""
HIDDEN = ("bucket_end", "first_at", "first_seq", "last_at", "last_seq", "source_cut", "origin")
"""Columns that people are spared; JSON has them all."""


def read(
    bar: Annotated[str, typer.Argument(help="Kind of bars, e.g. RateBar1m.")],
    *,
    key: Annotated[list[str] | None, typer.Option(help="column=value; once a key column.")] = None,
    start: Annotated[str | None, typer.Option("--from", help="First bucket start, ISO; UTC unless it says.")] = None,
    end: Annotated[str | None, typer.Option("--to", help="Bucket starts before this.")] = None,
    limit: Annotated[
        int | None, typer.Option(min=1, help="At most so many of each series, the newest; 20 without a range.")
    ] = None,
    context: Annotated[str | None, typer.Option(help="Where the bars are declared.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Print bars, oldest first."""
    from ashioto.bars.timebucket import BarTable
    from ashioto.cli.output import print_rows
    from ashioto.cli.project import open_project, pairs, time_range
    from ashioto.dsl.bar import bind_bar

    begin, stop = time_range(start, end)
    project = open_project()
    (owner, kind), *_ = project.bars([bar], context)
    count = limit if limit or begin or stop else DEFAULT_ROWS
    table = BarTable(bind_bar(kind, context=owner), project.log)
    found = bars_of(table, pairs(key or [], option="--key"), begin, stop, count)
    shown = found if as_json else found.drop_columns([c for c in HIDDEN if c in found.column_names])
    print_rows(shown.to_pylist(), title=bar, as_json=as_json, empty=nothing(bar, start, end))


def nothing(bar: str, start: str | None, end: str | None) -> str:
    """Say that there are no bars, and of which range.

    >>> nothing("RateBar1m", "2025-01-06", None)
    'no RateBar1m from 2025-01-06'
    """
    bounds = [f" {word} {text}" for word, text in (("from", start), ("to", end)) if text is not None]
    return f"no {bar}{''.join(bounds)}" if bounds else f"no {bar} there yet: is `rc dev` running, are ticks sent?"


def bars_of(
    table: BarTable, key: dict[str, str], start: datetime | None, end: datetime | None, limit: int | None
) -> pa.Table:
    """Return the newest bars of some keys and a range, oldest first.

    Args:
        table: Where they are.
        key: Wanted value by key column; a range read when complete.
        start: First bucket start.
        end: Bucket starts before this.
        limit: At most so many of each key.

    Raises:
        UsageError: A key column is unknown.
        InputError: There are bars, but never were any of these keys.
    """
    import pyarrow as pa

    check_key(table.key_columns, key)
    series = _matching(table, key)
    parts = [table.read(*one, start=start, end=end, limit=limit, newest_first=True) for one in series]
    turned = [part.take(pa.array(range(part.num_rows - 1, -1, -1), pa.int64())) for part in parts]
    return pa.concat_tables(turned) if turned else table.read_all(limit=0)


def check_key(columns: Sequence[str], key: Mapping[str, str]) -> None:
    """Refuse `--key` options that name no key column.

    Raises:
        UsageError: A key column is unknown; names those there are.
    """
    from ashioto.errors import UsageError

    for name in key:
        if name not in columns:
            raise UsageError(f"--key: no key column {name!r}", hint=f"there are {', '.join(columns)}")


def _matching(table: BarTable, key: dict[str, str]) -> list[tuple[str, ...]]:
    """Return the series that have bars and these parts of a key."""
    if len(key) == len(table.key_columns):
        one = tuple(key[name] for name in table.key_columns)
        if table.latest(*one).num_rows:
            return [one]
    found = [tuple(row.values()) for row in table.newest().select(list(table.key_columns)).to_pylist()]
    wanted = [(table.key_columns.index(name), value) for name, value in key.items()]
    chosen = [one for one in found if all(one[place] == value for place, value in wanted)]
    if found and not chosen:
        from ashioto.errors import InputError

        known = ", ".join(" ".join(one) for one in found[:SHOWN]) + ", ..." * (len(found) > SHOWN)
        given = " ".join(f"{name}={value}" for name, value in key.items())
        raise InputError(f"there are no bars of {given}", hint=f"there are bars of {known}")
    return chosen
