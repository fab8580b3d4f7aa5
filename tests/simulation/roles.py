"""The roles as processes: put together as the command line does it, with a simulated log and clock."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tests.simulation.declared import ENV
from tests.simulation.process import Process, make_log

from ashioto.control.election import LeaseElection, LeaseOptions
from ashioto.control.roles import engine_role, heartbeat_role
from ashioto.control.shares import LeaseShares
from ashioto.engines.embedded.host import EngineHost
from ashioto.heartbeat.guard import ClockGuard
from ashioto.heartbeat.options import HeartbeatOptions
from ashioto.heartbeat.orchestrator import Orchestrator
from ashioto.heartbeat.service import ContextRole, HeartbeatService
from ashioto.observe.metrics import HeartbeatMetrics

if TYPE_CHECKING:
    from tests.simulation.world import World

    from ashioto.log.leases import Holder

ENGINE_LEASE: Final = LeaseOptions(renew_s=1.0, expire_s=4.0)


class Neighbours:
    """Knows which processes are certainly gone, and kills.

    Args:
        world: Where they are.
    """

    def __init__(self, world: World) -> None:
        self._world = world

    def is_gone(self, holder: Holder) -> bool:
        """Return whether a holder is known to run no more."""
        return holder.name in self._world.gone

    def end(self, holder: Holder) -> bool:
        """Kill a holder."""
        return self._world.kill(holder)


class HeartbeatProcess(Process):
    """Runs `rc hb run`."""

    kind = "hb"
    service: HeartbeatService

    def begin(self) -> None:
        """Make the service."""
        log, metrics, options = make_log(self), HeartbeatMetrics(), self.world.scenario.options
        roles = []
        for name in self.world.scenario.contexts:
            orchestrator = Orchestrator(
                log, env=ENV, context=name, clock=self.clock, metrics=metrics,
                options=HeartbeatOptions(max_rows=options.max_rows, watch_s=1.0),
            )  # fmt: skip
            election = LeaseElection(
                log, heartbeat_role(ENV, name), holder=self.holder, clock=self.clock, processes=Neighbours(self.world)
            )
            roles.append(ContextRole(orchestrator, election, clock=self.clock, holder=self.name, metrics=metrics))
        self.service = HeartbeatService(roles, clock=self.clock, guard=ClockGuard(self.clock), metrics=metrics)

    def step(self) -> int:
        """Send what is due."""
        self.service.step()
        waits = round(self.service.wait_s() * 1000)
        is_active = any(role.mode == "active" for role in self.service.roles)
        return waits + self.world.random.randint(*((1, 60) if is_active else (300, 800)))

    def end(self) -> None:
        """Hand over."""
        self.service.stop()


class EngineProcess(Process):
    """Runs `rc engine run`."""

    kind = "engine"
    host: EngineHost

    def begin(self) -> None:
        """Make the host."""
        log = make_log(self)
        election = LeaseElection(
            log, engine_role(ENV), holder=self.holder, clock=self.clock, processes=Neighbours(self.world),
            options=ENGINE_LEASE,
        )  # fmt: skip
        self.host = EngineHost(log, env=ENV, clock=self.clock, shares=LeaseShares(election, clock=self.clock))

    def step(self) -> int:
        """Read and write once."""
        if self.host.step():
            return self.world.random.randint(5, 300)
        return round(self.host.pause() * 1000) + self.world.random.randint(300, 1_400)

    def end(self) -> None:
        """Write what has been read, and hand over."""
        self.host.finish()
