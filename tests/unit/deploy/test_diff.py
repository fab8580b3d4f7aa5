from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from tests.support_deploy import Declared, World, request

from ashioto.deploy.actual import Actual
from ashioto.deploy.changes import QueryChange, SpecChange
from ashioto.deploy.desired import desired_state
from ashioto.deploy.diff import diff
from ashioto.engines.base import RunningQuery

if TYPE_CHECKING:
    from ashioto.control.applied import RegistrationState

PLAIN = Declared()


def seen(*applied: Declared) -> Actual:
    """What is there after some applies."""
    world = World()
    for declared in applied:
        world.apply(declared)
    return world.plan(applied[-1]).actual


def query(actual: Actual, declared: Declared = PLAIN, *, engine: str = "memory") -> QueryChange:
    found = [c for c in diff(desired_state(request(declared).contexts), actual, engine=engine) if c.kind == "query"]
    (change,) = found
    assert isinstance(change, QueryChange)
    return change


def specs(actual: Actual, declared: Declared = PLAIN) -> list[SpecChange]:
    found = diff(desired_state(request(declared).contexts), actual, engine="memory")
    return [change for change in found if isinstance(change, SpecChange)]


def in_state(actual: Actual, state: RegistrationState, version: int) -> Actual:
    """Put one version into another state."""
    return replace(
        actual,
        registrations=tuple(replace(r, state=state) if r.version == version else r for r in actual.registrations),
    )


def test_a_new_query_is_registered_from_the_start() -> None:
    change = query(Actual())
    assert (change.object, change.action, change.gravity) == ("trading.bars", "register", "in place")
    assert change.reason == "is new"
    assert change.recorded is None
    assert change.runs is not None
    assert (change.runs.name, change.runs.state, change.runs.begins) == ("trading_bars_v1", "intent", "start")


def test_an_applied_query_is_kept() -> None:
    change = query(seen(PLAIN))
    assert (change.action, change.gravity, change.retires) == ("keep", "no-op", ())


@pytest.mark.parametrize(
    ("declared", "parts"),
    [
        (Declared(high=True), "outputs, when_empty"),
        (Declared(grace_s=1), "grace_ms"),
        (Declared(ticks="sized"), "entity"),
        (Declared(continuous=False), "continuous, when_empty"),
    ],
)
def test_a_changed_query_is_replaced_and_says_what_changed(declared: Declared, parts: str) -> None:
    change = query(seen(PLAIN), declared)
    assert (change.action, change.gravity) == ("replace", "replace")
    assert change.reason == f"v1 has another definition ({parts})"
    assert change.runs is not None
    assert change.runs.version == 2
    assert [r.version for r in change.retires] == [1]


def test_a_stopped_query_gets_a_number_of_its_own() -> None:
    change = query(seen(PLAIN, Declared(bars=False)))
    assert (change.action, change.reason) == ("register", "was stopped as v1")
    assert change.runs is not None
    assert change.runs.version == 2


def test_another_engine_is_another_version() -> None:
    change = query(seen(PLAIN, Declared(grace_s=1)), Declared(grace_s=1), engine="other")
    assert (change.action, change.reason) == ("replace", "v2 runs in memory, not other")
    assert change.runs is not None
    assert (change.runs.engine, change.runs.begins) == ("other", "start")


@pytest.mark.parametrize("state", ["intent", "registered"])
def test_a_half_done_version_is_finished(state: RegistrationState) -> None:
    actual = seen(PLAIN, Declared(high=True))
    half = in_state(in_state(actual, state, 2), "applied", 1)
    change = query(half, Declared(high=True))
    assert (change.action, change.gravity, change.reason) == ("finish", "in place", "v2 was left half done")
    assert change.recorded == state
    assert [r.version for r in change.retires] == [1]


def test_an_old_version_that_still_runs_is_stopped() -> None:
    actual = in_state(seen(PLAIN, Declared(high=True)), "applied", 1)
    change = query(actual, Declared(high=True))
    assert (change.action, change.reason) == ("finish", "v1 still to be stopped")


@pytest.mark.parametrize(("engine", "begins"), [("memory", "previous"), ("flink", "start")])
def test_on_a_server_every_version_reads_all_ticks(engine: str, begins: str) -> None:
    known = seen(PLAIN)
    registered = tuple(replace(r, engine=engine) for r in known.registrations)
    change = query(replace(known, registrations=registered), Declared(grace_s=9), engine=engine)
    assert change.runs is not None
    assert change.runs.begins == begins


def test_a_half_done_version_nobody_wants_any_more_is_replaced() -> None:
    actual = in_state(in_state(seen(PLAIN, Declared(high=True)), "registered", 2), "applied", 1)
    change = query(actual)
    assert change.runs is not None
    assert (change.action, change.runs.version) == ("replace", 3)
    assert [r.version for r in change.retires] == [1, 2]


def test_what_the_engine_has_lost_is_registered_again() -> None:
    change = query(replace(seen(PLAIN), running=()))
    assert (change.action, change.reason) == ("register", "the engine does not know it")
    for state in ("waiting", "failed"):
        run = RunningQuery(name="trading_bars_v1", state=state)
        assert query(replace(seen(PLAIN), running=(run,))).action == "keep"


def test_a_query_that_is_no_longer_declared_is_stopped_in_every_version() -> None:
    actual = in_state(seen(PLAIN, Declared(high=True)), "registered", 1)
    change = query(actual, Declared(bars=False))
    assert (change.action, change.runs, change.reason) == ("stop", None, "no longer declared")
    assert [r.version for r in change.retires] == [1, 2]
    assert [c for c in diff(desired_state(request(Declared(bars=False)).contexts), seen(PLAIN, Declared(bars=False)),
                            engine="memory") if c.kind == "query"] == []  # fmt: skip


def test_a_spec_goes_with_the_version_of_its_query() -> None:
    (change,) = specs(Actual())
    assert (change.action, change.reason) == ("write", "does not exist")
    (change,) = specs(seen(PLAIN))
    assert (change.action, change.gravity) == ("keep", "no-op")
    (change,) = specs(seen(PLAIN), Declared(grace_s=2))
    assert (change.action, change.reason) == ("write", "differs in grace_ms, query_checksum, version")
    assert change.spec is not None
    assert change.spec.version == 2


def test_a_spec_that_somebody_changed_is_written_again() -> None:
    actual = seen(PLAIN)
    broken = replace(actual, specs=(replace(actual.specs[0], enabled=False, open_column="x"),))
    (change,) = specs(broken)
    assert (change.action, change.reason) == ("write", "differs in open_column, enabled")
    (change,) = specs(replace(actual, specs=()))
    assert change.reason == "does not exist"


@pytest.mark.parametrize("declared", [Declared(continuous=False), Declared(bars=False)])
def test_a_spec_nobody_wants_is_disabled_once(declared: Declared) -> None:
    (change,) = specs(seen(PLAIN), declared)
    assert (change.action, change.gravity) == ("stop", "in place")
    assert change.spec is not None
    assert (change.spec.enabled, change.spec.version) == (False, 1)
    assert specs(seen(PLAIN, declared), declared) == []


def test_a_renamed_query_takes_the_spec_over() -> None:
    world = World()
    world.apply(PLAIN)
    actual = world.plan(PLAIN).actual
    other = replace(actual, registrations=tuple(replace(r, query="old") for r in actual.registrations),
                    specs=tuple(replace(s, query="old") for s in actual.specs))  # fmt: skip
    (change,) = specs(other)
    assert change.spec is not None
    assert (change.action, change.spec.query, change.spec.enabled) == ("write", "bars", True)
