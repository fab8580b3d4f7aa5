"""Processes of a role that are killed and paused while others stand by, and the bars that must come of it all."""

from __future__ import annotations

import signal
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from tests.support_live_market import GRACE_MS, rate_bars
from tests.support_planning import sessions_of
from tests.support_roles import CLOCK, Role, Roles, leader, lease_of, wait_until

from ashioto.engines.embedded.batch import BatchBuilder
from ashioto.schedule.sessions import Schedule

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import pyarrow as pa
    from tests.support_live_market import Key
    from tests.support_planning import Row

    from ashioto.log.leases import Leases

METADATA: Final = ("source_cut", "origin")
"""How a bar came about, not what it says."""


@dataclass
class Crew:
    """One active process of a role, others that stand by, and what was done to the active ones.

    Args:
        roles: Starts them.
        log: Says who is active.
        role: Its name.
        command: What starts one.
        ready: What one says that stands by.
    """

    roles: Roles
    log: Leases
    role: str
    command: tuple[str, str]
    ready: str = "stands by"
    members: list[Role] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    took_ms: dict[str, list[float]] = field(default_factory=lambda: {"kill": [], "stop": []})

    def fill(self, size: int) -> None:
        """Have so many, and let go of those that somebody else's trouble has displaced."""
        for one in [m for m in self.members if not m.runs]:
            check_refused(one)
            self.counts["displaced"] += 1
            self.members.remove(one)
        while len(self.members) < size:
            self.members.append(self.roles.start(*self.command))

    def active(self, size: int) -> Role:
        """Return the active one, once there is one and another one is ready to follow it."""
        found: list[Role] = []

        def settled() -> bool:
            self.fill(size)
            active = leader(self.log, self.role, self.members)
            found[:] = [] if active is None else [active]
            return bool(found) and any(m is not active and self.ready in m.text for m in self.members)

        wait_until(settled, what=f"an active and a ready {self.command}")
        return found[0]

    def _lose(
        self, size: int, what: str, do: Callable[[Role, signal.Signals], object], number: signal.Signals, *,
        at: Callable[[], bool],
    ) -> Role:  # fmt: skip
        """Do something to the active one at a moment, and wait until another one is active; returns the former."""
        active = self.active(size)
        wait_until(at, every=0.001)
        epoch, since = lease_of(self.log, self.role).epoch, CLOCK.monotonic()
        do(active, number)
        self.members.remove(active)
        self.fill(size)
        self.taken(epoch, since, what)
        return active

    def kill(self, size: int, *, at: Callable[[], bool]) -> None:
        """Kill the active one at a moment, and wait until another one is active."""
        self._lose(size, "kill", Role.end, signal.SIGKILL, at=at)

    def stop(self, size: int, *, at: Callable[[], bool]) -> None:
        """Pause the active one until another one is active; when it goes on it must be refused, say so, and end."""
        active = self._lose(size, "stop", Role.send, signal.SIGSTOP, at=at)
        active.end(signal.SIGCONT)
        if active.process.returncode == -signal.SIGKILL:
            self.counts["ended inside a write"] += 1
        else:
            check_refused(active)
            self.counts["refused"] += 1

    def taken(self, epoch: int, since: float, what: str) -> None:
        """Wait until there is a newer epoch, and note how long that took."""
        wait_until(lambda: lease_of(self.log, self.role).epoch > epoch, every=0.002, what=f"who takes {self.role}")
        self.took_ms[what].append((CLOCK.monotonic() - since) * 1000)
        self.counts[what] += 1


def check_refused(role: Role) -> None:
    """Hold that a process has ended because another one has taken over, and has said so."""
    assert role.process.returncode == 5, f"{role.process.returncode}: {role.text}"
    assert "has taken over" in role.text or "newer epoch" in role.text, role.text
    assert "Hint: " in role.text, role.text


def after_deadline(number: int) -> Callable[[], bool]:
    """Return what holds a few milliseconds after a deadline, each time others: when the active one is writing."""
    phase = number * 7 % 25
    return lambda: phase <= CLOCK.now_ms() % GRACE_MS < phase + 5


def reference(hours: Mapping[Key, list[Row]], ticks: list[pa.Table], now: int) -> dict[str, list[dict[str, Any]]]:
    """Return the bars that all ticks make at once, by frame."""
    schedule = Schedule.of({key: sessions_of(rows) for key, rows in hours.items()})
    found: dict[str, list[dict[str, Any]]] = {}
    for table in ticks:
        builder = BatchBuilder(rate_bars.plan, schedule, threads=1)
        builder.add(table.combine_chunks().to_batches()[0], first_seq=0)
        for period, made in builder.finish(now_ms=now, trim=False).items():
            found.setdefault(period.kind, []).extend(made.to_pylist())
    return {kind: in_order(rows) for kind, rows in found.items()}


def in_order(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return bars without how they came about, by key and time."""
    said = [{k: v for k, v in row.items() if k not in METADATA} for row in rows]
    return sorted(said, key=lambda r: (r["broker"], r["symbol"], r["bucket_start"]))
