"""A project in a folder of its own, with bars in its log."""

from __future__ import annotations

import sys
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from typer.testing import CliRunner

from ashioto import Period
from ashioto.cli.app import app
from ashioto.cli.project import Project, open_project
from ashioto.deploy.bootstrap import ensure_topics
from ashioto.engines.embedded.output import bar_schema
from ashioto.engines.embedded.plan import compile_query
from ashioto.engines.embedded.topics import bars_batch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from typer.testing import Result

START = datetime(2025, 1, 6, 9, 0, tzinfo=UTC)


@pytest.fixture
def run() -> Callable[..., Result]:
    """Run `rc` in this process; fails the test unless the exit code is the expected one."""

    def invoke(*args: object, code: int = 0) -> Result:
        result = CliRunner().invoke(app, [str(arg) for arg in args])
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert result.exit_code == code, result.output
        return result

    return invoke


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: Callable[..., Result]) -> Iterator[Path]:
    """A folder that `rc init` has filled, as the working directory."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.chdir(tmp_path)
    run("init")
    yield tmp_path
    sys.modules.pop("bars", None)


@pytest.fixture
def flink_project(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project whose queries run in Flink; nothing of it is there."""
    settings = {
        "LOG__KIND": "kafka", "LOG__BOOTSTRAP": "localhost:9", "SCHEMA_REGISTRY__URL": "http://localhost:9",
        "ENGINE__KIND": "flink", "ENGINE__URL": "http://localhost:9", "ENGINE__JOBMANAGER": "http://localhost:9",
        "ENGINE__CHECKPOINTS": "file:///data/flink",
    }  # fmt: skip
    for name, value in settings.items():
        monkeypatch.setenv(f"ASHIOTO_{name}", value)
    return folder


@pytest.fixture
def project(folder: Path) -> Project:
    """The opened project, with its topics."""
    opened = open_project()
    assert opened.config.root == folder.resolve()
    ensure_topics(opened.log, opened.contexts)
    return opened


@pytest.fixture
def write_bars(project: Project) -> Callable[..., None]:
    """Write bars of one series: one a minute, the last one live, every third without ticks."""

    def write(symbol: str = "EURUSD", *, first: int = 0, count: int = 10, period: Period | None = None) -> None:
        frame = period or Period.minutes(1)
        plan = compile_query(project.contexts[0].queries["rate_bars"].plan)
        schema = bar_schema(plan, frame)
        rows = [_bar(symbol, first + i, final=i < count - 1) for i in range(count)]
        columns = [pa.array([row.get(f.name) for row in rows], f.type) for f in schema]
        project.log.append([bars_batch(plan, frame, 0, pa.Table.from_arrays(columns, schema=schema))])

    return write


def _bar(symbol: str, minute: int, *, final: bool) -> dict[str, Any]:
    start = START + timedelta(minutes=minute)
    price = Decimal("1.10") + Decimal(minute) / 1000
    return {
        "broker": "FX",
        "symbol": symbol,
        "bucket_start": start,
        "bucket_end": start + timedelta(minutes=1),
        "market_date": date(2025, 1, 6),
        "open": price,
        "high": price + Decimal("0.0005"),
        "low": price - Decimal("0.0005"),
        "close": price + Decimal("0.0002"),
        "volume": Decimal(minute),
        "ticks": minute + 1,
        "final": final,
        "synthetic": minute % 3 == 2,
        "origin": "stream",
    }
