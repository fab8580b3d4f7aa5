from __future__ import annotations

from tests.support_deploy import Declared, World

from ashioto.deploy.explain import explain, line, step_content
from ashioto.deploy.stages import stages

PLAIN = Declared()
ANEW = ("trading.rate", "trading.rate_bars_1m", "trading.rate_bars_5m", "trading.rate_late")


def said(world: World, declared: Declared, *, allow: tuple[str, ...] = ()) -> list[str]:
    """What would be done, in short."""
    return [f"{row['action']} {row['object']}" for row in explain(world.plan(declared, allow_delete=allow).steps)]


def test_a_first_apply_goes_from_topics_to_records() -> None:
    steps = World().plan(PLAIN).steps
    assert said(World(), PLAIN) == [
        "create 12 topics",
        "intent trading_bars_v1",
        "register trading_bars_v1",
        "registered trading_bars_v1",
        "wait for trading_bars_v1",
        "write trading.Rate.1m",
        "applied trading_bars_v1",
    ]
    assert line(steps[0]) == "topics: create 12 topics (rc.infra.applied … trading.rate_hb)"


def test_the_old_version_ends_after_the_new_one_runs_and_has_its_heartbeats() -> None:
    world = World()
    world.apply(PLAIN)
    assert said(world, Declared(high=True)) == [
        "alter trading.rate_bars_1m",
        "alter trading.rate_bars_5m",
        "intent trading_bars_v2",
        "register trading_bars_v2",
        "registered trading_bars_v2",
        "wait for trading_bars_v2",
        "write trading.Rate.1m",
        "stop trading_bars_v1",
        "stopped trading_bars_v1",
        "applied trading_bars_v2",
    ]


def test_what_reads_a_topic_ends_before_it_is_made_anew() -> None:
    world = World()
    world.apply(PLAIN)
    assert said(world, Declared(ticks="text"), allow=ANEW)[:8] == [
        "stop trading_bars_v1",
        "stopped trading_bars_v1",
        *(f"delete {name}" for name in ANEW),
        "create 4 topics",
        "intent trading_bars_v2",
    ]


def test_topics_are_deleted_after_what_reads_them_has_ended() -> None:
    world = World()
    world.apply(Declared(orders=True))
    assert said(world, PLAIN, allow=("trading.order",)) == [
        "stop trading_orders_v1",
        "stopped trading_orders_v1",
        "delete trading.order",
    ]


def test_blocked_and_kept_objects_have_no_steps() -> None:
    world = World()
    world.apply(PLAIN)
    assert stages(world.plan(PLAIN).changes) == []
    plan = world.plan(Declared(ticks="text"))
    assert plan.blocked
    assert plan.steps == ()


def test_every_step_has_content_of_its_own_and_a_row() -> None:
    world = World()
    world.apply(Declared(orders=True))
    steps = world.plan(Declared(high=True, grace_s=1), allow_delete=["trading.order"]).steps
    contents = [str(step_content(step)) for step in steps]
    assert len(set(contents)) == len(contents)
    assert [row["step"] for row in explain(steps)] == list(range(1, len(steps) + 1))
    assert {type(step).__name__ for step in steps} == {
        "AlterTopic", "DeleteTopic", "Record", "Register", "Stop", "Verify", "WriteSpec",
    }  # fmt: skip
    assert "heartbeat: write trading.Rate.1m (of bars v2, enabled)" in [line(step) for step in steps]
    assert "register: register trading_bars_v2 (reads from the start)" in [line(step) for step in steps]
