"""`rc bars chart`: a candlestick chart of a project's bars, or of a file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from datetime import datetime

    import pyarrow as pa

    from ashioto.charts.candles import ChartOptions

DEFAULT_BARS = 300


def chart(
    source: Annotated[str, typer.Argument(help="Kind of bars, e.g. RateBar1m, or a file of `rc bars build`.")],
    *,
    out: Annotated[Path, typer.Option(help="Where to: .png, or .html to zoom and hover in.")] = Path("bars.png"),
    key: Annotated[list[str] | None, typer.Option(help="column=value; as many as it takes to name one series.")] = None,
    period: Annotated[str | None, typer.Option(help="Which bars of a file, e.g. 5m.")] = None,
    start: Annotated[str | None, typer.Option("--from", help="First bucket start, ISO; UTC unless it says.")] = None,
    end: Annotated[str | None, typer.Option("--to", help="Bucket starts before this.")] = None,
    last: Annotated[int | None, typer.Option(min=1, help="Only so many, the newest; 300 without a range.")] = None,
    gaps: Annotated[bool, typer.Option("--gaps/--no-gaps", help="Whether closed hours take room.")] = True,
    size: Annotated[str, typer.Option(help="Width and height in pixels.")] = "1400x800",
    context: Annotated[str | None, typer.Option(help="Where the bars are declared.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Draw candlesticks and volume: grey bars had no ticks, hollow ones are live."""
    from ashioto.charts.candles import Choice, candles_of, choose_series, write_chart
    from ashioto.cli.bars_read import nothing
    from ashioto.cli.output import json_line
    from ashioto.cli.project import pairs, time_range
    from ashioto.errors import InputError

    options = _options(out, size, gaps=gaps)
    keys = pairs(key or [], option="--key")
    begin, stop = time_range(start, end)
    count = last if last or begin or stop else DEFAULT_BARS
    of_file = bool(Path(source).suffix)
    found = _of_file(Path(source), begin, stop) if of_file else _of_project(source, keys, begin, stop, count, context)
    if not found.num_rows:
        raise InputError(nothing("bars" if of_file else source, start, end), hint="another range, or rc bars read")
    bars, title = choose_series(found, Choice(keys=keys, period=period))
    title = title if of_file else f"{title} {source}"
    bars = bars.sort_by("bucket_start")
    shown = bars.slice(max(bars.num_rows - count, 0)) if count else bars
    write_chart(candles_of(shown, title=title), out, options)
    row = {"bars": shown.num_rows, "series": title, "out": str(out)}
    typer.echo(json_line(row) if as_json else f"drew {shown.num_rows} bars of {title}: {out}")


def _of_file(path: Path, start: datetime | None, end: datetime | None) -> pa.Table:
    import pyarrow as pa
    import pyarrow.compute as pc

    from ashioto.charts.candles import key_columns, read_bars

    bars = read_bars(path)
    key_columns(bars)
    at = pc.cast(bars["bucket_start"], pa.timestamp("ms", tz="UTC"), safe=False)
    for bound, holds in ((start, pc.greater_equal), (end, pc.less)):
        if bound is not None:
            kept = holds(at, pa.scalar(bound, at.type))
            bars, at = bars.filter(kept), at.filter(kept)
    return bars


def _of_project(
    name: str,
    keys: dict[str, str],
    start: datetime | None,
    end: datetime | None,
    count: int | None,
    context: str | None,
) -> pa.Table:
    from ashioto.bars.timebucket import BarTable
    from ashioto.cli.bars_read import bars_of
    from ashioto.cli.project import open_project
    from ashioto.dsl.bar import bind_bar

    project = open_project()
    (owner, kind), *_ = project.bars([name], context)
    return bars_of(BarTable(bind_bar(kind, context=owner), project.log), keys, start, end, count)


def _options(out: Path, size: str, *, gaps: bool) -> ChartOptions:
    from ashioto.charts.candles import ChartOptions
    from ashioto.errors import UsageError

    if out.suffix.lower() not in {".png", ".html"}:
        raise UsageError(f"--out {out}: no .png or .html", hint="e.g. --out bars.html, to zoom and hover in")
    width, _, height = size.partition("x")
    if not (width.isdigit() and height.isdigit() and min(int(width), int(height)) >= 240):
        raise UsageError(f"--size {size}: no size of at least 240x240", hint="e.g. --size 1400x800")
    return ChartOptions(width=int(width), height=int(height), gaps=gaps)
