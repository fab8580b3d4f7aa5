from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest

from ashioto.charts.candles import Candles, ChartOptions, Choice, candles_of, choose_series, read_bars, write_chart
from ashioto.charts.picture import DOWN, GREY, UP, colours
from ashioto.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

START = datetime(2025, 1, 6, 9, 30, tzinfo=UTC)


def bars(
    n: int = 6, *, symbol: str = "USDJPY", period: str = "1m", volume: bool = True, final: bool = True
) -> pa.Table:
    opens = [START + timedelta(minutes=i) for i in range(n)]
    prices = [Decimal("157.00") + Decimal(i % 3) / 10 for i in range(n)]
    columns: dict[str, object] = {
        "symbol": [symbol] * n,
        "period": [period] * n,
        "bucket_start": pa.array(opens, pa.timestamp("ms", tz="UTC")),
        "bucket_end": pa.array([t + timedelta(minutes=1) for t in opens], pa.timestamp("ms", tz="UTC")),
        "market_date": [date(2025, 1, 6)] * n,
        "open": prices,
        "high": [p + Decimal("0.25") for p in prices],
        "low": [p - Decimal("0.25") for p in prices],
        "close": [p + (Decimal("0.10") if i % 2 else Decimal("-0.10")) for i, p in enumerate(prices)],
        "volume": [Decimal(i) for i in range(n)],
        "final": [final] * (n - 1) + [False],
        "synthetic": [i == 2 for i in range(n)],
    }
    if not volume:
        del columns["volume"]
    return pa.table(columns)


def candles(*, volume: bool = True) -> Candles:
    return candles_of(bars(volume=volume), title="FX USDJPY 1m")


def pixels(path: Path) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    from matplotlib.image import imread

    image: np.ndarray[tuple[int, ...], np.dtype[np.float32]] = imread(str(path))
    return image


def has_colour(image: np.ndarray[tuple[int, ...], np.dtype[np.float32]], colour: str) -> bool:
    wanted = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)])
    return bool((np.abs(image[..., :3] * 255 - wanted) < 2).all(axis=-1).any())


def test_candles_hold_prices_as_floats_in_order_of_time() -> None:
    made = candles_of(bars().take([3, 1, 2, 0, 5, 4]), title="x")
    assert made.start.tolist()[0] == START.replace(tzinfo=None)
    assert np.diff(made.start).astype(int).tolist() == [60_000] * 5
    assert made.close[1] == pytest.approx(157.2)
    assert made.width_ms == 60_000


def test_colours_say_up_down_and_filled() -> None:
    assert colours(candles())[:3] == [DOWN, UP, GREY]


def test_the_unfinished_bar_is_live() -> None:
    assert candles().live.tolist() == [False] * 5 + [True]


def test_of_bars_that_are_never_final_only_the_newest_is_live() -> None:
    assert candles_of(bars(final=False), title="x").live.tolist() == [False] * 5 + [True]


def test_bars_without_a_price_are_left_out() -> None:
    table = bars(3)
    at = table.column_names.index("close")
    table = table.set_column(at, "close", pa.array([None, Decimal("1.0"), Decimal("2.0")]))
    assert candles_of(table, title="x").start.size == 2


def test_volumes_of_nothing_are_not_drawn() -> None:
    assert candles().volume.tolist() == [0, 1, 2, 3, 4, 5]
    assert candles_of(bars(1), title="x").volume.size == 0
    assert candles(volume=False).volume.size == 0


def test_a_missing_price_column_is_named() -> None:
    with pytest.raises(InputError, match="needs high") as caught:
        candles_of(bars().drop_columns(["high"]), title="x")
    assert "ohlcv" in caught.value.hint


def test_nothing_to_draw_is_an_error() -> None:
    with pytest.raises(InputError, match="no bars with prices"):
        candles_of(bars().slice(0, 0), title="x")


@pytest.mark.parametrize("gaps", [True, False])
@pytest.mark.parametrize("volume", [True, False])
def test_a_png_has_the_size_and_the_colours(tmp_path: Path, *, gaps: bool, volume: bool) -> None:
    out = tmp_path / "deep" / "chart.png"
    write_chart(candles(volume=volume), out, ChartOptions(width=640, height=480, gaps=gaps))
    image = pixels(out)
    assert image.shape[:2] == (480, 640)
    assert all(has_colour(image, colour) for colour in (UP, DOWN, GREY))


@pytest.mark.parametrize("gaps", [True, False])
@pytest.mark.parametrize("volume", [True, False])
def test_a_page_holds_the_data_and_loads_nothing(tmp_path: Path, *, gaps: bool, volume: bool) -> None:
    out = tmp_path / "chart.html"
    write_chart(candles(volume=volume), out, ChartOptions(gaps=gaps))
    text = out.read_text(encoding="utf-8")
    assert "2025-01-06T09:30:00" in text
    assert "FX USDJPY 1m" in text
    assert "no ticks, filled" in text
    assert not re.search(r"<(script|link|img|iframe)[^>]*(src|href)\s*=", text)
    assert ('"type":"category"' in text.rpartition("Plotly.newPlot")[2]) is not gaps


def test_another_ending_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"cannot draw a \.gif"):
        write_chart(candles(), tmp_path / "chart.gif")


def test_bars_are_read_from_parquet_and_csv(tmp_path: Path) -> None:
    pyarrow.parquet.write_table(bars(), tmp_path / "b.parquet")
    pyarrow.csv.write_csv(bars(), tmp_path / "b.csv")
    first, second = (candles_of(read_bars(tmp_path / name), title="x") for name in ("b.parquet", "b.csv"))
    assert first.close.tolist() == second.close.tolist()
    assert first.start.tolist() == second.start.tolist()


def test_a_missing_or_broken_bars_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        read_bars(tmp_path / "none.parquet")
    (tmp_path / "bad.parquet").write_bytes(b"no parquet at all")
    with pytest.raises(InputError, match=r"bad\.parquet cannot be read"):
        read_bars(tmp_path / "bad.parquet")


def test_one_series_of_several_is_chosen() -> None:
    both = pa.concat_tables([bars(), bars(3, symbol="EURUSD"), bars(2, symbol="EURUSD", period="5m")])
    chosen, title = choose_series(both, Choice(keys={"symbol": "EURUSD"}, period="5m"))
    assert (chosen.num_rows, title) == (2, "EURUSD 5m")


def test_several_series_are_listed() -> None:
    both = pa.concat_tables([bars(), bars(3, symbol="EURUSD")])
    with pytest.raises(InputError, match="2 series of bars") as caught:
        choose_series(both, Choice())
    assert "EURUSD 1m" in caught.value.message


def test_a_choice_that_fits_nothing_is_an_error() -> None:
    with pytest.raises(InputError, match="no bars of symbol=NONE"):
        choose_series(bars(), Choice(keys={"symbol": "NONE"}))
    with pytest.raises(InputError, match="no key column 'broker'"):
        choose_series(bars(), Choice(keys={"broker": "FX"}))
    with pytest.raises(InputError, match="bucket_start"):
        choose_series(pa.table({"price": [1]}), Choice())
