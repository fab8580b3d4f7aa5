"""Draws how equal bars are: a row a series, a column a day, as text in a terminal, PNG or HTML."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from ashioto.charts.endings import by_ending
from ashioto.errors import UnsupportedError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date
    from pathlib import Path

    import numpy.typing as npt
    import pyarrow as pa
    from rich.text import Text

    Rates = npt.NDArray[np.float64]

_STATES: Final = ("equal", "unequal", "missing", "extra")
_BAD: Final = "#ef5350"
_HALF: Final = "#ffca28"
_GOOD: Final = "#26a69a"
_STEPS: Final = ((1.0, _GOOD), (0.99, "#9ccc65"), (0.5, _HALF), (0.0, _BAD))
_DPI: Final = 100
_NARROWEST: Final = 240


@dataclass(frozen=True, slots=True, kw_only=True)
class Equality:
    """Holds equality rates.

    Args:
        series: Name of each row.
        days: Day of each column.
        rates: Share of equal bars, 0 to 1; NaN where there are none; shape (series, days).
    """

    series: tuple[str, ...]
    days: tuple[date, ...]
    rates: Rates


def equality_of(by_day: pa.Table) -> Equality:
    """Return the rates of `Verification.by_day`.

    >>> import pyarrow as pa
    >>> from datetime import date
    >>> row = {"symbol": "A", "day": date(2025, 1, 6), "equal": 3, "unequal": 1, "missing": 0, "extra": 0}
    >>> equality_of(pa.Table.from_pylist([row])).rates.tolist()
    [[0.75]]
    """
    counts = np.stack([np.asarray(by_day[state]) for state in _STATES])
    keys = [name for name in by_day.column_names if name not in {*_STATES, "day"}]
    names = [" ".join(row.values()) for row in by_day.select(keys).to_pylist()] if keys else ["all"] * by_day.num_rows
    series = list(dict.fromkeys(names))
    days = sorted(set(by_day["day"].to_pylist()))
    rates = np.full((len(series), len(days)), np.nan)
    at_series, at_day = ({name: place for place, name in enumerate(order)} for order in (series, days))
    rows = np.array([at_series[name] for name in names], dtype=np.int64)
    columns = np.array([at_day[day] for day in by_day["day"].to_pylist()], dtype=np.int64)
    rates[rows, columns] = counts[0] / counts.sum(axis=0)
    return Equality(series=tuple(series), days=tuple(days), rates=rates)


def terminal_lines(equality: Equality, *, width: int, rows: int) -> list[Text]:
    """Return the picture as lines of coloured blocks; days that do not fit share one, and the worst of them counts.

    Args:
        equality: The rates.
        width: Characters of a line.
        rows: How many series at most; the worst come first where there are more.
    """
    from rich.text import Text

    order = np.argsort(np.nan_to_num(np.nanmean(equality.rates, axis=1)), kind="stable")
    shown = order[:rows] if len(order) > rows else np.arange(len(order))
    names = [equality.series[row] for row in shown]
    label = min(max(len(name) for name in names), max(width // 3, 8))
    room = max(width - label - 2, 1)
    joined = -(-len(equality.days) // room)
    columns = range(0, len(equality.days), joined)
    first, last = f"{equality.days[0]}", f"{equality.days[-1]}"
    gap = max(len(columns) - len(first) - len(last), 1)
    head = first if first == last else f"{first}{' ' * gap}{last}"
    lines = [Text(" " * (label + 2) + head, style="dim")]
    for row, name in zip(shown, names, strict=True):
        line = Text(f"{name[:label]:<{label}}  ")
        for at in columns:
            part = equality.rates[row, at : at + joined]
            rate = np.nan if np.isnan(part).all() else float(np.nanmin(part))
            line.append(*_block(rate))
        lines.append(line)
    if len(order) > rows:
        lines.append(Text(f"… and {len(order) - rows:,} more series, none of them worse", style="dim"))
    lines.append(_legend(joined))
    return lines


def write_equality(equality: Equality, out: Path, *, title: str) -> None:
    """Write the picture, as PNG or HTML by the name's ending.

    Raises:
        InputError: The ending is another.
        UnsupportedError: The charting library is not installed.
    """
    by_ending(out, {".png": _write_png, ".html": _write_html})(equality, out, title)


def _block(rate: float) -> tuple[str, str]:
    """Return a character and its style: as full as bars are equal, so that it can be read without colours."""
    if np.isnan(rate):
        return "·", "dim"
    colour = next(colour for least, colour in _STEPS if rate >= least)
    return ("█" if rate == 1 else "▓" if rate >= 0.99 else "▒" if rate >= 0.5 else "░"), colour


def _legend(joined: int) -> Text:
    from rich.text import Text

    line = Text()
    for rate, words in ((1.0, "equal"), (0.99, "99 % and more"), (0.5, "half and more"), (0.0, "less")):
        line.append(*_block(rate))
        line.append(f" {words}  ", style="dim")
    line.append("· no bars", style="dim")
    return line.append(f"; a block is {joined} days", style="dim") if joined > 1 else line


def _size(equality: Equality) -> tuple[int, int]:
    width = min(max(260 + 18 * len(equality.days), 700), 2400)
    return width, min(max(_NARROWEST, 160 + 26 * len(equality.series)), 2400)


def _write_png(equality: Equality, out: Path, title: str) -> None:
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.colors import LinearSegmentedColormap
        from matplotlib.figure import Figure
    except ImportError as error:
        raise UnsupportedError("a PNG needs matplotlib", hint="pip install 'ashioto[charts]'") from error

    width, height = _size(equality)
    figure = Figure(figsize=(width / _DPI, height / _DPI), dpi=_DPI, layout="constrained")
    axes = figure.subplots()
    colours = LinearSegmentedColormap.from_list("equality", [_BAD, _HALF, _GOOD]).with_extremes(bad="#eceff1")
    drawn = axes.imshow(np.ma.masked_invalid(equality.rates), vmin=0, vmax=1, cmap=colours, aspect="auto")
    axes.set_title(title, loc="left", fontweight="bold")
    step = max(len(equality.days) // 10, 1)
    ticks = range(0, len(equality.days), step)
    axes.set_xticks(list(ticks), [str(equality.days[at]) for at in ticks], rotation=30, ha="right")
    step = -(-len(equality.series) // max(height // 26, 1))
    names = range(0, len(equality.series), step)
    axes.set_yticks(list(names), [equality.series[at] for at in names])
    axes.spines[:].set_visible(False)
    figure.colorbar(drawn, ax=axes, label="share of equal bars")
    FigureCanvasAgg(figure).print_png(str(out))  # type: ignore[no-untyped-call]  # matplotlib has few types


def _write_html(equality: Equality, out: Path, title: str) -> None:
    try:
        from plotly.graph_objects import Figure, Heatmap
    except ImportError as error:
        raise UnsupportedError("an HTML chart needs plotly", hint="pip install 'ashioto[charts]'") from error

    width, height = _size(equality)
    rates: Sequence[Sequence[float | None]] = [
        [None if np.isnan(rate) else float(rate) for rate in row] for row in equality.rates
    ]
    cells = Heatmap(
        x=[str(day) for day in equality.days],
        y=list(equality.series),
        z=rates,
        zmin=0,
        zmax=1,
        colorscale=[[0, _BAD], [0.5, _HALF], [1, _GOOD]],
        colorbar={"title": "equal", "tickformat": ".0%"},
        hovertemplate="%{y}<br>%{x}<br>%{z:.2%} equal<extra></extra>",
        xgap=1,
        ygap=1,
    )
    figure = Figure(cells)
    figure.update_layout(title=title, width=width, height=height, template="plotly_white")
    figure.update_xaxes(type="category", nticks=12, title_text="UTC day")
    figure.update_yaxes(type="category", autorange="reversed")
    figure.write_html(str(out), include_plotlyjs=True, full_html=True)
