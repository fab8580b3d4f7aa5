"""Writes candles into one HTML file that needs nothing else: no server, no network."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ashioto.charts.picture import DOWN, GREY, UP, colours
from ashioto.errors import UnsupportedError

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt

    from ashioto.charts.candles import Candles, ChartOptions

_HOLLOW = "rgba(0,0,0,0)"


def write_html(candles: Candles, out: Path, options: ChartOptions) -> None:
    """Write a page to zoom and hover in: solid bars are final, grey ones had no ticks, hollow ones can still grow.

    Raises:
        UnsupportedError: plotly is not installed.
    """
    try:
        from plotly.graph_objects import Bar
        from plotly.subplots import make_subplots
    except ImportError as error:
        raise UnsupportedError("an HTML chart needs plotly", hint="pip install 'ashioto[charts]'") from error

    times = np.datetime_as_string(candles.start, unit="s").tolist()
    has_volume = candles.volume.size > 0
    heights = [0.8, 0.2] if has_volume else [1.0]
    figure = make_subplots(rows=len(heights), cols=1, shared_xaxes=True, vertical_spacing=0.02, row_heights=heights)
    for trace in _price_traces(candles, times):
        figure.add_trace(trace, row=1, col=1)
    if has_volume:
        bars = Bar(x=times, y=candles.volume.tolist(), marker_color=colours(candles), name="volume", showlegend=False)
        figure.add_trace(bars, row=2, col=1)
    figure.update_layout(
        title=candles.title,
        width=options.width,
        height=options.height,
        template="plotly_white",
        xaxis_rangeslider_visible=False,
        hovermode="x unified",
        bargap=0.3,
    )
    figure.update_xaxes(title_text="UTC", row=len(heights), col=1)
    if not options.gaps:
        figure.update_xaxes(type="category", categoryarray=times, nticks=12)
    figure.write_html(str(out), include_plotlyjs=True, full_html=True)


def _price_traces(candles: Candles, times: list[str]) -> list[Any]:
    filled = candles.synthetic & ~candles.live
    kinds = {
        "bars": (~candles.synthetic & ~candles.live, UP, DOWN),
        "no ticks, filled": (filled, GREY, GREY),
        "live": (candles.live, UP, DOWN),
    }
    return [_trace(candles, times, name, *kind) for name, kind in kinds.items() if kind[0].any()]


def _trace(candles: Candles, times: list[str], name: str, chosen: npt.NDArray[np.bool_], up: str, down: str) -> Any:
    from plotly.graph_objects import Candlestick

    at = np.flatnonzero(chosen).tolist()
    hollow = name == "live"

    def pick(values: npt.NDArray[np.float64]) -> list[float]:
        return [float(values[i]) for i in at]

    return Candlestick(
        x=[times[i] for i in at],
        open=pick(candles.open),
        high=pick(candles.high),
        low=pick(candles.low),
        close=pick(candles.close),
        name=name,
        increasing={"line": {"color": up}, "fillcolor": _HOLLOW if hollow else up},
        decreasing={"line": {"color": down}, "fillcolor": _HOLLOW if hollow else down},
    )
