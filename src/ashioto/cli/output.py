"""What every command prints with: tables for people, JSON for programs."""

from __future__ import annotations

import json
import math
from contextlib import contextmanager
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from rich.progress import Progress
    from rich.table import Table

Row = "Mapping[str, object]"


def text(value: object) -> str:
    """Return a value as people read it: UTC times with a Z, nothing for null.

    >>> text(datetime(2025, 1, 6, 9, 30, tzinfo=UTC)), text(None), text(True)
    ('2025-01-06 09:30:00Z', '', 'yes')
    """
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        moment = value.astimezone(UTC).replace(tzinfo=None)
        return moment.isoformat(sep=" ", timespec="milliseconds" if moment.microsecond else "seconds") + "Z"
    if isinstance(value, Decimal):
        return f"{value:f}"
    return str(value)


def plain(value: object) -> object:
    """Return a value as JSON holds it: decimals and times as text.

    >>> plain(Decimal("1.50")), plain(date(2025, 1, 6)), plain(3)
    ('1.50', '2025-01-06', 3)
    """
    if isinstance(value, datetime):
        moment = value.astimezone(UTC).replace(tzinfo=None)
        return moment.isoformat(timespec="milliseconds" if moment.microsecond else "seconds") + "Z"
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def json_line(row: Mapping[str, object]) -> str:
    """Return a row as one line of JSON.

    >>> json_line({"a": Decimal("1.0")})
    '{"a": "1.0"}'
    """
    return json.dumps({name: plain(value) for name, value in row.items()}, ensure_ascii=False)


def print_rows(rows: Sequence[Mapping[str, object]], *, title: str, as_json: bool, empty: str = "nothing") -> None:
    """Print rows of equal columns, as a table or as a JSON list.

    Args:
        rows: What to print.
        title: Above the table.
        as_json: For programs.
        empty: What a table says when there are no rows.
    """
    import typer

    if as_json:
        typer.echo("[" + ",\n ".join(json_line(row) for row in rows) + "]")
    elif not rows:
        typer.echo(empty)
    else:
        show(table_of(rows, title=title))


def table_of(rows: Sequence[Mapping[str, object]], *, title: str) -> Table:
    """Return rows as a table; numbers stand right.

    >>> table_of([{"symbol": "A", "ticks": 3}], title="bars").row_count
    1
    """
    from rich import box
    from rich.table import Table

    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD)
    for name, value in rows[0].items():
        number = isinstance(value, int | float | Decimal) and not isinstance(value, bool)
        table.add_column(name, justify="right" if number else "left", no_wrap=True)
    for row in rows:
        table.add_row(*(text(value) for value in row.values()), style="dim" if row.get("synthetic") else "")
    return table


def show(table: Table) -> None:
    """Print a table, as wide as it needs to be when nobody watches."""
    from rich.console import Console

    console = Console()
    if not console.is_terminal:
        wanted = console.measure(table, options=console.options.update(max_width=10_000)).maximum
        console = Console(width=max(console.width, wanted))
    console.print(table)


@contextmanager
def progress_bar(title: str, total: float) -> Iterator[Callable[[float], None]]:
    """Show how far long work is: a bar for people, four lines where nobody watches; takes what is done so far.

    >>> with progress_bar("counting", 2) as advance:
    ...     advance(2)
    counting: 100 %
    """
    from rich.console import Console
    from rich.progress import Progress

    console, told = Console(), [0]
    if console.is_terminal:
        with Progress(console=console) as progress:
            task = progress.add_task(title, total=total)
            yield lambda done: progress.update(task, completed=done)
        return

    def tell(done: float) -> None:
        quarter = int(4 * done / total)
        if quarter > told[0]:
            told[0] = quarter
            print(f"{title}: {25 * quarter} %", flush=True)  # noqa: T201  # it is the output

    yield tell


def file_progress() -> Progress:
    """Return a progress bar with percentage and time left, on stderr; it shows nothing where nobody watches.

    >>> file_progress().disable
    True
    """
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f}%"),
        TimeRemainingColumn(),
    )
    return Progress(*columns, console=console, disable=not console.is_terminal)
