from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest
from tests.support_deploy import ENV, H1, M5, Declared, World, add_tick, request

from ashioto.control.roles import infra_role
from ashioto.control.specs import heartbeat_specs
from ashioto.deploy.apply import NO_ENGINE, apply
from ashioto.deploy.bootstrap import ensure_topics
from ashioto.deploy.plan import Request, make_plan
from ashioto.errors import (
    BlockedError,
    DefinitionError,
    LeaseLostError,
    LockHeldError,
    StaleEpochError,
    UnsupportedError,
    UsageError,
    VerifyError,
)
from ashioto.testing import CrashError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ashioto.control.applied import Registration
    from ashioto.deploy.stages import Step
    from ashioto.engines.base import RunningQuery

PLAIN = Declared()


@pytest.fixture
def world() -> World:
    return World()


def test_a_first_apply_makes_topics_registers_and_specifies(world: World) -> None:
    done = world.apply(PLAIN)
    assert {change.action for change in done.plan.made} == {"create", "register", "write"}
    assert world.log.topics() == sorted(done.plan.desired.topic_names)
    assert world.versions() == {"trading_bars_v1": "applied"}
    assert list(world.engine.queries) == ["trading_bars_v1"]
    (spec,) = heartbeat_specs(world.log, ENV)
    assert (spec.id, spec.version, spec.enabled) == ("trading.Rate.1m", 1, True)
    assert {r.updated_ms for r in world.records()} == {world.clock.now_ms()} == {spec.updated_ms}
    assert done.notes == ()


def test_a_second_apply_writes_nothing_at_all(world: World) -> None:
    world.apply(PLAIN)
    before = (world.end(), world.offsets(), world.log.lease(infra_role(ENV)))
    done = world.apply(PLAIN)
    assert done.plan.steps == ()
    assert world.effects == 0
    assert (world.end(), world.offsets(), world.log.lease(infra_role(ENV))) == before


def test_a_plan_writes_nothing_also_where_nothing_was_ever_applied(world: World) -> None:
    assert world.plan(PLAIN).steps
    assert world.log.topics() == []
    assert world.log.lease(infra_role(ENV)) is None


def test_topics_that_were_made_before_are_taken_over(world: World) -> None:
    ensure_topics(world.log, [PLAIN.context()])
    done = world.apply(PLAIN)
    assert {change.kind for change in done.plan.made} == {"query", "heartbeat"}
    assert world.versions() == {"trading_bars_v1": "applied"}


def test_what_is_done_is_what_was_planned(world: World) -> None:
    told: list[Step] = []
    planned = world.plan(PLAIN)
    done = world.apply(PLAIN, tell=told.append)
    assert tuple(told) == planned.steps == done.plan.steps


def test_a_changed_definition_is_a_new_version_and_the_old_one_ends(world: World) -> None:
    world.apply(PLAIN)
    world.apply(Declared(high=True))
    assert world.versions() == {"trading_bars_v1": "stopped", "trading_bars_v2": "applied"}
    assert list(world.engine.queries) == ["trading_bars_v2"]
    assert [r.begins for r in world.records()] == ["start", "start"]
    assert heartbeat_specs(world.log, ENV)[0].version == 2
    assert "high" in world.log.describe("trading.rate_bars_1m").spec.schema.names


def test_what_changes_no_bar_goes_on_where_the_old_one_stands(world: World) -> None:
    world.apply(PLAIN)
    world.apply(Declared(grace_s=5))
    assert [r.begins for r in world.records()] == ["start", "previous"]
    assert heartbeat_specs(world.log, ENV)[0].grace_ms == 5_000


def test_back_to_an_older_definition_is_a_newer_version(world: World) -> None:
    for declared in (PLAIN, Declared(high=True), PLAIN):
        world.apply(declared)
    assert list(world.versions().values()) == ["stopped", "stopped", "applied"]
    assert world.records()[-1].begins == "start"


def test_a_query_that_is_no_longer_declared_ends_and_its_topics_stay(world: World) -> None:
    world.apply(PLAIN)
    done = world.apply(Declared(bars=False))
    assert world.versions() == {"trading_bars_v1": "stopped"}
    assert world.engine.queries == {}
    assert [spec.enabled for spec in heartbeat_specs(world.log, ENV)] == [False]
    kept = [change for change in done.plan.changes if change.reason == "no longer declared; kept"]
    assert "trading.rate_bars_1m" in [change.object for change in kept]
    assert kept[0].hint.startswith("--allow-delete trading.rate_")
    assert "trading.rate_bars_1m" in world.log.topics()


def test_without_continuous_bars_the_spec_is_disabled_and_never_deleted(world: World) -> None:
    world.apply(PLAIN)
    world.apply(Declared(continuous=False))
    (spec,) = heartbeat_specs(world.log, ENV)
    assert (spec.enabled, spec.version) == (False, 1)
    world.apply(PLAIN)
    (spec,) = heartbeat_specs(world.log, ENV)
    assert (spec.enabled, spec.version) == (True, 3)


def test_another_base_frame_is_another_spec(world: World) -> None:
    world.apply(PLAIN)
    world.apply(Declared(frames=(M5, H1)))
    assert {s.id: s.enabled for s in heartbeat_specs(world.log, ENV)} == {
        "trading.Rate.1m": False,
        "trading.Rate.5m": True,
    }


def test_only_named_topics_are_deleted(world: World) -> None:
    world.apply(Declared(symbols=True, orders=True))
    world.apply(PLAIN, allow_delete=["trading.symbol"])
    assert "trading.symbol" not in world.log.topics()
    assert "trading.order" in world.log.topics()
    world.apply(PLAIN, allow_delete=["trading.symbol"])
    assert world.effects == 0


def test_a_topic_of_another_type_is_blocked_until_it_may_be_made_anew(world: World) -> None:
    world.apply(PLAIN)
    changed = Declared(ticks="text")
    with pytest.raises(BlockedError, match=r"trading\.rate: price is decimal64\(18, 5\), not int64") as caught:
        world.apply(changed)
    assert world.effects == 0
    assert caught.value.exit_code == 4
    assert set(caught.value.ids["objects"]) == {  # type: ignore[call-overload]  # ids hold what the error names
        "trading.rate", "trading.rate_bars_1m", "trading.rate_bars_5m", "trading.rate_late",
    }  # fmt: skip
    anew = ["trading.rate", "trading.rate_bars_1m", "trading.rate_bars_5m", "trading.rate_late"]
    world.apply(changed, allow_delete=anew)
    assert str(world.log.describe("trading.rate").spec.schema.field("price").type) == "int64"
    assert world.versions() == {"trading_bars_v1": "stopped", "trading_bars_v2": "applied"}


def test_other_partitions_make_topics_and_what_reads_them_anew(world: World) -> None:
    world.apply(PLAIN)
    with pytest.raises(BlockedError, match="has partitions = 1, not 2"):
        world.apply(PLAIN, partitions=2)
    anew = [change.object for change in world.plan(PLAIN, partitions=2).blocked]
    add_tick(world.log)
    world.apply(PLAIN, partitions=2, allow_delete=anew)
    assert world.log.end_offsets("trading.rate") == {0: 0, 1: 0}
    assert world.versions() == {"trading_bars_v1": "stopped", "trading_bars_v2": "applied"}
    assert [r.begins for r in world.records()] == ["start", "start"]


def test_everything_is_refused_before_the_first_write(world: World) -> None:
    world.engine.refused["orders"] = "windows of an hour are beyond it"
    with pytest.raises(UnsupportedError, match="beyond it"):
        world.apply(Declared(orders=True))
    assert world.effects == 0
    twice = [Declared(), Declared(ticks="sized")]
    contexts = [one.context("trading") for one in twice]
    with pytest.raises(DefinitionError, match=r"want the topic trading\.rate"):
        make_plan(Request(contexts=contexts), world.target)
    assert world.log.topics() == []


@pytest.mark.parametrize("name", ["rc.infra.applied", "rate", "other.rate"])
def test_what_belongs_to_no_context_is_never_deleted(world: World, name: str) -> None:
    with pytest.raises(UsageError, match=f"--allow-delete {name}"):
        world.plan(PLAIN, allow_delete=[name])


def test_only_the_chosen_contexts_are_looked_at(world: World) -> None:
    world.apply(PLAIN, Declared(orders=True))
    world.apply(Declared(bars=False))
    assert world.versions("trading1") == {"trading1_bars_v1": "applied", "trading1_orders_v1": "applied"}
    assert world.versions("trading") == {"trading_bars_v1": "stopped"}


def test_without_an_engine_process_there_is_a_note(world: World) -> None:
    world.engine.absent = True
    done = world.apply(Declared(orders=True))
    assert done.notes == (NO_ENGINE,)
    assert set(world.versions().values()) == {"applied"}


WORDS = {
    "stuck": "made no progress within 2 s",
    "partly": "made no progress within 2 s: nobody runs partition 1 yet",
    "failing": "failed: close left 64 bits",
}


@pytest.mark.parametrize("ill", WORDS)
def test_a_version_that_does_not_run_leaves_the_old_one_alone(world: World, ill: str) -> None:
    world.apply(PLAIN)
    changed = Declared(high=True)
    world.engine.stuck, world.engine.partly = ill == "stuck", ill == "partly"
    if ill == "failing":
        world.engine.failing["trading_bars_v2"] = "close left 64 bits"
    with pytest.raises(VerifyError, match=f"trading_bars_v2 {WORDS[ill]}"):
        world.apply(changed)
    assert world.versions() == {"trading_bars_v1": "applied", "trading_bars_v2": "registered"}
    assert set(world.engine.queries) == {"trading_bars_v1", "trading_bars_v2"}
    assert heartbeat_specs(world.log, ENV)[0].version == 1
    world.engine.stuck = world.engine.partly = False
    world.engine.failing.clear()
    (change,) = [c for c in world.plan(changed).made if c.kind == "query"]
    assert (change.action, change.reason) == ("finish", "v2 was left half done")
    world.apply(changed)
    assert world.versions() == {"trading_bars_v1": "stopped", "trading_bars_v2": "applied"}


def test_a_failure_from_before_this_run_is_past(world: World) -> None:
    world.engine.failing["trading_bars_v1"] = "boom"
    with pytest.raises(VerifyError):
        world.apply(PLAIN)
    before = world.records()[0].updated_ms
    world.engine.failing.clear()
    world.clock.advance(1_000)
    asked: list[int] = []
    inspect = world.engine.inspect

    def watch(registrations: Sequence[Registration]) -> list[RunningQuery]:
        asked.extend(r.updated_ms for r in registrations)
        return inspect(registrations)

    world.engine.inspect = watch  # type: ignore[method-assign]  # watches what is asked
    world.apply(PLAIN)
    assert before < asked[-1] == world.clock.now_ms()


def test_a_version_that_never_ran_is_replaced_by_one_from_the_start(world: World) -> None:
    world.apply(PLAIN)
    world.engine.failing["trading_bars_v2"] = "boom"
    with pytest.raises(VerifyError):
        world.apply(Declared(high=True))
    world.apply(Declared(high=True, grace_s=5))
    assert world.versions()["trading_bars_v2"] == "stopped"
    assert (world.records()[-1].version, world.records()[-1].begins) == (3, "start")


def test_an_engine_that_has_lost_a_version_gets_it_again(world: World) -> None:
    world.apply(PLAIN)
    world.engine.queries.clear()
    (change,) = world.apply(PLAIN).plan.made
    assert (change.action, change.reason) == ("register", "the engine does not know it")
    assert list(world.engine.queries) == ["trading_bars_v1"]
    assert world.versions() == {"trading_bars_v1": "applied"}


def test_a_second_apply_at_once_is_turned_away(world: World) -> None:
    turned: list[str] = []

    def second(_: Step) -> None:
        if not turned:
            with pytest.raises(LockHeldError, match="host:1 applies to test/here") as caught:
                world.apply(Declared(high=True))
            turned.append(str(caught.value))
            assert caught.value.exit_code == 5

    world.apply(PLAIN, tell=second)
    assert turned
    assert world.versions() == {"trading_bars_v1": "applied"}


def test_of_many_threads_one_applies_at_a_time(world: World) -> None:
    outcomes: list[str] = []
    barrier = threading.Barrier(4)

    def run() -> None:
        barrier.wait()
        try:
            outcomes.append("done" if world.apply(PLAIN).plan.steps else "nothing")
        except LockHeldError:
            outcomes.append("held")

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes.count("done") == 1
    assert len(outcomes) == 4
    assert world.versions() == {"trading_bars_v1": "applied"}


def test_the_lock_of_a_killed_run_is_free_at_once(world: World) -> None:
    with pytest.raises(CrashError):
        world.apply(PLAIN, crash_at=8)
    world.apply(PLAIN)
    assert world.versions() == {"trading_bars_v1": "applied"}


def test_the_lock_is_handed_back_after_success_and_after_errors(world: World) -> None:
    world.engine.failing["trading_bars_v1"] = "boom"
    with pytest.raises(VerifyError):
        world.apply(PLAIN)
    lease = world.log.lease(infra_role(ENV))
    assert lease is not None
    assert lease.holder is None


def test_a_run_that_was_paused_for_too_long_writes_no_more(world: World) -> None:
    def pause(step: Step) -> None:
        if type(step).__name__ == "Verify":
            world.clock.advance(60_000)
            world.apply(PLAIN)

    with pytest.raises((LeaseLostError, StaleEpochError)):
        world.apply(PLAIN, tell=pause)
    assert world.versions() == {"trading_bars_v1": "applied"}


def test_the_fence_holds_where_nobody_looks_at_the_lock(world: World) -> None:
    election = world.election("host:slow")

    def pause(step: Step) -> None:
        if type(step).__name__ == "WriteSpec":
            world.deaths.gone.add("host:slow")
            world.apply(PLAIN)

    election.renew = lambda: None  # type: ignore[method-assign]  # as if it had been asked a moment before
    with pytest.raises(StaleEpochError):
        apply(request(PLAIN), world.target, election, tell=pause)
    assert world.versions() == {"trading_bars_v1": "applied"}


def test_the_lock_is_kept_while_waiting(world: World) -> None:
    world.engine.stuck = True
    told: list[int] = []
    sleep = world.clock.sleep

    def watch(seconds: float) -> None:
        sleep(seconds)
        lease = world.log.lease(infra_role(ENV))
        assert lease is not None
        told.append(lease.expires_ms - int(world.clock.monotonic() * 1000))

    world.clock.sleep = watch  # type: ignore[method-assign]  # watches the wait
    with pytest.raises(VerifyError):
        world.apply(PLAIN)
    assert min(told) >= 14_000
