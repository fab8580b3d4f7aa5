"""Declarations that change, and a world to apply them in: a log, an engine that outlives crashes, processes."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from itertools import count
from typing import TYPE_CHECKING, Any, Literal

import ashioto as ao
from ashioto import Field, Period
from ashioto.control.applied import registrations
from ashioto.control.election import LeaseElection
from ashioto.control.roles import infra_role
from ashioto.control.specs import heartbeat_specs
from ashioto.control.topics import APPLIED
from ashioto.deploy.apply import LOCK, ApplyOptions, apply
from ashioto.deploy.plan import Request, make_plan
from ashioto.deploy.target import Target
from ashioto.log.leases import Holder
from ashioto.testing import CrashError, CrashingLog, ManualClock, MemoryLog
from ashioto.testing.memory_engine import MemoryEngine

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from ashioto.control.applied import Registration
    from ashioto.deploy.apply import Outcome
    from ashioto.deploy.plan import Plan
    from ashioto.deploy.plan_file import SavedPlan
    from ashioto.deploy.stages import Step
    from ashioto.deploy.target import DeployLog
    from ashioto.engines.base import RunningQuery

ENV = ("test", "here")
M1, M5, H1 = Period.minutes(1), Period.minutes(5), Period.hours(1)
Ticks = Literal["plain", "sized", "venue", "text"]


class Hours(ao.Table):
    symbol: Field[str] = ao.key()
    open: Field[datetime] = ao.key()
    close: Field[datetime] = ao.field()
    market_date: Field[date] = ao.field()


class Order(ao.Stream):
    symbol: Field[str] = ao.key()
    at: Field[datetime] = ao.timestamp()


class Symbol(ao.Table):
    symbol: Field[str] = ao.key()
    name: Field[str] = ao.field()


def rate(ticks: Ticks) -> type[Any]:
    """The stream `Rate`: `sized` has one more column with a default, `venue` one without, `text` another type."""
    made: dict[Ticks, Callable[[], type[Any]]] = {"plain": _plain, "sized": _sized, "venue": _venue, "text": _text}
    return made[ticks]()


def _plain() -> type[Any]:
    class Rate(ao.Stream):
        symbol: Field[str] = ao.key()
        at: Field[datetime] = ao.timestamp()
        price: Field[Decimal] = ao.decimal(18, 5)

    return Rate


def _sized() -> type[Any]:
    class Rate(ao.Stream):
        symbol: Field[str] = ao.key()
        at: Field[datetime] = ao.timestamp()
        price: Field[Decimal] = ao.decimal(18, 5)
        size: Field[Decimal] = ao.decimal(18, 2, default=Decimal(0))

    return Rate


def _venue() -> type[Any]:
    class Rate(ao.Stream):
        symbol: Field[str] = ao.key()
        at: Field[datetime] = ao.timestamp()
        price: Field[Decimal] = ao.decimal(18, 5)
        venue: Field[str] = ao.field()

    return Rate


def _text() -> type[Any]:
    class Rate(ao.Stream):
        symbol: Field[str] = ao.key()
        at: Field[datetime] = ao.timestamp()
        price: Field[int] = ao.field()

    return Rate


@dataclass(frozen=True, kw_only=True)
class Declared:
    """Says what one context declares."""

    ticks: Ticks = "plain"
    frames: tuple[Period, ...] = (M1, M5)
    continuous: bool = True
    grace_s: int = 0
    high: bool = False
    bars: bool = True
    orders: bool = False
    symbols: bool = False

    def context(self, name: str = "trading") -> ao.Context:
        """Return the context."""
        made, ticks = ao.Context(name), rate(self.ticks)
        if self.bars:
            chosen = {"close": ao.last(ticks.price)} | ({"high": ao.max(ticks.price)} if self.high else {})
            (
                made.events(ticks)
                .time_frame(
                    Hours,
                    (ticks.symbol == Hours.symbol) & (Hours.open <= ticks.at) & (ticks.at < Hours.close),
                    day_key=Hours.market_date,
                )
                .tumbling(
                    ticks.at, *self.frames, ensure_continuous=self.continuous, grace=timedelta(seconds=self.grace_s)
                )
                .select(**chosen)
                .to_query(name="bars")
            )
        else:
            made.declare(ticks, Hours)
        if self.orders:
            made.events(Order).tumbling(Order.at, H1).select(orders=ao.count()).to_query(name="orders")
        if self.symbols:
            made.declare(Symbol)
        return made


class Deaths:
    """Knows which holders are gone."""

    def __init__(self) -> None:
        self.gone: set[str] = set()

    def is_gone(self, holder: Holder) -> bool:
        return holder.name in self.gone

    def end(self, holder: Holder) -> bool:
        self.gone.add(holder.name)
        return True


class CrashingEngine:
    """Counts what it does among the side effects of a log, and crashes with it."""

    def __init__(self, inner: MemoryEngine, log: CrashingLog) -> None:
        self.inner, self.log = inner, log

    @property
    def kind(self) -> str:
        return self.inner.kind

    def compile(self, registration: Registration) -> list[str]:
        return self.inner.compile(registration)

    def inspect(self, registrations: Sequence[Registration]) -> list[RunningQuery]:
        return self.inner.inspect(registrations)

    def progress(self, registration: Registration) -> Mapping[int, int] | None:
        return self.inner.progress(registration)

    def register(self, registration: Registration) -> None:
        self.log._effect("register", lambda: self.inner.register(registration))

    def stop(self, registration: Registration) -> None:
        self.log._effect("stop", lambda: self.inner.stop(registration))


@dataclass
class World:
    """Everything that outlives a process, and processes that apply one after another."""

    log: DeployLog = field(default_factory=MemoryLog)
    engine: MemoryEngine = field(default_factory=MemoryEngine)
    clock: ManualClock = field(default_factory=lambda: ManualClock(1_000_000))
    deaths: Deaths = field(default_factory=Deaths)
    effects: int = 0
    _numbers: Iterator[int] = field(default_factory=lambda: count(1))

    @property
    def target(self) -> Target:
        return Target(log=self.log, engine=self.engine, env=ENV, clock=self.clock)

    def election(self, name: str, log: Any = None) -> LeaseElection:
        return LeaseElection(
            log or self.log, infra_role(ENV), holder=Holder(name=name, pid=1), clock=self.clock,
            processes=self.deaths, options=LOCK,
        )  # fmt: skip

    def plan(self, *declared: Declared, allow_delete: Sequence[str] = (), partitions: int = 1) -> Plan:
        return make_plan(request(*declared, allow_delete=allow_delete, partitions=partitions), self.target)

    def apply(
        self,
        *declared: Declared,
        crash_at: int = 0,
        when: Literal["before", "after"] = "before",
        allow_delete: Sequence[str] = (),
        partitions: int = 1,
        saved: SavedPlan | None = None,
        tell: Callable[[Step], None] = lambda _: None,
    ) -> Outcome:
        """Apply in a process of its own, which dies at the given side effect; `effects` says how many there were."""
        name = f"host:{next(self._numbers)}"
        log = CrashingLog(self.log, crash_at=crash_at, when=when, count="effects")
        target = replace(self.target, log=log, engine=CrashingEngine(self.engine, log))
        try:
            return apply(
                request(*declared, allow_delete=allow_delete, partitions=partitions),
                target, self.election(name, log), saved=saved, options=ApplyOptions(verify_timeout_s=2.0), tell=tell,
            )  # fmt: skip
        except CrashError:
            self.deaths.gone.add(name)
            raise
        finally:
            self.effects = log.effects

    def versions(self, context: str | None = None) -> dict[str, str]:
        """Return the state of each recorded version by its name."""
        return {r.name: r.state for r in self.records(context)}

    def records(self, context: str | None = None) -> list[Registration]:
        return registrations(self.log, ENV, context) if APPLIED in self.log.topics() else []

    def end(self) -> dict[str, Any]:
        """Return all that applying makes, times and epochs apart."""
        made = self.log.topics()
        specs = heartbeat_specs(self.log, ENV) if APPLIED in made else []
        return {
            "topics": {name: self.log.describe(name).spec for name in made},
            "records": [replace(r, updated_ms=0) for r in self.records()],
            "specs": [replace(spec, updated_ms=0) for spec in specs],
            "engine": {name: (r.version, r.begins, r.checksum) for name, r in sorted(self.engine.queries.items())},
        }

    def offsets(self) -> dict[str, dict[int, int]]:
        return {name: self.log.end_offsets(name) for name in self.log.topics()}


def request(*declared: Declared, allow_delete: Sequence[str] = (), partitions: int = 1) -> Request:
    """Return a request for contexts `trading`, `trading2`, …"""
    contexts = [one.context(f"trading{i or ''}") for i, one in enumerate(declared)]
    return Request(contexts=contexts, allow_delete=tuple(allow_delete), partitions=partitions)


def add_tick(log: DeployLog, topic: str = "trading.rate") -> None:
    """Append one record of nulls, whatever the columns are."""
    import numpy as np
    import pyarrow as pa

    from ashioto.log.base import Batch

    schema = log.describe(topic).spec.schema
    data = pa.RecordBatch.from_arrays([pa.nulls(1, f.type) for f in schema], schema=schema)
    log.append([Batch(topic=topic, partition=0, keys=pa.array([b"k"]), timestamps=np.zeros(1, np.int64), data=data)])
