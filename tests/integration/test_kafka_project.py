"""A project on Kafka from the command line: real `rc` processes on a real broker and a real registry."""

from __future__ import annotations

import csv
import json
import signal
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pyarrow.parquet as pq
import pytest
from tests.support_kafka_project import (
    BARS,
    ENV,
    bars,
    finals,
    last_heartbeat,
    opened,
    project,
    sessions,
    settle,
    standing,
    ticks,
)
from tests.support_roles import CLOCK, Role, Roles, leader, rc, wait_until

from ashioto.control.roles import heartbeat_role
from ashioto.log.embedded import EmbeddedLog

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ashioto.log.kafka import KafkaLog

KEY = ("--key", "broker=SIM", "--key", "symbol=OLD")
OLD = datetime(2025, 1, 6, tzinfo=UTC)


@pytest.fixture
def folder(tmp_path: Path, kafka: str, registry: str, unique: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    settle(monkeypatch, registry, unique)
    return project(tmp_path / "kafka", kafka)


@pytest.fixture
def applied(folder: Path) -> Path:
    rc(folder, "infra", "apply")
    return folder


@pytest.fixture
def log(folder: Path) -> Iterator[KafkaLog]:
    with opened(folder) as found:
        yield found


@pytest.fixture
def roles(folder: Path) -> Iterator[Roles]:
    with Roles(folder) as started:
        yield started
    assert started.tracebacks() == []


def embedded(folder: Path) -> Path:
    """The same project on the embedded log, applied."""
    project(folder)
    rc(folder, "infra", "apply")
    return folder


def test_a_plan_is_applied_once_and_then_there_is_nothing_to_do(folder: Path, log: KafkaLog) -> None:
    assert "trading.rate_bars_1s" in rc(folder, "infra", "plan", code=3)
    assert log.topics() == []
    rc(folder, "infra", "apply")
    ends = {topic: log.end_offsets(topic) for topic in log.topics()}
    assert len(ends) == 15
    assert {len(ends[t]) for t in ("trading.rate", "trading.rate_hb", BARS)} == {4}
    assert rc(folder, "infra", "apply") == "nothing to do\n"
    assert rc(folder, "infra", "plan") == "nothing to do\n"
    assert {topic: log.end_offsets(topic) for topic in log.topics()} == ends
    rows = standing(folder, code=3)
    assert {row["state"] for row in rows if row["object"].startswith("trading.rate")} == {"ok"}


def more(log: KafkaLog, count: int = 3) -> None:
    """Wait for more final bars."""
    before = finals(log)
    wait_until(lambda: finals(log) >= before + count, every=0.2, what="a final bar")


def beating(log: KafkaLog, among: list[Role]) -> Role:
    """Wait until one of some processes is the active heartbeat."""
    found: list[Role] = []

    def active() -> bool:
        one = leader(log, heartbeat_role(ENV, "trading"), among)
        found[:] = [] if one is None else [one]
        return one is not None

    wait_until(active, every=0.1, what="an active heartbeat")
    return found[0]


def test_bars_are_those_of_the_embedded_log_whoever_is_killed(
    applied: Path, log: KafkaLog, roles: Roles, tmp_path: Path
) -> None:
    opens = datetime.now(UTC).replace(microsecond=0) - timedelta(seconds=20)
    sessions(applied, opens)
    engines = [roles.start("engine", "run"), roles.start("engine", "run")]
    beats = [roles.start("hb", "run"), roles.start("hb", "run")]
    feed = roles.start("ticks", "simulate", "--rate", 20)
    more(log)
    beating(log, beats).end(signal.SIGKILL)
    more(log)
    engines[0].end(signal.SIGKILL)
    more(log)
    roles.start("engine", "run").wait_for("health on")
    engines[1].end(signal.SIGKILL)
    more(log)
    assert beating(log, beats).runs
    feed.end(signal.SIGINT)
    more(log)
    assert [one.end() for one in roles.started if one.runs] == [0, 0]

    until = last_heartbeat(applied)
    assert until is not None
    wanted = [bar for bar in bars(log) if bar["final"] and bar["bucket_end"] + timedelta(seconds=1) <= until]
    starts = [bar["bucket_start"] for bar in wanted]
    assert starts == [starts[0] + timedelta(seconds=i) for i in range(len(starts))]
    assert any(not bar["synthetic"] for bar in wanted)
    assert replayed(embedded(tmp_path / "embedded"), log, opens, until)[: len(wanted)] == wanted


def replayed(folder: Path, log: KafkaLog, opens: datetime, until: datetime) -> list[dict[str, object]]:
    """Return the bars that the embedded log has of the same ticks."""
    sessions(folder, opens)
    pq.write_table(ticks(log), folder / "ticks.parquet")
    rc(folder, "ticks", "send", "ticks.parquet")
    with Roles(folder) as others, EmbeddedLog(folder / ".ashioto" / "log.db") as mine:
        others.start("engine", "run")
        others.start("hb", "run")
        wait_until(lambda: any(b["final"] and b["bucket_end"] >= until for b in bars(mine)), every=0.2)
        return bars(mine)


def test_history_comes_in_by_every_way(applied: Path, tmp_path: Path) -> None:
    other = embedded(tmp_path / "embedded")
    for folder in (applied, other):
        sessions(folder, OLD, "OLD")
        write_ticks(folder / "ticks.csv")
        rc(folder, "migrate", "replay", "ticks.csv", "--query", "rate_bars", *KEY)
    read = ("bars", "read", "RateBar5m", "--limit", 1000, "--json")
    assert rc(applied, *read) == rc(other, *read)
    assert len(json.loads(rc(applied, *read))) == 286
    (applied / "want.csv").write_text(as_csv(json.loads(rc(other, *read))), encoding="utf-8")
    rc(applied, "migrate", "verify", "want.csv", "--bar", "RateBar5m")
    assert "nothing" in rc(applied, "migrate", "replay", "ticks.csv", "--query", "rate_bars", *KEY)
    (other / "want.csv").write_text((applied / "want.csv").read_text(encoding="utf-8"), encoding="utf-8")
    assert upserted(applied, "want.csv") == upserted(other, "want.csv")
    assert upserted(applied, "want.csv") == 0
    assert rc(applied, *read) == rc(other, *read)
    rows = json.loads(rc(other, *read))
    rows[7]["close"] = rows[7]["high"] = "200.5"
    (applied / "off.csv").write_text(as_csv(rows), encoding="utf-8")
    rc(applied, "migrate", "verify", "off.csv", "--bar", "RateBar5m", code=3)
    assert upserted(applied, "off.csv") == 1
    rc(applied, "migrate", "verify", "off.csv", "--bar", "RateBar5m")


def upserted(folder: Path, file: str) -> int:
    """Add the bars of a file; returns how many were written."""
    return int(json.loads(rc(folder, "migrate", "upsert", file, "--bar", "RateBar5m", "--json"))["written"])


def write_ticks(file: Path) -> None:
    """Write a tick every seven minutes of a day."""
    lines = [f"{(OLD + timedelta(minutes=7 * i)).isoformat()},{100 + i % 9}.5,1.00" for i in range(205)]
    file.write_text("at,price,size\n" + "\n".join(lines) + "\n", encoding="utf-8")


def as_csv(rows: list[dict[str, object]]) -> str:
    """Return bars as the text of a file."""
    names = ["broker", "symbol", "bucket_start", "open", "high", "low", "close", "volume", "ticks"]
    lines: list[str] = []

    class Lines:
        def write(self, text: str) -> None:
            lines.append(text)

    writer = csv.DictWriter(Lines(), names, extrasaction="ignore")
    writer.writeheader()
    writer.writerows(rows)
    return "".join(lines)


def test_all_roles_in_one_process_and_bars_as_they_grow(applied: Path, log: KafkaLog, roles: Roles) -> None:
    sessions(applied, datetime.now(UTC).replace(microsecond=0) - timedelta(seconds=20))
    dev = roles.start("dev")
    dev.wait_for("running; ^C stops")
    assert "another rc dev" in rc(applied, "dev", code=5)
    roles.start("ticks", "simulate", "--rate", 20)
    tail = roles.start("bars", "tail", "--bar", "RateBar1s")
    more(log)
    tail.wait_for("SIM")
    assert dev.end() == 0
    assert CLOCK.monotonic() > 0


def test_without_topics_a_command_says_who_makes_them(folder: Path) -> None:
    said = rc(folder, "ticks", "simulate", "--seconds", 1, code=1)
    assert "rc infra apply" in said
