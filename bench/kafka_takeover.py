"""Measures how long roles on Kafka are without an owner: heartbeat and engine after kill -9, after SIGSTOP and SIGTERM.

Run as `python bench/kafka_takeover.py [--times N] [--only NAME ...]`, on the brokers' own time-outs. A heartbeat's
take-over is timed from the signal to the first state that is written under a newer epoch; that of an engine, to when
all partitions have a newer epoch held by the other one. On one machine a heartbeat sees that the other's process is
gone; SIGSTOP is what a standby on another machine sees.
"""

from __future__ import annotations

import argparse
import signal
import subprocess
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from heartbeat import percentiles
from kafka_world import World, load, world
from market import RC, environment, schedule_batch

from ashioto.clock import SystemClock
from ashioto.control.roles import heartbeat_role, partition_role
from ashioto.control.specs import heartbeat_specs
from ashioto.control.state import heartbeat_state
from ashioto.schedule.calendars import calendar_sessions

if TYPE_CHECKING:
    from collections.abc import Callable

    from ashioto.log.kafka import KafkaLog

ENV: Final = ("dev", "local")
CLOCK: Final = SystemClock()
PATIENCE_S: Final = 120.0
PARTITIONS: Final = 2
NAMES: Final = {"kill": signal.SIGKILL, "stop": signal.SIGSTOP, "graceful": signal.SIGTERM}
Process = subprocess.Popen[bytes]


def until(true: Callable[[], bool], every: float = 0.002) -> None:
    end = CLOCK.monotonic() + PATIENCE_S
    while not true():
        assert CLOCK.monotonic() < end, "it never came"
        CLOCK.sleep(every)


class Project:
    """A project on Kafka, and the processes of one role."""

    def __init__(self, there: World, log: KafkaLog, role: str) -> None:
        self.folder, self.log, self.role = there.folder / role, log, role
        self.folder.mkdir()
        made = "from market import declared\ncontext, _ = declared(frames=('1m',))\n"
        (self.folder / "declared_here.py").write_text(made, "utf-8")
        toml = f'[project]\ncontexts = ["declared_here:context"]\n[log]\npartitions = {PARTITIONS}\n'
        (self.folder / "ashioto.toml").write_text(toml, "utf-8")
        self.environment = environment() | there.environment() | {"PWD": str(self.folder)}
        self.processes: list[Process] = []
        self.started = 0
        subprocess.run([*RC, "infra", "apply"], cwd=self.folder, env=self.environment, check=True, stdout=-3)

    def fill(self, size: int) -> None:
        while len(self.processes) < size:
            self.started += 1
            with (self.folder / f"{self.started}.out").open("wb") as out:
                command = [*RC, self.role, "run"]
                process = subprocess.Popen(command, cwd=self.folder, env=self.environment, stdout=out, stderr=out)
            self.processes.append(process)

    def holders(self) -> list[tuple[int, int]]:
        """Return the process and the epoch of each fence of the role; 0 for nobody."""
        names = [heartbeat_role(ENV, "bench")]
        if self.role == "engine":
            names = [partition_role(ENV, "bench.rate", number) for number in range(PARTITIONS)]
        found = [self.log.lease(name) for name in names]
        return [(0, 0) if one is None or one.holder is None else (one.holder.pid, one.epoch) for one in found]

    def settled(self) -> list[tuple[int, int]]:
        """Wait until everything is run by two processes that have been there for a while."""
        self.fill(2)
        pids = {process.pid for process in self.processes}
        until(lambda: {pid for pid, _ in self.holders()} <= pids and self.is_ready())
        return self.holders()

    def is_ready(self) -> bool:
        if self.role == "engine":
            return len({pid for pid, _ in self.holders()}) == 2
        state = heartbeat_state(self.log, heartbeat_specs(self.log, ENV)[0].key(ENV))
        ((_, epoch),) = self.holders()
        texts = [(self.folder / f"{number}.out").read_text("utf-8", errors="replace") for number in self.numbers()]
        return state is not None and state.epoch == epoch and any("stands by" in text for text in texts)

    def numbers(self) -> range:
        return range(max(1, self.started - 1), self.started + 1)

    def takeover(self, number: signal.Signals) -> float:
        """Return how long after a signal everything has another owner and it has written, ms."""
        before = self.settled()
        victim = next(process for process in self.processes if process.pid == before[0][0])
        others = {process.pid for process in self.processes} - {victim.pid}
        since = CLOCK.monotonic()
        victim.send_signal(number)
        until(lambda: {pid for pid, _ in self.holders()} <= others and self.has_written(before[0][1]))
        took = (CLOCK.monotonic() - since) * 1000
        if number == signal.SIGSTOP:
            victim.kill()
        victim.wait()
        self.processes.remove(victim)
        return took

    def has_written(self, epoch: int) -> bool:
        if self.role == "engine":
            return True  # the epoch of its fence is a record that it has committed
        state = heartbeat_state(self.log, heartbeat_specs(self.log, ENV)[0].key(ENV))
        return state is not None and state.epoch > epoch

    def end(self) -> None:
        for process in self.processes:
            process.kill()
            process.wait()


def measure(there: World, role: str, kinds: list[str], times: int) -> None:
    with there.log(f"watch-{role}", topic_ttl_s=600.0) as log:
        project = Project(there, log, role)
        today = datetime.now(UTC).date()
        log.append([schedule_batch(10, calendar_sessions("24x7", today, today + timedelta(days=20)))])
        try:
            for kind in kinds:
                took = [project.takeover(NAMES[kind]) for _ in range(times)]
                print(f"{role} after {kind}: {percentiles(took)}; {load()}", flush=True)
        finally:
            project.end()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=30)
    parser.add_argument("--roles", nargs="+", choices=["hb", "engine"], default=["hb", "engine"])
    parser.add_argument("--only", nargs="+", choices=list(NAMES), default=list(NAMES))
    options = parser.parse_args()
    defaults = {"group.min.session.timeout.ms": "6000", "group.initial.rebalance.delay.ms": "3000"}
    with world(settings=defaults) as there:
        for role in options.roles:
            measure(there, role, options.only, options.times)


if __name__ == "__main__":
    main()
