"""Vendors' ticks replayed into a project give the bars that `rc bars build` makes of the same files."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from tests.support_shared import shared
from typer.testing import CliRunner

from ashioto.cli.app import app
from ashioto.cli.project import open_project
from ashioto.deploy.bootstrap import ensure_topics
from ashioto.schema.arrow import user_table

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

COLUMNS = [
    "bucket_start",
    "bucket_end",
    "market_date",
    "open",
    "high",
    "low",
    "close",
    "synthetic",
    "first_at",
    "last_at",
]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A project."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.chdir(tmp_path)
    run("init")
    yield tmp_path
    sys.modules.pop("bars", None)


def run(*args: object) -> Any:
    result = CliRunner().invoke(app, [str(arg) for arg in args])
    assert result.exit_code == 0, result.output
    return result


@pytest.mark.parametrize(
    ("name", "price", "days"),
    [
        ("usdjpy_2024-01-08", "bid", ("2024-01-07", "2024-01-10")),
        ("dukascopy_eurusd_2019-02-04", "bid", ("2019-02-03", "2019-02-06")),
        ("oanda_eurusd_2014-05", "ask", ("2014-04-30", "2014-05-12")),
    ],
)
def test_the_bars_are_those_of_a_build(folder: Path, name: str, price: str, days: tuple[str, str]) -> None:
    ticks, out = shared(f"data/{name}/ticks.parquet"), folder / "built.parquet"
    project = open_project()
    ensure_topics(project.log, project.contexts)
    key = ("--key", "broker=V", "--key", "symbol=S")
    run("schedule", "import", "24x7", "--from", days[0], "--to", days[1], *key)
    run(
        "bars",
        "build",
        ticks,
        "--period",
        "1m,5m,1h,1d",
        "--time",
        "ts",
        "--price",
        price,
        *key,
        "--scale",
        "5",
        "--out",
        out,
    )
    call = ("migrate", "replay", ticks, "--map", "at=ts", "--map", f"price={price}", *key, "--json")
    said = json.loads(run(*call).stdout)
    assert said["ticks"] == pq.read_metadata(ticks).num_rows
    built = pq.read_table(out)
    for period in ("1m", "5m", "1h", "1d"):
        mine = user_table(pa.Table.from_batches([project.log.view(f"trading.rate_bars_{period}").data])).select(COLUMNS)
        theirs = built.filter(pc.equal(built["period"], period)).select(COLUMNS)
        theirs = theirs.filter(pc.less_equal(theirs["bucket_start"], pc.max(mine["bucket_start"])))
        assert mine.cast(theirs.schema).equals(theirs)
        assert mine.num_rows == said["written"][period]
    assert json.loads(run(*call).stdout)["written"] == {}
