"""Draws candles into a PNG."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from ashioto.errors import UnsupportedError

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt

    from ashioto.charts.candles import Candles, ChartOptions

UP: Final = "#26a69a"
DOWN: Final = "#ef5350"
GREY: Final = "#9e9e9e"
_DPI: Final = 100
_FILL: Final = 0.7
_DAY_MS: Final = 86_400_000


def write_png(candles: Candles, out: Path, options: ChartOptions) -> None:
    """Write a PNG: solid bars are final, grey ones had no ticks, dashed hollow ones can still grow.

    Raises:
        UnsupportedError: matplotlib is not installed.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise UnsupportedError("a PNG needs matplotlib", hint="pip install 'ashioto[charts]'") from error

    figure = Figure(figsize=(options.width / _DPI, options.height / _DPI), dpi=_DPI, layout="constrained")
    has_volume = candles.volume.size > 0
    rows = figure.subplots(
        2 if has_volume else 1, 1, sharex=True, squeeze=False, height_ratios=[4, 1][: 1 + has_volume]
    )
    prices = rows[0, 0]
    at, width = _positions(candles, gaps=options.gaps)
    _draw_prices(prices, candles, at, width)
    if has_volume:
        rows[1, 0].bar(at, candles.volume, width=width, color=colours(candles))
        rows[1, 0].set_ylabel("volume")
    for axes in rows[:, 0]:
        axes.grid(visible=True, color="#eceff1", linewidth=0.8)
        axes.set_axisbelow(b=True)
        axes.spines[["top", "right"]].set_visible(False)
    _label_times(rows[-1, 0], candles, gaps=options.gaps)
    prices.set_title(candles.title, loc="left", fontweight="bold")
    prices.set_ylabel("price")
    _legend(prices, candles)
    FigureCanvasAgg(figure).print_png(str(out))  # type: ignore[no-untyped-call]  # matplotlib has few types


def colours(candles: Candles) -> list[str]:
    """Return the colour of each bar: teal up, red down, grey without ticks."""
    picked: list[str] = np.where(candles.synthetic, GREY, np.where(candles.up, UP, DOWN)).tolist()
    return picked


def _positions(candles: Candles, *, gaps: bool) -> tuple[npt.NDArray[np.float64], float]:
    if not gaps:
        return np.arange(candles.start.size, dtype=np.float64), _FILL
    width = candles.width_ms / _DAY_MS
    return candles.start.astype(np.int64) / _DAY_MS + width / 2, width * _FILL


def _draw_prices(axes: Any, candles: Candles, at: npt.NDArray[np.float64], width: float) -> None:
    from matplotlib.collections import LineCollection, PolyCollection

    colour = np.array(colours(candles))
    wicks = np.stack([np.stack([at, candles.low], 1), np.stack([at, candles.high], 1)], 1)
    axes.add_collection(LineCollection(list(wicks), colors=colour.tolist(), linewidths=1.0))
    bottom, top = np.minimum(candles.open, candles.close), np.maximum(candles.open, candles.close)
    left, right = at - width / 2, at + width / 2
    corners = [(left, bottom), (left, top), (right, top), (right, bottom)]
    boxes = np.stack([np.stack(corner, 1) for corner in corners], 1)
    for chosen, style, fill in ((~candles.live, "solid", True), (candles.live, (0, (2, 1.5)), False)):
        if chosen.any():
            edge = colour[chosen].tolist()
            face = edge if fill else "white"
            axes.add_collection(
                PolyCollection(
                    list(boxes[chosen]), facecolors=face, edgecolors=edge, linewidths=1.0, linestyles=[style]
                )
            )
    axes.margins(x=0.02, y=0.1)
    axes.autoscale_view()


def _label_times(axes: Any, candles: Candles, *, gaps: bool) -> None:
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    axes.set_xlabel("UTC")
    if gaps:
        locator = AutoDateLocator()  # type: ignore[no-untyped-call]  # matplotlib has few types
        axes.xaxis_date()
        axes.xaxis.set_major_locator(locator)
        axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]  # as above
        return
    names = np.datetime_as_string(candles.start, unit="m")

    def name(position: float, _: object) -> str:
        at = round(position)
        return str(names[at]).replace("T", "\n") if 0 <= at < names.size else ""

    axes.xaxis.set_major_locator(MaxNLocator(nbins=8, integer=True))
    axes.xaxis.set_major_formatter(FuncFormatter(name))


def _legend(axes: Any, candles: Candles) -> None:
    from matplotlib.patches import Patch

    kinds = [Patch(facecolor=UP, label="up"), Patch(facecolor=DOWN, label="down")]
    if candles.synthetic.any():
        kinds.append(Patch(facecolor=GREY, label="no ticks, filled"))
    if candles.live.any():
        kinds.append(Patch(facecolor="white", edgecolor="#546e7a", linestyle="--", label="live"))
    axes.legend(handles=kinds, loc="upper left", frameon=False, ncols=len(kinds), fontsize="small")
