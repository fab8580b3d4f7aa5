from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path  # noqa: TC003  # fixtures are declared by it

import pytest
from tests.support_deploy import Declared, World, add_tick

from ashioto.deploy.plan_file import SavedPlan, check_saved, read_plan, saved_plan, write_plan
from ashioto.errors import InputError, StalePlanError, UnsupportedError

PLAIN = Declared()
CHANGED = Declared(high=True)


@pytest.fixture
def world() -> World:
    made = World()
    made.apply(PLAIN)
    return made


def saved(world: World, declared: Declared = CHANGED, *, allow_delete: tuple[str, ...] = ()) -> SavedPlan:
    return saved_plan(world.plan(declared, allow_delete=allow_delete), world.target, allow_delete=allow_delete)


def test_a_saved_plan_is_read_as_it_was(world: World, tmp_path: Path) -> None:
    plan = saved(world, CHANGED, allow_delete=("trading.old",))
    write_plan(tmp_path / "plan.json", plan)
    assert read_plan(tmp_path / "plan.json") == plan
    content = json.loads((tmp_path / "plan.json").read_text())
    assert content["version"] == 1
    assert (content["env"], content["cluster"], content["contexts"]) == ("test", "here", ["trading"])
    assert content["steps"][-1]["text"] == "record: applied trading_bars_v2"


def test_exactly_the_saved_plan_is_applied(world: World) -> None:
    plan = saved(world)
    world.apply(CHANGED, saved=plan)
    assert world.versions() == {"trading_bars_v1": "stopped", "trading_bars_v2": "applied"}


def test_records_and_progress_do_not_make_a_plan_stale(world: World) -> None:
    plan = saved(world)
    add_tick(world.log)
    world.clock.advance(5_000)
    check_saved(plan, world.plan(CHANGED), world.target)


def test_a_plan_that_was_applied_is_stale(world: World) -> None:
    plan = saved(world)
    world.apply(CHANGED, saved=plan)
    with pytest.raises(StalePlanError, match=r"only in the saved plan: stop: stop trading_bars_v1"):
        world.apply(CHANGED, saved=plan)
    assert world.effects == 0


@pytest.mark.parametrize(
    ("declared", "said"),
    [
        (Declared(high=True, grace_s=1), r"trading\.bars: its definition is another one"),
        (Declared(bars=False), r"only now: heartbeat: write trading\.Rate\.1m \(of bars v1, disabled\)"),
        (Declared(high=True, orders=True), r"trading\.orders: its definition is another one"),
    ],
)
def test_another_declaration_makes_it_stale(world: World, declared: Declared, said: str) -> None:
    plan = saved(world)
    with pytest.raises(StalePlanError, match=said):
        world.apply(declared, saved=plan)
    assert world.effects == 0


def test_what_was_done_since_makes_it_stale(world: World) -> None:
    plan = saved(world)
    world.apply(Declared(grace_s=3))
    with pytest.raises(StalePlanError, match="what is there has changed"):
        world.apply(CHANGED, saved=plan)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"env": ("prod", "here")}, "environment: was prod/here, is test/here"),
        ({"engine": "ksqldb"}, "engine: was ksqldb, is memory"),
        ({"contexts": ("other",)}, "contexts: was other, is trading"),
    ],
)
def test_another_place_makes_it_stale(world: World, changed: dict[str, object], said: str) -> None:
    plan = replace(saved(world), **changed)  # type: ignore[arg-type]  # fields of several types
    with pytest.raises(StalePlanError, match=said):
        check_saved(plan, world.plan(CHANGED), world.target)


def test_other_orders_are_told_from_equal_ones(world: World) -> None:
    plan = saved(world)
    with pytest.raises(StalePlanError, match="the order of the steps"):
        check_saved(replace(plan, steps=plan.steps[::-1]), world.plan(CHANGED), world.target)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("no json", "is no plan: Expecting value"),
        ("[]", "is no plan: it has no version"),
        ("{}", "is no plan: it has no version"),
        ('{"version": 1}', "is damaged: KeyError 'env'"),
        ('{"version": 1, "env": "a", "cluster": "b", "engine": "e", "contexts": 1}', "is damaged: TypeError"),
    ],
)
def test_what_is_no_plan_is_named(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "plan.json"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=said):
        read_plan(file)


def test_files_that_cannot_be_used_are_named(world: World, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.json cannot be read"):
        read_plan(tmp_path / "none.json")
    with pytest.raises(InputError, match="cannot be written"):
        write_plan(tmp_path / "none" / "plan.json", saved(world))
    (tmp_path / "plan.json").write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match="is no plan"):
        read_plan(tmp_path / "plan.json")
    (tmp_path / "plan.json").write_text('{"version": 9}', encoding="utf-8")
    with pytest.raises(UnsupportedError, match="is of version 9"):
        read_plan(tmp_path / "plan.json")
