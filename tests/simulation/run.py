"""Runs the world of one seed, and judges it."""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING, Final

from tests.simulation.declared import ENV, plan
from tests.simulation.deploy import ApplyProcess, make_killer
from tests.simulation.feed import Feed
from tests.simulation.options import drawn
from tests.simulation.reuse import reuse
from tests.simulation.roles import EngineProcess, HeartbeatProcess
from tests.simulation.scenario import draw_scenario
from tests.simulation.verdict_bars import check_bars
from tests.simulation.verdict_markers import check_markers
from tests.simulation.watch import Watch
from tests.simulation.world import BrokenPromiseError, World
from tests.support_planning import markers_of
from tests.support_shared import SHARED, oracle

from ashioto import naming
from ashioto.control.applied import registrations
from ashioto.control.specs import derive_spec, heartbeat_specs
from ashioto.deploy.diff import changed_spec
from ashioto.engines.embedded.progress import version_progress
from ashioto.logical.codec import checksum

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.simulation.options import Options
    from tests.simulation.process import Process

FAR_MS: Final = 3 * 86_400_000
QUIET_MS: Final = 5_000
PATIENCE: Final = 30
"""How often it is looked whether all is quiet."""


@dataclass(frozen=True, kw_only=True)
class Result:
    """Says what became of a seed.

    Args:
        seed: The seed.
        options: What it was run with.
        counts: What happened how often.
        failure: What failed; empty when nothing did.
        trace: What happened last before that.
    """

    seed: int
    options: Options
    counts: Counter[str] = field(default_factory=Counter)
    failure: str = ""
    trace: tuple[str, ...] = ()


def simulate(
    seed: int, *, options: Options | None = None, changed: Callable[[Options], Options] = lambda found: found
) -> Result:
    """Run the world of a seed.

    Args:
        seed: Decides everything that is not given.
        options: What to run it with; None takes those of the seed.
        changed: Changes the options of the seed, where `options` gives none.
    """
    random = Random(seed)  # noqa: S311  # a seed must give the same world again
    own = drawn(random)
    chosen = changed(own) if options is None else options
    world = World(random=random, scenario=draw_scenario(random, chosen))
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with reuse():
            _Simulation(world).run()
    except BrokenPromiseError as error:
        return _result(seed, chosen, world, str(error))
    except Exception as error:  # noqa: BLE001  # whatever it is, it is told with its seed
        import traceback

        text = "".join(traceback.format_exception(error)[-8:])
        return _result(seed, chosen, world, f"{type(error).__name__}: {error}\n{text}")
    finally:
        logging.disable(before)
    return _result(seed, chosen, world, "")


def _result(seed: int, options: Options, world: World, text: str) -> Result:
    return Result(seed=seed, options=options, counts=world.counts, failure=text, trace=tuple(world.trace()))


class _Simulation:
    """Runs a world to its end."""

    def __init__(self, world: World) -> None:
        options, span = world.scenario.options, world.scenario.span
        self._world, self._watch = world, Watch(world=world)
        world.now = span.begin
        self._beats = [HeartbeatProcess(world, self._watch, f"hb{i}", i) for i in range(options.heartbeats)]
        self._engines = [EngineProcess(world, self._watch, f"engine{i}", 10 + i) for i in range(options.engines)]
        self._apply = ApplyProcess(world, self._watch, 20)
        self._feeds = {name: Feed(world, name) for name in world.scenario.contexts}
        processes: list[Process] = [*self._beats, *self._engines, self._apply]
        make_killer(world, processes)
        for process in processes:
            world.start(process, span.begin + world.random.randint(0, 2_000))
        for feed in self._feeds.values():
            world.start(feed, span.open - 3_000)

    def run(self) -> None:
        """Let both days pass, then stop the faults, wait until all is quiet, and judge."""
        world, span = self._world, self._world.scenario.span
        world.run(span.open - 3_000)
        self._settle_first()
        world.run(span.night)
        world.leap(span.morning - span.night)
        world.run(span.calm)
        world.faulty = False
        world.run(world.now + 7_000)
        world.leap(FAR_MS)
        self._wait()
        self._judge()

    def _settle_first(self) -> None:
        """Have the first deployment done before anything else happens."""
        world = self._world
        quiet, world.faulty = world.faulty, False
        for _ in range(PATIENCE):
            if self._apply.applied:
                break
            world.run(world.now + 500)
        world.faulty = quiet

    def _wait(self) -> None:
        for _ in range(PATIENCE):
            self._world.run(self._world.now + QUIET_MS)
            noise = self._noise()
            if not noise:
                return
        raise BrokenPromiseError("quiet", noise)

    def _noise(self) -> str:
        """Return what is still to come, or nothing when all is quiet."""
        if not self._apply.done:
            return "not everything has been applied"
        if late := [feed.name for feed in self._feeds.values() if not feed.done]:
            return f"{late} have not sent everything"
        for context in self._world.scenario.contexts:
            if noise := self._noise_of(context):
                return noise
        return ""

    def _noise_of(self, context: str) -> str:
        log = self._world.log
        found = registrations(log, ENV, context)[-1]
        read = version_progress(log, ENV, context, found.object)
        ends = {
            "source": log.end_offsets(naming.topic(context, "Rate")),
            "hb": log.end_offsets(naming.heartbeat_topic(context, "Rate")),
        }
        for partition in ends["source"]:
            mine = read.get(partition)
            if mine is None or mine.rebuild or mine.problem:
                return f"{found.name} has not begun on partition {partition}, or is not done: {mine}"
            if (mine.source_offset, mine.hb_offset) != (ends["source"][partition], ends["hb"][partition]):
                return f"{found.name} has read {mine}, and there is {ends}"
        states = [state for state in self._watch.stated if state.context == context]
        if not states or states[-1].last < self._due(context):
            return f"{context}: the watermark is {states[-1:]}, and the last marker is due at {self._due(context)}"
        return ""

    def _due(self, context: str) -> int:
        market, variant = self._world.scenario.markets[context], self._world.scenario.last[context]
        found = [
            markers_of(plan(context, variant), list(market.sessions(symbol)))[-1].due
            for symbol in market.first
            if market.sessions(symbol)
        ]
        return max(found, default=0)

    def _judge(self) -> None:
        self._check_applied()
        check_markers(self._world, self._watch.stated, self._watch.since)
        ref = oracle() if (SHARED / "oracle/oracle.py").exists() else None
        check_bars(self._world, self._feeds, ref)

    def _check_applied(self) -> None:
        """All is as declared in the end, and to apply it again writes nothing."""
        world = self._world
        last = world.scenario.deployments[-1]
        self._apply.lives += 1
        writes = self._apply.apply(last)
        if writes:
            raise BrokenPromiseError("P5", f"applied again, there were {writes} writes")
        for context, variant in last.variants.items():
            query = plan(context, variant)
            found = registrations(world.log, ENV, context)
            states = [record.state for record in found]
            if states != [*["stopped"] * (len(found) - 1), "applied"] or found[-1].checksum != checksum(query):
                raise BrokenPromiseError("P5", f"{context}: versions are {states}, of {found[-1].checksum}")
            if [record.version for record in found] != list(range(1, len(found) + 1)):
                raise BrokenPromiseError("P5", f"{context}: versions are {[r.version for r in found]}")
            specs = heartbeat_specs(world.log, ENV, context)
            wanted = derive_spec(query, version=found[-1].version, updated_ms=0)
            if len(specs) != 1 or changed_spec(specs[0], wanted):
                raise BrokenPromiseError("P5", f"{context}: specs are {specs}, not {wanted}")
