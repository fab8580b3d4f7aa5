"""Projects on Kafka, and the same ones on the embedded log, as an operator has them."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from tests.support_roles import PATIENCE, rc

from ashioto.config import load_config
from ashioto.log.opening import open_kafka

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from ashioto.log.base import Log
    from ashioto.log.kafka import KafkaLog

ENV = ("dev", "local")
BARS = "trading.rate_bars_1s"
OFFSETS = {"first_seq", "last_seq", "source_cut"}
"""Columns that hold offsets of the log, which no other log has."""


def settle(patch: pytest.MonkeyPatch, registry: str, unique: str) -> None:
    """Say in the environment where the registry is, and that this project shares no topic with another one."""
    patch.setenv("ASHIOTO_LOG__PREFIX", f"{unique}.")
    patch.setenv("ASHIOTO_SCHEMA_REGISTRY__URL", registry)


def project(folder: Path, bootstrap: str = "") -> Path:
    """Make a starter project with bars of a second: on Kafka where brokers are named."""
    folder.mkdir(parents=True, exist_ok=True)
    rc(folder, "init", *(["--kafka"] if bootstrap else []))
    settings = folder / "ashioto.toml"
    settings.write_text(settings.read_text(encoding="utf-8").replace("localhost:9092", bootstrap), encoding="utf-8")
    file = folder / "bars.py"
    text = file.read_text(encoding="utf-8")
    text = text.replace("Period.minutes(1),", "Period.seconds(1),\n        Period.minutes(1),", 1)
    text = text.replace("grace=timedelta(seconds=5)", "grace=timedelta(milliseconds=500)")
    file.write_text(text + "\nRateBar1s = rate_bars.bar(Period.seconds(1))\n", encoding="utf-8")
    return folder


def opened(folder: Path) -> KafkaLog:
    """Open the log of a project on Kafka."""
    return open_kafka(load_config(folder))


def sessions(folder: Path, opens: datetime, symbol: str = "BTCUSD") -> None:
    """Import a session of a day."""
    row = (opens.isoformat(), (opens + timedelta(days=1)).isoformat(), opens.date().isoformat())
    file = folder / "hours.csv"
    file.write_text(f"open,close,market_date\n{','.join(row)}\n", encoding="utf-8")
    rc(folder, "schedule", "import", file.name, "--key", "broker=SIM", "--key", f"symbol={symbol}")


def bars(log: Log, topic: str = BARS) -> list[dict[str, Any]]:
    """Return the bars of a topic, apart from what is an offset."""
    table = pa.Table.from_batches([log.view(topic).data])
    found: list[dict[str, Any]] = table.drop_columns(sorted(OFFSETS & set(table.column_names))).to_pylist()
    return found


def finals(log: Log) -> int:
    """Return how many bars of a second are final."""
    return sum(bar["final"] for bar in bars(log))


def standing(folder: Path, *, code: int | None, patience_s: float = PATIENCE) -> list[dict[str, Any]]:
    """Return the rows of `rc infra status`, which leaves with the code."""
    said = rc(folder, "infra", "status", "--json", code=code, patience_s=patience_s)
    found: list[dict[str, Any]] = json.loads(said.partition("]")[0] + "]")
    return found


def last_heartbeat(folder: Path) -> datetime | None:
    """Return until when all heartbeats of a second have been sent."""
    rows = json.loads(rc(folder, "hb", "list", "--json"))
    last = next((row["last_hb"] for row in rows if row["kind"] == "1s"), None)
    return None if last is None else datetime.fromisoformat(last).astimezone(UTC)


def ticks(log: Log) -> pa.Table:
    """Return all ticks, in the order of the log."""
    parts = []
    for partition, end in log.end_offsets("trading.rate").items():
        at = 0
        while at < end and (part := log.read("trading.rate", partition, at)) is not None:
            parts.append(part.data)
            at = part.next_offset
    return pa.Table.from_batches(parts)
