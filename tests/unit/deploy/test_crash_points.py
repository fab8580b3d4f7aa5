from __future__ import annotations

from typing import Any, Literal

import pytest
from tests.support_deploy import H1, M5, Declared, World, add_tick

from ashioto.testing import CrashError

PLAIN = Declared()
Case = tuple[tuple[Declared, ...], Declared, tuple[str, ...]]
ANEW = ("trading.rate", "trading.rate_bars_1m", "trading.rate_bars_5m", "trading.rate_late")
CASES: dict[str, Case] = {
    "first": ((), Declared(orders=True), ()),
    "topics are there already": ((Declared(bars=False),), PLAIN, ()),
    "changed query": ((PLAIN,), Declared(high=True), ()),
    "changed grace": ((PLAIN,), Declared(grace_s=3), ()),
    "removed query": ((Declared(orders=True),), PLAIN, ()),
    "removed queries": ((PLAIN,), Declared(bars=False), ()),
    "not continuous": ((PLAIN,), Declared(continuous=False), ()),
    "continuous again": ((PLAIN, Declared(continuous=False)), PLAIN, ()),
    "other base": ((PLAIN,), Declared(frames=(M5, H1)), ()),
    "added column": ((PLAIN,), Declared(ticks="sized"), ()),
    "deleted topics": ((Declared(orders=True, symbols=True),), PLAIN, ("trading.symbol", "trading.order")),
    "made anew": ((PLAIN,), Declared(ticks="text"), ANEW),
}  # fmt: skip


def after(case: Case) -> World:
    """A world as it stands before the last definition of a case."""
    world = World()
    for declared in case[0]:
        world.apply(declared)
    if "trading.rate" in world.log.topics():
        add_tick(world.log)
    return world


def uncrashed(case: Case) -> tuple[dict[str, Any], int]:
    world = after(case)
    world.apply(case[1], allow_delete=case[2])
    return world.end(), world.effects


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("when", ["before", "after"])
def test_whatever_it_dies_at_the_next_run_ends_as_if_nothing_had_happened(
    name: str, when: Literal["before", "after"]
) -> None:
    case = CASES[name]
    wanted, effects = uncrashed(case)
    assert effects >= 4
    for crash_at in range(1, effects + 1):
        world = after(case)
        with pytest.raises(CrashError):
            world.apply(case[1], allow_delete=case[2], crash_at=crash_at, when=when)
        world.apply(case[1], allow_delete=case[2])
        assert world.end() == wanted, f"{when} effect {crash_at}"
        world.apply(case[1], allow_delete=case[2])
        assert world.effects == 0


@pytest.mark.parametrize("name", CASES)
def test_dying_again_and_again_changes_nothing_either(name: str) -> None:
    case = CASES[name]
    wanted, _ = uncrashed(case)
    world = after(case)
    crashes = 0
    while True:
        try:
            world.apply(case[1], allow_delete=case[2], crash_at=3 + crashes, when="after")
        except CrashError:
            crashes += 1
            continue
        break
    assert crashes >= 1
    assert world.end() == wanted


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_changed_mind_after_a_crash_ends_with_one_version_as_declared(when: Literal["before", "after"]) -> None:
    case = CASES["changed query"]
    _, effects = uncrashed(case)
    for crash_at in range(1, effects + 1):
        for mind in (PLAIN, Declared(grace_s=7), Declared(bars=False)):
            world = after(case)
            with pytest.raises(CrashError):
                world.apply(case[1], crash_at=crash_at, when=when)
            world.apply(mind)
            states = list(world.versions().values())
            assert states.count("applied") == (1 if mind.bars else 0)
            assert set(states) <= {"applied", "stopped"}
            assert set(world.engine.queries) == {n for n, state in world.versions().items() if state == "applied"}
            world.apply(mind)
            assert world.effects == 0
