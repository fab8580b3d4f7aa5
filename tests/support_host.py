"""Hosts of the embedded engine on one log in tests: what is registered, who has the role, and what comes of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ashioto.control.applied import Registration, registration_batch
from ashioto.control.election import LeaseElection
from ashioto.control.roles import engine_role
from ashioto.control.shares import LeaseOwners, LeaseShares
from ashioto.engines.embedded.host import EngineHost
from ashioto.engines.embedded.registry import EmbeddedRegistry
from ashioto.log.leases import Holder
from ashioto.logical.codec import checksum, encode_query
from ashioto.testing.memory_log import MemoryLog

if TYPE_CHECKING:
    from tests.support_engine import Market

    from ashioto.control.shares import Shares
    from ashioto.engines.base import RunningQuery
    from ashioto.log.base import Log
    from ashioto.logical.nodes import Query

ENV = ("dev", "local")


def version_of(plan: Query, version: int = 1, **others: Any) -> Registration:
    """Return a version of a query as it is recorded once an engine shall run it."""
    made: dict[str, Any] = {
        "context": plan.context, "query": plan.name, "version": version, "state": "applied", "engine": "embedded",
        "checksum": checksum(plan), "plan": encode_query(plan), "begins": "start", "updated_ms": 0,
    }  # fmt: skip
    return Registration(**(made | others))


@dataclass
class Site:
    """A market whose queries run in hosts, as they are registered.

    Args:
        market: Topics, ticks, heartbeats, and the clock of the hosts.
        engine_log: What hosts see of the log, where that is another object.
    """

    market: Market
    engine_log: Log | None = None
    known: dict[str, Registration] = field(default_factory=dict)

    @property
    def leases(self) -> MemoryLog:
        """The log, as the keeper of leases."""
        assert isinstance(self.market.log, MemoryLog)
        return self.market.log

    def election(self, name: str) -> LeaseElection:
        """Return an election that a holder of this name takes part in."""
        return LeaseElection(self.leases, engine_role(ENV), holder=Holder(name=name), clock=self.market.clock)

    def host(self, name: str = "one", **options: Any) -> EngineHost:
        """Return a host that runs all partitions or none."""
        return self.sharing(LeaseShares(self.election(name), clock=self.market.clock), **options)

    def sharing(self, shares: Shares, **options: Any) -> EngineHost:
        """Return a host that runs its share of the partitions."""
        log = self.engine_log or self.market.log
        return EngineHost(log, env=ENV, clock=self.market.clock, shares=shares, **options)

    @property
    def registry(self) -> EmbeddedRegistry:
        """The engine as other processes see it."""
        return EmbeddedRegistry(self.market.log, env=ENV, owners=LeaseOwners(self.election("nobody").leader))

    def register(self, *records: Registration) -> None:
        """Record versions."""
        self.known |= {r.name: r for r in records}
        self.market.log.append([registration_batch(ENV, records)])

    def state(self, record: Registration) -> RunningQuery:
        """Return how a version stands."""
        (found,) = self.registry.inspect([record])
        return found

    def run(self, host: EngineHost) -> None:
        """Let a host do all it can, retries included."""
        self.market.clock.advance(1)
        host.drain()
