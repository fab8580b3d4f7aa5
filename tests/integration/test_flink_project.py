"""A project on Flink from the command line: applied, applied again, changed, and taken back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from tests.support_flink_bars import PATIENCE_S
from tests.support_kafka_project import bars, opened, project, sessions, settle, standing
from tests.support_roles import rc, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ashioto.log.kafka import KafkaLog
    from ashioto.testing.stack import FlinkPlace

OLD = datetime(2025, 1, 6, tzinfo=UTC)
TICKS = 205


@pytest.fixture
def folder(
    tmp_path: Path, kafka: str, registry: str, flink: FlinkPlace, unique: str, monkeypatch: pytest.MonkeyPatch
) -> Path:
    settle(monkeypatch, registry, unique)
    engine = {"KIND": "flink", "URL": flink.gateway_url, "JOBMANAGER": flink.jobmanager_url}
    engine |= {"CHECKPOINTS": flink.checkpoints.as_uri(), "CHECKPOINT_INTERVAL": "1s"}
    for name, value in engine.items():
        monkeypatch.setenv(f"ASHIOTO_ENGINE__{name}", value)
    return project(tmp_path / "flink", kafka)


@pytest.fixture
def log(folder: Path) -> Iterator[KafkaLog]:
    with opened(folder) as found:
        yield found


def states(folder: Path) -> dict[str, str]:
    """Return how the versions of the query stand."""
    rows = standing(folder, code=None, patience_s=PATIENCE_S)
    return {row["object"]: row["state"] for row in rows if row["object"].startswith("trading_rate_bars_v")}


def apply(folder: Path) -> str:
    """Apply; a cluster plans a job for seconds, and a source without ticks is not quick to say that it reads."""
    return rc(folder, "infra", "apply", patience_s=2 * PATIENCE_S)


def await_volume(log: KafkaLog, volume: int) -> None:
    """Wait until the bars of a second have so much volume."""
    wait_until(
        lambda: sum(bar["volume"] for bar in bars(log)) == volume, every=0.2, what="the volume", patience_s=PATIENCE_S
    )


def test_a_changed_query_takes_over_and_one_that_is_gone_ends(folder: Path, log: KafkaLog) -> None:
    apply(folder)
    assert apply(folder) == "nothing to do\n"
    sessions(folder, OLD, "OLD")
    lines = [f"SIM,OLD,{(OLD + timedelta(minutes=7 * i)).isoformat()},{100 + i % 9}.5,1.00" for i in range(TICKS)]
    (folder / "ticks.csv").write_text("\n".join(["broker,symbol,at,price,size", *lines, ""]), encoding="utf-8")
    rc(folder, "ticks", "send", "ticks.csv")
    await_volume(log, TICKS)
    assert states(folder) == {"trading_rate_bars_v1": "ok"}

    declared = folder / "bars.py"
    before = declared.read_text(encoding="utf-8")
    declared.write_text(before.replace("ao.sum(Rate.size)", "ao.sum(Rate.size) * 2"), encoding="utf-8")
    assert "replace" in rc(folder, "infra", "plan", code=3, patience_s=PATIENCE_S)
    apply(folder)
    await_volume(log, 2 * TICKS)
    assert states(folder) == {"trading_rate_bars_v2": "ok"}
    assert [name for name in log.topics() if name.endswith("_carry")] == ["trading_rate_bars_v2_carry"]

    declared.write_text(before[: before.index("rate_bars = (")] + "trading.events(Rate)\n", encoding="utf-8")
    apply(folder)
    assert states(folder) == {}
    assert [name for name in log.topics() if name.endswith("_carry")] == []
    assert sum(bar["volume"] for bar in bars(log)) == 2 * TICKS
