"""`rc bars tail`: bars as they grow and end."""

from __future__ import annotations

from collections import OrderedDict
from contextlib import suppress
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    import pyarrow as pa
    from rich.table import Table

    from ashioto.bars.timebucket import BarTable
    from ashioto.clock import Clock

POLL_SECONDS = 0.1
_LEFT_OUT = ("bucket_end", "market_date", "final", "synthetic", "first_at", "first_seq", "last_at", "last_seq",
             "source_cut", "origin")  # fmt: skip
_WORDS = ("bar", "series", "UTC", "state")

Row = dict[str, object]


def tail(
    *,
    bar: Annotated[list[str] | None, typer.Option(help="Kind of bars, e.g. RateBar1m; all without.")] = None,
    key: Annotated[list[str] | None, typer.Option(help="column=value: only these series.")] = None,
    once: Annotated[bool, typer.Option("--once", help="Print the newest bar of every series, and stop.")] = False,
    seconds: Annotated[float | None, typer.Option(min=0, help="Stop after so long; without, at ^C.")] = None,
    context: Annotated[str | None, typer.Option(help="Where the bars are declared.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> None:
    """Follow bars: live ones while they grow, final ones as they end."""
    import sys

    from ashioto.bars.timebucket import BarTable
    from ashioto.cli.bars_read import check_key
    from ashioto.cli.output import json_line
    from ashioto.cli.project import open_project, pairs
    from ashioto.clock import SystemClock
    from ashioto.dsl.bar import bind_bar

    project = open_project()
    kinds = project.bars(bar or [], context)
    tables = [BarTable(bind_bar(kind, context=owner), project.log) for owner, kind in kinds]
    wanted = pairs(key or [], option="--key")
    check_key([name for table in tables for name in table.key_columns], wanted)
    following = BarTail(tables, wanted)
    newest = following.newest()
    if not newest:
        typer.echo("no such bars yet" if once else "waiting for bars; ^C stops", err=True)
    if sys.stdout.isatty() and not as_json and not once:
        shown = partial(watch, following, SystemClock(), seconds)
    else:
        rows = newest if once else chain(newest, following.follow(SystemClock(), seconds))
        shown = partial(_print, rows, json_line if as_json else line_of)
    with suppress(KeyboardInterrupt):
        shown()


def _print(rows: Iterable[Row], form: Callable[[Row], str]) -> None:
    for row in rows:
        typer.echo(form(row))


class BarTail:
    """Reads what is written to some bar topics.

    Args:
        tables: The bars to follow, all in one log.
        keys: Wanted value by key column.

    >>> BarTail([], {}).newest()
    []
    """

    def __init__(self, tables: Sequence[BarTable], keys: Mapping[str, str]) -> None:
        self._tables = list(tables)
        self._keys = dict(keys)
        self._offsets = [table.log.end_offsets(table.binding.topic) for table in self._tables]

    def newest(self) -> list[Row]:
        """Return the newest bar of every series."""
        return [row for table in self._tables for row in self._rows(table, table.newest())]

    def poll(self) -> list[Row]:
        """Return the bars written since the last call, in the order of the log."""
        import pyarrow as pa

        found: list[Row] = []
        for table, offsets in zip(self._tables, self._offsets, strict=True):
            for partition, offset in offsets.items():
                part = table.log.read(table.binding.topic, partition, offset)
                if part is None:
                    continue
                offsets[partition] = part.next_offset
                data = part.data if part.tombstones is None else part.data.filter(pa.array(~part.tombstones))
                found += self._rows(table, table.as_read(data))
        return found

    def follow(self, clock: Clock, seconds: float | None) -> Iterator[Row]:
        """Yield each bar as it is written."""
        end = None if seconds is None else clock.monotonic() + seconds
        while end is None or clock.monotonic() < end:
            rows = self.poll()
            yield from rows
            if not rows:
                clock.sleep(POLL_SECONDS)

    def _rows(self, table: BarTable, bars: pa.Table) -> list[Row]:
        binding = table.binding
        name = f"{binding.query.entity.name}Bar{binding.period.kind}"
        return [
            {"bar": name, **row}
            for row in bars.to_pylist()
            if all(row.get(column) == value for column, value in self._keys.items())
        ]


def state_of(row: Mapping[str, object]) -> str:
    """Return live or final, and whether the bar had no ticks.

    >>> state_of({"final": True, "synthetic": True})
    'final, no ticks'
    """
    return ("final" if row["final"] else "live") + (", no ticks" if row["synthetic"] else "")


def short(row: Mapping[str, object]) -> Row:
    """Return what people look at: keys, time, selected columns, state.

    >>> short({"bar": "RateBar1m", "close": 1, "final": False, "synthetic": False, "origin": "stream"})
    {'bar': 'RateBar1m', 'close': 1, 'state': 'live'}
    """
    return {**{name: value for name, value in row.items() if name not in _LEFT_OUT}, "state": state_of(row)}


def narrow(row: Mapping[str, object]) -> Row:
    """Return what fits on a terminal: the keys in one column, no year, selected columns, live or final.

    >>> from datetime import UTC, datetime
    >>> at = datetime(2025, 1, 6, 9, 30, tzinfo=UTC)
    >>> state = {"final": True, "synthetic": True}
    >>> narrow({"bar": "RateBar1m", "broker": "FX", "symbol": "EURUSD", "bucket_start": at, "close": 1, **state})
    {'bar': 'RateBar1m', 'series': 'FX EURUSD', 'UTC': '01-06 09:30', 'close': 1, 'state': 'final'}
    """
    from ashioto.cli.output import text

    names = list(row)
    place = names.index("bucket_start")
    return {
        "bar": row["bar"],
        "series": " ".join(str(row[name]) for name in names[1:place]),
        "UTC": text(row["bucket_start"])[len("2025-") :].removesuffix("Z").removesuffix(":00"),
        **{name: row[name] for name in names[place + 1 :] if name not in _LEFT_OUT},
        "state": "final" if row["final"] else "live",
    }


def line_of(row: Mapping[str, object]) -> str:
    """Return a bar on one line.

    >>> line_of({"bar": "RateBar1m", "close": 1, "final": False, "synthetic": False})
    'RateBar1m  close=1  live'
    """
    from ashioto.cli.output import text

    *values, (_, state) = short(row).items()
    named = [text(value) if name in {"bar", "bucket_start"} else f"{name}={text(value)}" for name, value in values]
    return "  ".join([*named, str(state)])


class Screen:
    """Keeps the newest version of the last bars, as many as fit.

    Args:
        rows: How many fit.

    >>> Screen(5).table() is None
    True
    """

    def __init__(self, rows: int) -> None:
        self._rows = rows
        self._bars: OrderedDict[tuple[object, ...], Row] = OrderedDict()

    def update(self, rows: Iterable[Row]) -> None:
        """Take bars in; a bar that is there already stays at its place."""
        for row in rows:
            names = list(row)
            identity = tuple(row[name] for name in names[: names.index("bucket_start") + 1])
            self._bars[identity] = row
        while len(self._bars) > self._rows:
            self._bars.popitem(last=False)

    def table(self) -> Table | None:
        """Return the bars as a table, or None when there are none; those without ticks are dim."""
        from rich import box
        from rich.table import Table

        from ashioto.cli.output import text

        if not self._bars:
            return None
        rows = [narrow(row) for row in self._bars.values()]
        names = list(dict.fromkeys(name for row in rows for name in row))
        table = Table(title="bars (^C stops)", title_justify="left", box=box.SIMPLE_HEAD, padding=0, pad_edge=False)
        for name in names:
            table.add_column(name, justify="left" if name in _WORDS else "right", no_wrap=True)
        for row, whole in zip(rows, self._bars.values(), strict=True):
            table.add_row(*(text(row.get(name)) for name in names), style="dim" if whole["synthetic"] else "")
        return table


def watch(following: BarTail, clock: Clock, seconds: float | None) -> None:
    """Show the bars as a table that is drawn anew when one changes.

    Args:
        following: What to show.
        clock: Waits between looks.
        seconds: How long; None until interrupted.
    """
    from rich.live import Live

    end = None if seconds is None else clock.monotonic() + seconds
    with Live("waiting for bars", auto_refresh=False) as live:
        screen = Screen(max(live.console.height - 6, 5))
        rows = following.newest()
        while end is None or clock.monotonic() < end:
            screen.update(rows)
            table = screen.table()
            if rows and table is not None:
                live.update(table, refresh=True)
            clock.sleep(POLL_SECONDS)
            rows = following.poll()
