"""Engines as processes share the partitions of a source on a real broker: killed, paused, and ended in good order."""

from __future__ import annotations

import signal
import subprocess
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
from tests.support_engine import HOUR, MINUTE, Market, bars, columns, trade
from tests.support_host import ENV, version_of
from tests.support_kafka_log import open_kafka_log
from tests.support_roles import CLOCK, ROOT, environment, wait_until

import ashioto as ao
from ashioto.control.applied import registration_batch
from ashioto.control.sharing import engine_owners
from ashioto.engines.embedded.registry import EmbeddedRegistry

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support_engine import Row

    from ashioto.engines.base import RunningQuery
    from ashioto.log.kafka import KafkaLog

PARTITIONS = 4
SYMBOLS = "ABCDEFGHIJ"
QUERY = bars("1m", "5m", context=ao.Context("t"), name="q")
HOURS = [(s, 0, HOUR) for s in SYMBOLS]
BAR = ("symbol", "bucket_start", "open", "high", "low", "close", "ticks", "final", "synthetic")


@dataclass
class Processes:
    """Engines on one log, in a world of its own.

    Args:
        log: The log.
        market: What is on it.
        arguments: Of each process.
        folder: Where they say what they do.
    """

    log: KafkaLog
    market: Market
    arguments: list[str]
    folder: Path
    started: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def start(self, *, session_s: float) -> subprocess.Popen[bytes]:
        """Start one; a silent one is taken for gone after so long."""
        file = ROOT / "tests" / "integration" / "engine_processes.py"
        with (self.folder / f"{len(self.started)}.out").open("wb") as out:
            command = [sys.executable, str(file), *self.arguments, str(session_s)]
            made = subprocess.Popen(command, env=environment(), stdin=subprocess.DEVNULL, stdout=out, stderr=out)
        self.started.append(made)
        return made

    def said(self, process: subprocess.Popen[bytes]) -> str:
        return (self.folder / f"{self.started.index(process)}.out").read_text("utf-8", errors="replace")

    @property
    def state(self) -> RunningQuery:
        """How the query stands."""
        owners = engine_owners(self.log, env=ENV, clock=CLOCK)
        (found,) = EmbeddedRegistry(self.log, env=ENV, owners=owners).inspect([version_of(QUERY.plan)])
        return found

    def owners(self) -> dict[int, str]:
        """Return who runs which partition."""
        return dict(engine_owners(self.log, env=ENV, clock=CLOCK).of("t.trade", PARTITIONS))

    def all_run_by(self, *processes: subprocess.Popen[bytes]) -> None:
        """Wait until these, and no others, run all partitions."""
        wanted = {process.pid for process in processes}

        def settled() -> bool:
            for process in processes:
                assert process.poll() is None, self.said(process)
            found = self.owners()
            return len(found) == PARTITIONS and {int(name.split(":")[1]) for name in found.values()} == wanted

        wait_until(settled, every=0.05, what=f"{wanted} running all partitions")

    def end(self) -> None:
        for process in self.started:
            process.send_signal(signal.SIGCONT)
            process.terminate()
        for process in self.started:
            process.wait(timeout=60)


@pytest.fixture
def processes(kafka: str, registry: str, unique: str, tmp_path: Path) -> Iterator[Processes]:
    with open_kafka_log(kafka, registry, unique, tmp_path) as log:
        market = Market.of(QUERY, hours=HOURS, partitions=PARTITIONS, log=log)
        log.append([registration_batch(ENV, [version_of(QUERY.plan)])])
        found = Processes(log, market, [kafka, registry, f"{unique}", str(tmp_path)], tmp_path)
        try:
            yield found
        finally:
            found.end()
    assert not [text for process in found.started if "Traceback" in (text := found.said(process))]


def ticks(*minutes: int) -> list[Row]:
    """A tick of every symbol in each of some minutes, and a bad one."""
    rows = [trade(s, m * MINUTE + n, 1 + (n + m) % 7) for m in minutes for n, s in enumerate(SYMBOLS)]
    return [*rows, trade(SYMBOLS[minutes[0] % 10], minutes[0] * MINUTE, None)]


def same_as_one_engine(found: Processes, rows: list[Row], until: int) -> None:
    """Wait for the bars that one engine makes of the same ticks, and for as many dead letters as there are bad ones."""
    alone = Market.of(QUERY, hours=HOURS, partitions=PARTITIONS)
    alone.send(*rows)
    alone.at(until)
    wanted = {kind: columns(alone.bars(kind), *BAR) for kind in ("1m", "5m")}
    wait_until(
        lambda: all(columns(found.market.bars(kind), *BAR) == wanted[kind] for kind in wanted), what="the same bars"
    )
    counts = [sum(row[name] for row in found.market.progress()) for name in ("ticks", "rejected")]
    bad = sum(row["price"] is None for row in rows)
    assert counts == [len(rows) - bad, bad]
    letters = [(row["source_partition"], row["source_offset"]) for row in found.market.dead()]
    assert len(letters) == len(set(letters)) == bad


def test_two_share_the_partitions_and_one_takes_all_when_the_other_is_killed(processes: Processes) -> None:
    one = processes.start(session_s=1.0)
    processes.all_run_by(one)
    two = processes.start(session_s=1.0)
    processes.all_run_by(one, two)
    assert processes.state.state == "running"
    assert {"partition" in part for part in processes.state.detail.split("; ")} == {True}
    rows = ticks(0, 1)
    processes.market.send(*rows)
    wait_until(lambda: sum(row["ticks"] for row in processes.market.progress()) == 20, what="all ticks")
    more = ticks(2)
    processes.market.send(*more)
    one.kill()
    processes.all_run_by(two)
    last = ticks(3, 7)
    processes.market.send(*last)
    processes.market.beat(9 * MINUTE)
    same_as_one_engine(processes, [*rows, *more, *last], 9 * MINUTE)
    processes.start(session_s=1.0)


def test_one_that_slept_past_its_session_is_refused_and_shares_again(processes: Processes) -> None:
    one, two = processes.start(session_s=1.0), processes.start(session_s=1.0)
    processes.all_run_by(one, two)
    rows = ticks(0)
    processes.market.send(*rows)
    one.send_signal(signal.SIGSTOP)
    processes.all_run_by(two)
    more = ticks(1, 5)
    processes.market.send(*more)
    processes.market.beat(8 * MINUTE)
    one.send_signal(signal.SIGCONT)
    same_as_one_engine(processes, [*rows, *more], 8 * MINUTE)
    processes.all_run_by(one, two)
    last = ticks(9)
    processes.market.send(*last)
    processes.market.beat(11 * MINUTE)
    same_as_one_engine(processes, [*rows, *more, *last], 11 * MINUTE)


def test_one_that_ends_in_good_order_is_replaced_long_before_its_session_ends(processes: Processes) -> None:
    one, two = processes.start(session_s=300.0), processes.start(session_s=300.0)
    processes.all_run_by(one, two)
    rows = ticks(0)
    processes.market.send(*rows)
    wait_until(lambda: sum(row["ticks"] for row in processes.market.progress()) == 10, what="all ticks")
    began = CLOCK.monotonic()
    one.terminate()
    processes.all_run_by(two)
    took = CLOCK.monotonic() - began
    print(f"handed over within {took:.2f} s")  # noqa: T201  # for whoever reads along
    assert one.wait(timeout=60) == 0
    processes.market.beat(2 * MINUTE)
    same_as_one_engine(processes, rows, 2 * MINUTE)


def test_without_an_engine_nobody_runs_it(processes: Processes) -> None:
    assert processes.state.state == "waiting"
    one = processes.start(session_s=1.0)
    wait_until(lambda: processes.state.state == "running", what="an engine")
    assert processes.state.detail.endswith(f":{one.pid}")
