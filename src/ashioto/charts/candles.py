"""What a candlestick chart needs, taken from a table of bars, and the way from there to a file."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ashioto.charts.endings import by_ending
from ashioto.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import numpy.typing as npt

PRICES: Final = ("open", "high", "low", "close")
_NEEDED: Final = ("bucket_start", "bucket_end", *PRICES, "final", "synthetic")


@dataclass(frozen=True, slots=True, kw_only=True)
class Candles:
    """Holds one series of bars as arrays of equal length, in the order of time.

    Args:
        title: What stands above the chart.
        start: Bucket starts, UTC, `datetime64[ms]`.
        width_ms: Length of the shortest bucket, milliseconds.
        open: First prices.
        high: Highest prices.
        low: Lowest prices.
        close: Last prices.
        volume: Traded sizes; empty when the bars have none, or only zeros.
        synthetic: Whether no tick fell into the bucket.
        live: Whether the bar can still grow.
    """

    title: str
    start: npt.NDArray[np.datetime64]
    width_ms: int
    open: npt.NDArray[np.float64]
    high: npt.NDArray[np.float64]
    low: npt.NDArray[np.float64]
    close: npt.NDArray[np.float64]
    volume: npt.NDArray[np.float64]
    synthetic: npt.NDArray[np.bool_]
    live: npt.NDArray[np.bool_]

    @property
    def up(self) -> npt.NDArray[np.bool_]:
        """Whether each bar closed at or above its open."""
        return self.close >= self.open


@dataclass(frozen=True, slots=True, kw_only=True)
class ChartOptions:
    """Says how a chart looks.

    Args:
        width: Pixels.
        height: Pixels.
        gaps: Keep closed hours on the time axis; without, bars stand side by side.
    """

    width: int = 1400
    height: int = 800
    gaps: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """Says which series of a table to draw.

    Args:
        keys: Wanted value by key column.
        period: Wanted period, e.g. `5m`; for tables that hold several.
    """

    keys: Mapping[str, str] = field(default_factory=dict)
    period: str | None = None


def read_bars(path: Path) -> pa.Table:
    """Read a bars file as `rc bars build` writes it, Parquet or CSV.

    Raises:
        InputError: The file is missing or is neither.
    """
    import pyarrow.csv
    import pyarrow.parquet

    if not path.is_file():
        raise InputError(f"no such file: {path}", hint="make one: rc bars build TICKS.parquet ... --out BARS.parquet")
    try:
        if path.suffix.lower() == ".csv":
            return pyarrow.csv.read_csv(path)
        return pyarrow.parquet.read_table(path)
    except pa.ArrowInvalid as error:
        raise InputError(f"{path} cannot be read: {error}", hint="bars are .parquet or .csv", file=str(path)) from error


def choose_series(bars: pa.Table, choice: Choice) -> tuple[pa.Table, str]:
    """Return the rows of one key and one period, and a title that says which.

    Args:
        bars: Bars as `TimeBucket.read` gives them, or as `rc bars build` writes them.
        choice: What is wanted.

    Raises:
        InputError: A column is unknown, nothing matches, or several series are left; names them.

    >>> bars = pa.table({"symbol": ["A", "B"], "bucket_start": [1, 1]})
    >>> choose_series(bars, Choice(keys={"symbol": "B"}))[1]
    'B'
    """
    columns = key_columns(bars)
    wanted = {**choice.keys, **({"period": choice.period} if choice.period else {})}
    for name, value in wanted.items():
        if name not in columns:
            raise InputError(f"the bars have no key column {name!r}", hint=f"they have {', '.join(columns) or 'none'}")
        bars = bars.filter(pc.equal(pc.cast(bars[name], pa.string()), value))
    if bars.num_rows == 0:
        said = ", ".join(f"{n}={v}" for n, v in wanted.items())
        raise InputError(f"there are no bars{f' of {said}' if said else ''}", hint="see what there is: rc bars read")
    found = bars.select(columns).group_by(columns).aggregate([]).to_pylist() if columns else [{}]
    if len(found) > 1:
        names = [" ".join(str(v) for v in row.values()) for row in found[:8]]
        raise InputError(f"{len(found)} series of bars: {'; '.join(names)}", hint=f"choose one by {', '.join(columns)}")
    return bars, " ".join(str(value) for value in found[0].values())


def key_columns(bars: pa.Table) -> list[str]:
    """Return the columns that say which series a bar belongs to: those before `bucket_start`.

    >>> key_columns(pa.table({"symbol": ["A"], "period": ["1m"], "bucket_start": [1]}))
    ['symbol', 'period']
    """
    names: Sequence[str] = bars.column_names
    if "bucket_start" not in names:
        raise InputError(f"no column bucket_start among {', '.join(names)}", hint="hand in bars, not ticks")
    return list(names[: names.index("bucket_start")])


def candles_of(bars: pa.Table, *, title: str) -> Candles:
    """Return the candles of one series.

    Args:
        bars: Rows of one key and period, with open, high, low and close; volume is optional.
        title: What stands above the chart.

    Raises:
        InputError: A column is missing; names it.
    """
    missing = [name for name in _NEEDED if name not in bars.column_names]
    if missing:
        raise InputError(
            f"a candlestick needs {', '.join(missing)}; the bars have {', '.join(bars.column_names)}",
            hint="select them in the query: **ao.ohlcv(Rate.price, Rate.size)",
        )
    bars = bars.filter(pc.is_valid(bars["close"])).sort_by("bucket_start")
    if bars.num_rows == 0:
        raise InputError("there are no bars with prices to draw", hint="see what there is: rc bars read")
    start = _times(bars["bucket_start"])
    lengths = (_times(bars["bucket_end"]) - start).astype(np.int64)
    prices = {name: _numbers(bars[name]) for name in PRICES}
    volume = _numbers(bars["volume"]) if "volume" in bars.column_names else np.empty(0)
    return Candles(
        title=title,
        start=start,
        width_ms=int(lengths.min()),
        volume=volume if volume.any() else np.empty(0),
        synthetic=_flags(bars["synthetic"]),
        live=_live(_flags(bars["final"])),
        **prices,
    )


def write_chart(candles: Candles, out: Path, options: ChartOptions | None = None) -> None:
    """Write a chart, as PNG or HTML by the name's ending.

    Raises:
        InputError: The ending is another.
        UnsupportedError: The charting library is not installed.
    """
    from ashioto.charts.page import write_html
    from ashioto.charts.picture import write_png

    by_ending(out, {".png": write_png, ".html": write_html})(candles, out, options or ChartOptions())


def _live(final: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    live = ~final
    if live.all():
        live[:-1] = False  # bars of sparse queries are never final: only the newest may still grow
    return live


def _times(column: pa.ChunkedArray) -> npt.NDArray[np.datetime64]:
    moments = pc.cast(column, pa.timestamp("ms", tz="UTC"), safe=False)
    return np.asarray(moments.to_numpy(), dtype="datetime64[ms]")


def _numbers(column: pa.ChunkedArray) -> npt.NDArray[np.float64]:
    if pa.types.is_decimal(column.type):
        column = pc.cast(column, pa.string())  # text is rounded to the nearest float, scaled integers are not
    return np.asarray(pc.cast(column, pa.float64()).fill_null(0.0).to_numpy(), dtype=np.float64)


def _flags(column: pa.ChunkedArray) -> npt.NDArray[np.bool_]:
    return np.asarray(pc.cast(column, pa.bool_()).fill_null(False).to_numpy(), dtype=np.bool_)
