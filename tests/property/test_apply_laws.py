"""P5: apply twice writes nothing, a crash anywhere ends the same. P6: a plan writes nothing and says all there is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support_deploy import H1, M1, M5, Declared, World, add_tick

from ashioto.errors import BlockedError
from ashioto.testing import CrashError

if TYPE_CHECKING:
    from ashioto.deploy.stages import Step

DECLARED = st.builds(
    Declared,
    ticks=st.sampled_from(["plain", "sized", "venue", "text"]),
    frames=st.sampled_from([(M1,), (M1, M5), (M5, H1)]),
    continuous=st.booleans(),
    grace_s=st.sampled_from([0, 5]),
    high=st.booleans(),
    bars=st.booleans(),
    orders=st.booleans(),
    symbols=st.booleans(),
)
CRASHES = st.tuples(st.integers(1, 40), st.sampled_from(["before", "after"]))
ROUND = st.tuples(DECLARED, st.lists(CRASHES, max_size=3), st.booleans(), st.booleans())
Crashes = list[tuple[int, Literal["before", "after"]]]
Round = tuple[Declared, Crashes, bool, bool]


def deletable(world: World, declared: Declared, *, allowed: bool) -> list[str]:
    """Topics whose deletion is asked for: all that stand in the way, or that nobody declares."""
    if not allowed:
        return []
    plan = world.plan(declared)
    return [c.object for c in plan.changes if c.kind == "topic" and (c.gravity == "blocked" or c.hint)]


def crash(world: World, declared: Declared, deleted: list[str], crashes: Crashes) -> None:
    """Apply and die, several times."""
    for at, when in crashes:
        try:
            world.apply(declared, crash_at=at, when=when, allow_delete=deleted)
        except (CrashError, BlockedError):
            continue


@settings(max_examples=60)
@given(rounds=st.lists(ROUND, min_size=1, max_size=5))
def test_crashes_leave_no_trace(rounds: list[Round]) -> None:
    smooth, rough = World(), World()
    for declared, crashes, allowed, ticks in rounds:
        if ticks and "trading.rate" in smooth.log.topics():
            add_tick(smooth.log)
            add_tick(rough.log)
        deleted = deletable(smooth, declared, allowed=allowed)
        assert deleted == deletable(rough, declared, allowed=allowed)
        crash(rough, declared, deleted, crashes)
        for world in (smooth, rough):
            _apply(world, declared, deleted)
        assert smooth.end() == rough.end()


def _apply(world: World, declared: Declared, deleted: list[str]) -> None:
    """Apply, and hold on to what must be so whatever was there before."""
    told: list[Step] = []
    planned = world.plan(declared, allow_delete=deleted)
    before = (world.end(), world.offsets())
    world.plan(declared, allow_delete=deleted)
    assert (world.end(), world.offsets()) == before
    if planned.blocked:
        try:
            world.apply(declared, allow_delete=deleted)
        except BlockedError:
            assert (world.end(), world.offsets(), world.effects) == (*before, 0)
            return
        raise AssertionError("a blocked plan was applied")
    world.apply(declared, allow_delete=deleted, tell=told.append)
    assert tuple(told) == planned.steps
    assert _as_planned(world, declared)
    world.apply(declared, allow_delete=deleted)
    assert world.effects == 0


def _as_planned(world: World, declared: Declared) -> bool:
    """Whether exactly the declared queries run, once each, with a spec where they are continuous."""
    wanted = {f"trading_{name}" for name, on in (("bars", declared.bars), ("orders", declared.orders)) if on}
    applied = {name.rpartition("_v")[0]: name for name, state in world.versions().items() if state == "applied"}
    enabled = [spec.kind for spec in world.end()["specs"] if spec.enabled]
    beats = [declared.frames[0].kind] if declared.bars and declared.continuous else []
    return (
        set(applied) == wanted
        and set(world.engine.queries) == set(applied.values())
        and set(world.versions().values()) <= {"applied", "stopped"}
        and enabled == beats
    )
