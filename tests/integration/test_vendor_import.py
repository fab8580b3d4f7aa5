"""Bars of vendors come in by `rc migrate upsert`, and `rc migrate verify` says where others' conventions differ."""

from __future__ import annotations

import json
import sys
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
from ashioto.cli.project import open_project
from ashioto.deploy.bootstrap import ensure_topics

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MAPS = Path(__file__).parents[2] / "examples" / "maps"
PRICES = ("open", "high", "low", "close")
DECLARED = """
from datetime import datetime
from decimal import Decimal

import ashioto as ao
from ashioto import Field, Period


class Rate(ao.Stream):
    broker: Field[str] = ao.key()
    symbol: Field[str] = ao.key()
    at: Field[datetime] = ao.timestamp()
    price: Field[Decimal] = ao.decimal(18, 8)
    size: Field[Decimal] = ao.decimal(18, 2, default=Decimal(0))


vendors = ao.Context("vendors")
periods = [Period.seconds(1), Period.minutes(1), Period.minutes(5), Period.hours(1), Period.days(1)]
rate_bars = (
    vendors.events(Rate)
    .time_frame(ao.AlwaysOpen)
    .tumbling(Rate.at, *periods, ensure_continuous=True)
    .select(**ao.ohlcv(Rate.price, Rate.size))
    .to_query()
)
"""
IMPORTS = [
    ("fxcm_eurusd_2014-05/bars_1s.parquet", "fxcm_eurusd.yaml", "1s"),
    ("fxcm_eurusd_2014-05/bars_1m.parquet", "fxcm_eurusd.yaml", "1m"),
    ("fxcm_eurusd_2014-05/bars_1h.parquet", "fxcm_eurusd.yaml", "1h"),
    ("fxcm_eurusd_2014-05/bars_1d.parquet", "fxcm_eurusd.yaml", "1d"),
    ("oanda_eurusd_2014-05/bars_1m.parquet", "oanda_eurusd.yaml", "1m"),
    ("oanda_eurusd_2014-05/bars_1h.parquet", "oanda_eurusd.yaml", "1h"),
    ("oanda_eurusd_2014-05/bars_1d.parquet", "oanda_eurusd.yaml", "1d"),
    ("dukascopy_eurusd_2019-02-04/bars_1m_bid.parquet", "dukascopy_eurusd.yaml", "1m"),
    ("dukascopy_eurusd_2019-02-04/bars_1h_bid_february.parquet", "dukascopy_eurusd.yaml", "1h"),
    ("binance_xrpeth_2019-10/bars_1m.parquet", "binance_xrpeth.toml", "1m"),
    ("binance_xrpeth_2019-10/bars_5m.parquet", "binance_xrpeth.toml", "5m"),
    ("usdjpy_2024-01-08/bars_1h_ask.parquet", "usdjpy.yaml", "1h"),
]


@pytest.fixture
def rc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., dict[str, Any]]]:
    """Run `rc ... --json` in a project with topics, and return what it said."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ashioto.toml").write_text('[project]\ncontexts = ["vendor_bars:vendors"]\n')
    (tmp_path / "vendor_bars.py").write_text(DECLARED)
    project = open_project()
    ensure_topics(project.log, project.contexts)

    def invoke(*args: object, code: int = 0) -> dict[str, Any]:
        result = CliRunner().invoke(app, [*(str(arg) for arg in args), "--json"])
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert result.exit_code == code, result.output
        said: dict[str, Any] = json.loads(result.stdout)
        return said

    yield invoke
    sys.modules.pop("vendor_bars", None)


def options(mapping: str, period: str) -> list[object]:
    return ["--map", MAPS / mapping, "--bar", f"RateBar{period}"]


def numbers(column: pa.ChunkedArray) -> np.ndarray[Any, np.dtype[np.float64]]:
    return np.array([float(value) for value in column.to_pylist()])


@pytest.mark.parametrize(("file", "mapping", "period"), IMPORTS)
def test_bars_of_vendors_come_in_and_are_read_back_equal(
    rc: Callable[..., dict[str, Any]], file: str, mapping: str, period: str
) -> None:
    bars = shared(f"data/{file}")
    theirs = pq.read_table(bars)
    would = rc("migrate", "upsert", bars, *options(mapping, period), "--dry-run")
    assert (would["written"], would["dry_run"]) == (theirs.num_rows, True)
    assert rc("migrate", "upsert", bars, *options(mapping, period))["written"] == theirs.num_rows
    again = rc("migrate", "upsert", bars, *options(mapping, period))
    assert (again["written"], again["skipped"], again["conflicting"]) == (0, theirs.num_rows, 0)
    found = rc("migrate", "verify", bars, *options(mapping, period))
    assert (found["rate"], found["expected"], found["actual"]) == (1.0, theirs.num_rows, theirs.num_rows)
    assert {*PRICES} <= {*found["columns"]}


def test_prices_are_those_of_the_file_to_the_last_digit(rc: Callable[..., dict[str, Any]]) -> None:
    bars = shared("data/fxcm_eurusd_2014-05/bars_1m.parquet")
    rc("migrate", "upsert", bars, *options("fxcm_eurusd.yaml", "1m"))
    from ashioto.bars.timebucket import BarTable
    from ashioto.dsl.bar import bind_bar

    project = open_project()
    (owner, kind), *_ = project.bars(["RateBar1m"])
    ours = BarTable(bind_bar(kind, context=owner), project.log).read("FXCM", "EURUSD")
    theirs = pq.read_table(bars)
    assert ours["bucket_start"].to_pylist() == theirs["ts"].to_pylist()
    for name in PRICES:
        assert (numbers(ours[name]) == numbers(theirs[f"bid_{name}"])).all()
    assert set(ours["origin"].to_pylist()) == {"history"}
    assert all(ours["final"].to_pylist())


def build(tmp_path: Path, ticks: Path, *args: str) -> Path:
    out = tmp_path / "built.parquet"
    done = CliRunner().invoke(app, ["bars", "build", str(ticks), *args, "--no-fill", "--scale", "8", "--out", str(out)])
    assert done.exit_code == 0, done.output
    return out


OANDA = ("--time", "ts", "--price", "bid", "--period", "1m,1h,1d", "--key", "broker=OANDA", "--key", "symbol=EURUSD")


def test_own_bars_of_the_ticks_are_the_vendors_where_conventions_agree(
    rc: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    folder = shared("data/oanda_eurusd_2014-05")
    built = build(tmp_path, folder / "ticks.parquet", *OANDA)
    added = rc("migrate", "upsert", built, "--bar", "RateBar1m")
    assert added["other_periods"] > 0
    columns = ("--columns", ",".join(PRICES))
    found = rc("migrate", "verify", folder / "bars_1m.parquet", *options("oanda_eurusd.yaml", "1m"), *columns)
    assert (found["rate"], found["expected"]) == (1.0, added["written"])
    assert found["not_compared"]["ticks"] == "was not asked for"


def test_verify_names_the_hours_of_oanda_that_do_not_open_at_their_first_tick(
    rc: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    folder = shared("data/oanda_eurusd_2014-05")
    built = build(tmp_path, folder / "ticks.parquet", *OANDA)
    rc("migrate", "upsert", built, "--bar", "RateBar1h")
    columns = ("--columns", ",".join(PRICES))
    found = rc("migrate", "verify", folder / "bars_1h.parquet", *options("oanda_eurusd.yaml", "1h"), *columns, code=3)
    theirs = pq.read_table(folder / "bars_1h.parquet")
    every = pq.read_table(built)
    ours = every.filter(pc.equal(every["period"], "1h"))
    wrong = {name: numbers(ours[name]) != numbers(theirs[f"bid_{name}"]) for name in PRICES}
    assert found["differing"] == {name: int(wrong[name].sum()) for name in ("open", "high", "low") if wrong[name].any()}
    assert not wrong["close"].any()
    rows = np.flatnonzero(np.any(list(wrong.values()), axis=0))
    assert (found["unequal"], found["missing"], found["extra"]) == (len(rows), 0, 0)
    named = [one["bucket_start"] for one in found["differences"]]
    times = [theirs["ts"][int(row)].as_py().strftime("%Y-%m-%dT%H:%M:%SZ") for row in rows[: len(named)]]
    assert named == times
    first = found["differences"][0]["columns"]["open"]
    assert float(first["expected"]) == theirs["bid_open"][int(rows[0])].as_py()
    assert float(first["actual"]) == numbers(ours["open"])[rows[0]]


def test_verify_names_the_days_of_fxcm_that_begin_elsewhere(rc: Callable[..., dict[str, Any]], tmp_path: Path) -> None:
    folder = shared("data/fxcm_eurusd_2014-05")
    keys = ("--key", "broker=FXCM", "--key", "symbol=EURUSD")
    built = build(tmp_path, folder / "ticks.parquet", "--time", "ts", "--price", "bid", "--period", "1h,1d", *keys)
    for period, code in (("1h", 0), ("1d", 3)):
        rc("migrate", "upsert", built, "--bar", f"RateBar{period}")
        vendor = folder / f"bars_{period}.parquet"
        columns = ("--columns", ",".join(PRICES))
        found = rc("migrate", "verify", vendor, *options("fxcm_eurusd.yaml", period), *columns, code=code)
        assert found["is_equal"] == (code == 0), period
    assert found["expected"] == 8
    assert found["unequal"] > 0
