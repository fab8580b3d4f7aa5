"""Runs of `rc infra apply`: each is looked at before (a plan writes nothing), meanwhile, and after."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tests.simulation.declared import ENV, context
from tests.simulation.process import Process, make_log
from tests.simulation.roles import Neighbours
from tests.simulation.world import BrokenPromiseError

from ashioto.control.election import LeaseElection
from ashioto.control.roles import engine_role, infra_role
from ashioto.control.shares import LeaseOwners
from ashioto.deploy.apply import LOCK, ApplyOptions, apply
from ashioto.deploy.plan import Request, make_plan
from ashioto.deploy.target import Target
from ashioto.engines.embedded.registry import EmbeddedRegistry
from ashioto.errors import LockHeldError

if TYPE_CHECKING:
    from tests.simulation.process_log import ProcessLog
    from tests.simulation.scenario import Deployment
    from tests.simulation.watch import Watch
    from tests.simulation.world import World

    from ashioto.deploy.stages import Step
    from ashioto.log.leases import Holder

VERIFY: Final = ApplyOptions(verify_timeout_s=6.0, poll_s=0.4)


class ApplyProcess(Process):
    """Applies one deployment after another; what fails or dies is run again.

    Args:
        world: Where.
        watch: Told of what it writes.
        number: Tells it from other processes.
    """

    kind = "apply"

    def __init__(self, world: World, watch: Watch, number: int) -> None:
        super().__init__(world, watch, "apply", number)
        self._left = list(world.scenario.deployments)
        self.applied: list[Deployment] = []

    @property
    def done(self) -> bool:
        """Whether all has been applied."""
        return not self._left

    def step(self) -> int | None:
        """Apply the next deployment; this process ends with it."""
        if not self._left:
            return None
        if self.world.now < self._left[0].at:
            return self._left[0].at - self.world.now
        try:
            self.apply(self._left[0])
        except LockHeldError:
            self.world.counts["locked out"] += 1
            return self.world.random.randint(2_000, 6_000)
        self.applied.append(self._left.pop(0))
        self.world.gone.add(self.name)
        self.runs = False
        return 1

    def apply(self, deployment: Deployment) -> int:
        """Apply, and check that a plan said before what is done; returns how many writes there were."""
        self.world.counts["applies"] += 1
        log = make_log(self)
        target = self.target(log)
        request = Request(
            contexts=[context(name, variant) for name, variant in deployment.variants.items()],
            partitions=self.world.scenario.options.partitions,
        )
        done: list[Step] = []
        quiet, self._next_fault = self._next_fault, 1 << 60
        before = self.writes
        plan = make_plan(request, target)
        if self.writes != before:
            raise BrokenPromiseError("P6", "a plan wrote something")
        self._next_fault = quiet
        election = LeaseElection(
            log, infra_role(ENV), holder=self.holder, clock=self.clock, processes=Neighbours(self.world), options=LOCK
        )
        outcome = apply(request, target, election, options=VERIFY, tell=done.append)
        if [repr(step) for step in done] != [repr(step) for step in outcome.plan.steps]:
            raise BrokenPromiseError("P6", f"planned {outcome.plan.steps}, did {done}")
        if not plan.steps and self.writes != before:
            raise BrokenPromiseError("P5", f"nothing was to do, and there were {self.writes - before} writes")
        self.world.tell(self.name, "applied", f"{len(done)} steps")
        return self.writes - before

    def target(self, log: ProcessLog) -> Target:
        """Return where it applies to."""
        engines = LeaseElection(
            log, engine_role(ENV), holder=self.holder, clock=self.clock, processes=Neighbours(self.world)
        )
        engine = EmbeddedRegistry(log, env=ENV, owners=LeaseOwners(engines.leader))
        return Target(log=log, engine=engine, env=ENV, clock=self.clock)


def make_killer(world: World, processes: list[Process]) -> None:
    """Let processes be killed by whom they block."""

    def kill(holder: Holder) -> bool:
        for process in processes:
            if process.runs and process.name == holder.name:
                world.tell(process.name, "is killed")
                process.kill()
                return True
        return False

    world.kill = kill
