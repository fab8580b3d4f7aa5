"""`rc bars build` makes the very bars that vendors made of the same ticks, bit for bit."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from tests.support_shared import shared
from typer.testing import CliRunner

from ashioto.cli.app import app

if TYPE_CHECKING:
    from types import ModuleType

PRICES = ("open", "high", "low", "close")
EXAMPLES = Path(__file__).parents[2] / "examples"


def build(tmp_path: Path, ticks: Path | str, *args: str, **options: str) -> pa.Table:
    out = tmp_path / "bars.parquet"
    named = [text for name, value in options.items() for text in (f"--{name.replace('_', '-')}", value)]
    result = CliRunner().invoke(app, ["bars", "build", str(ticks), *named, *args, "--out", str(out)])
    assert result.exit_code == 0, result.output
    return pq.read_table(out)


def of(bars: pa.Table, period: str) -> pa.Table:
    return bars.filter(pc.equal(bars["period"], period))


def numbers(column: pa.ChunkedArray) -> np.ndarray[Any, np.dtype[np.float64]]:
    return np.array([float(value) for value in column.to_pylist()])  # pyarrow's cast of decimals is off by a bit


def starts(column: pa.ChunkedArray) -> list[int]:
    found: list[int] = column.cast(pa.timestamp("ms", tz="UTC")).cast(pa.int64()).to_pylist()
    return found


def different(ours: pa.Table, theirs: pa.Table, names: dict[str, str]) -> dict[str, int]:
    """How many values of each column differ; the bars must be the same ones."""
    return {name: int((numbers(ours[name]) != numbers(theirs[other])).sum()) for name, other in names.items()}


def side_of(side: str) -> dict[str, str]:
    return {name: f"{side}_{name}" for name in PRICES}


def example(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(("vendor", "periods"), [("fxcm", ("1s", "1m", "1h")), ("oanda", ("1s", "1m"))])
@pytest.mark.parametrize("side", ["bid", "ask"])
def test_quotes_of_eurusd(tmp_path: Path, vendor: str, periods: tuple[str, ...], side: str) -> None:
    folder = shared(f"data/{vendor}_eurusd_2014-05")
    bars = build(tmp_path, folder / "ticks.parquet", "--no-fill", time="ts", price=side, period=",".join(periods))
    for period in periods:
        ours, theirs = of(bars, period), pq.read_table(folder / f"bars_{period}.parquet")
        assert starts(ours["bucket_start"]) == starts(theirs["ts"]), period
        assert not any(different(ours, theirs, side_of(side)).values()), period
        assert all(ours["final"].to_pylist())


@pytest.mark.parametrize("side", ["bid", "ask"])
def test_days_of_fxcm_begin_at_utc_minus_5(tmp_path: Path, side: str) -> None:
    folder, days = shared("data/fxcm_eurusd_2014-05"), tmp_path / "days.csv"
    example("fxcm_days").main("2014-04-28", "2014-05-12", str(days))
    bars = build(
        tmp_path, folder / "ticks.parquet", "--no-fill", time="ts", price=side, period="1h,1d", sessions=str(days)
    )
    ours, theirs = of(bars, "1d"), pq.read_table(folder / "bars_1d.parquet")
    assert ours["market_date"].to_pylist() == [at.date() for at in theirs["ts"].to_pylist()]
    assert not any(different(ours, theirs, side_of(side)).values())


@pytest.mark.parametrize("side", ["bid", "ask"])
def test_hours_and_days_of_oanda_open_where_the_bar_before_closed(side: str) -> None:
    folder = shared("data/oanda_eurusd_2014-05")
    for period, ours in example("oanda_hours").build(folder / "ticks.parquet", side).items():
        theirs = pq.read_table(folder / f"bars_{period.kind}.parquet")
        assert starts(ours["bucket_start"]) == starts(theirs["ts"])
        after_the_first = different(ours.slice(1), theirs.slice(1), side_of(side))
        assert not any(after_the_first.values()), period
        first = different(ours.slice(0, 1), theirs.slice(0, 1), side_of(side))
        assert not any(first[name] for name in ("high", "low", "close"))
        assert first["open"] == (side == "bid")  # it opens at a close before the ticks begin


@pytest.mark.parametrize("side", ["bid", "ask"])
def test_with_the_first_tick_as_open_only_oandas_opens_differ(tmp_path: Path, side: str) -> None:
    folder = shared("data/oanda_eurusd_2014-05")
    bars = build(tmp_path, folder / "ticks.parquet", "--no-fill", time="ts", price=side, period="1h,1d")
    theirs = pq.read_table(folder / "bars_1h.parquet")
    found = different(of(bars, "1h"), theirs, side_of(side))
    assert found["close"] == 0
    assert found["open"] > 100
    reach = np.flatnonzero(numbers(of(bars, "1h")["high"]) != numbers(theirs[f"{side}_high"]))
    assert (numbers(theirs[f"{side}_high"])[reach] == numbers(theirs[f"{side}_open"])[reach]).all()


def test_minutes_and_hours_of_dukascopy(tmp_path: Path) -> None:
    folder = shared("data/dukascopy_eurusd_2019-02-04")
    bars = build(tmp_path, folder / "ticks.parquet", time="ts", price="bid", size="bid_vol", period="1m,1h")
    day = pc.equal(pc.strftime(pq.read_table(folder / "bars_1h_bid_february.parquet")["ts"], "%d"), "04")
    vendors = {
        "1m": pq.read_table(folder / "bars_1m_bid.parquet"),
        "1h": pq.read_table(folder / "bars_1h_bid_february.parquet").filter(day),
    }
    for period, theirs in vendors.items():
        ours = of(bars, period)
        assert starts(ours["bucket_start"]) == starts(theirs["ts"])
        assert not any(different(ours, theirs, {name: name for name in PRICES}).values())
        assert (numbers(ours["volume"]).astype(np.float32) == numbers(theirs["volume"])).all()


def test_dukascopy_fills_weekends_as_ashioto_does(tmp_path: Path) -> None:
    theirs = pq.read_table(shared("data/dukascopy_eurusd_2019-02-04/bars_1h_bid_february.parquet"))
    traded = theirs.filter(pc.greater(theirs["volume"], 0))
    pq.write_table(traded.select(["ts", "close"]), tmp_path / "closes.parquet")
    ours = build(tmp_path, tmp_path / "closes.parquet", time="ts", price="close", period="1h")
    assert starts(ours["bucket_start"]) == starts(theirs["ts"])
    assert (numbers(ours["close"]) == numbers(theirs["close"])).all()
    flat = ours["synthetic"].combine_chunks()
    assert flat.to_pylist() == pc.equal(theirs["volume"], 0).to_pylist()
    assert not any(different(ours.filter(flat), theirs.filter(flat), {name: name for name in PRICES}).values())
    assert pc.sum(flat).as_py() > 100


def test_hours_of_usdjpy(tmp_path: Path) -> None:
    folder = shared("data/usdjpy_2024-01-08")
    theirs = pq.read_table(folder / "bars_1h_ask.parquet")
    ours = build(tmp_path, folder / "ticks.parquet", time="ts", price="ask", size="ask_vol", period="1h")
    ours = ours.slice(0, theirs.num_rows)
    assert starts(ours["bucket_start"]) == starts(theirs["datetime"])
    assert not any(different(ours, theirs, {name: name for name in (*PRICES, "volume")}).values())


def test_trades_of_binance_without_fill(tmp_path: Path) -> None:
    folder = shared("data/binance_xrpeth_2019-10")
    bars = build(
        tmp_path, folder / "trades.parquet", "--no-fill", time="timestamp", price="price", size="amount", period="1m,5m"
    )
    for period in ("1m", "5m"):
        ours, theirs = of(bars, period), pq.read_table(folder / f"bars_{period}.parquet")
        assert starts(ours["bucket_start"]) == starts(theirs["date"])
        assert not any(different(ours, theirs, {name: name for name in (*PRICES, "volume")}).values())


def test_trades_of_one_exchange_session(tmp_path: Path) -> None:
    trades = shared("data/spy_trades_2013-10-07/trades.parquet")
    options = {
        "time": "ts",
        "price": "price",
        "size": "size",
        "period": "30m,1d",
        "sessions": "XNYS",
        "align": "session",
    }
    bars = build(tmp_path, trades, **options)
    assert of(bars, "30m").num_rows == 13
    (day,) = of(bars, "1d").to_pylist()
    rows = pq.read_table(trades)
    inside = rows.filter(
        pc.and_(
            pc.greater_equal(rows["ts"], pa.scalar(1_381_152_600_000_000, pa.timestamp("us", tz="UTC"))),
            pc.less(rows["ts"], pa.scalar(1_381_176_000_000_000, pa.timestamp("us", tz="UTC"))),
        )
    )
    assert (day["ticks"], int(day["volume"])) == (inside.num_rows, pc.sum(inside["size"]).as_py())
    assert float(day["open"]) == round(inside["price"][0].as_py(), 4)
    assert float(day["close"]) == round(inside["price"][-1].as_py(), 4)
