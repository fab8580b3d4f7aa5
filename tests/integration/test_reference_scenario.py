"""The worked case of the reference comes out exactly, from files and through the command."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest
from tests.support_shared import shared
from typer.testing import CliRunner

from ashioto.cli.app import app

if TYPE_CHECKING:
    from pathlib import Path

TIMES = ("bucket_start", "bucket_end", "first_at", "last_at")
DECIMALS = ("open", "high", "low", "close", "volume")


def keyed(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        {"broker": row["key"][0], "symbol": row["key"][1], **{k: v for k, v in row.items() if k != "key"}}
        for row in rows
    ]


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_the_scenario(tmp_path: Path, kind: str) -> None:
    case = json.loads(shared("oracle/scenario.json").read_text(encoding="utf-8"))
    for name in ("ticks", "sessions"):
        table = pa.Table.from_pylist(keyed(case[name]))
        write = pyarrow.csv.write_csv if kind == "csv" else pyarrow.parquet.write_table
        write(table.cast(_typed(table.schema, kind)), tmp_path / f"{name}.{kind}")
    periods = list(case["bars"])
    out = tmp_path / "bars.parquet"
    result = CliRunner().invoke(
        app,
        [
            *("bars", "build", str(tmp_path / f"ticks.{kind}"), "--time", "at", "--price", "price", "--size", "size"),
            *("--key-column", "broker", "--key-column", "symbol", "--period", ",".join(periods)),
            *("--sessions", str(tmp_path / f"sessions.{kind}"), "--grace", str(case["grace"] / 1000)),
            *("--now", datetime.fromtimestamp(case["now"] / 1000, UTC).isoformat(), "--out", str(out)),
        ],
    )
    assert result.exit_code == 0, result.output
    rows = pyarrow.parquet.read_table(out).to_pylist()
    wanted = [bar for period in periods for bar in keyed(case["bars"][period])]
    assert rows
    assert [_comparable(row, wanted[0]) for row in rows] == [_expected(bar) for bar in wanted]


def _typed(schema: pa.Schema, kind: str) -> pa.Schema:
    """Decimals as text stay text in CSV; in Parquet they are numbers."""
    numbers = {"price", "size"} if kind == "parquet" else set()
    return pa.schema([pa.field(f.name, pa.float64()) if f.name in numbers else f for f in schema])


def _comparable(row: dict[str, Any], names: dict[str, Any]) -> dict[str, Any]:
    found = {name: row[name] for name in names if name in row}
    for name in TIMES:
        found[name] = None if row[name] is None else round(row[name].timestamp() * 1000)
    return found


def _expected(bar: dict[str, Any]) -> dict[str, Any]:
    found = {name: value for name, value in bar.items() if not name.endswith("_seq")}
    return {**found, **{name: Decimal(found[name]) for name in DECIMALS}}
