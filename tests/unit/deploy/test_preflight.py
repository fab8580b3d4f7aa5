"""What a log says before anything is done: that it would refuse a topic, or that one is not set as declared."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from tests.support_deploy import Declared, World

from ashioto.deploy.actual import actual_state
from ashioto.deploy.status import topic_finding
from ashioto.errors import BlockedError
from ashioto.testing import MemoryLog

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ashioto.log.base import TopicInfo, TopicSpec

PLAIN = Declared()


class AskedLog(MemoryLog):
    """Refuses some topics when it is asked, and knows settings that are not as declared."""

    def __init__(self) -> None:
        super().__init__()
        self.reasons: dict[str, str] = {}
        self.asked: list[tuple[list[str], list[str]]] = []
        self.drift: dict[str, tuple[str, ...]] = {}
        self.left: dict[str, str] = {}

    def refusals(self, new: Sequence[TopicSpec], changed: Sequence[TopicSpec]) -> dict[str, str]:
        self.asked.append(([spec.name for spec in new], [spec.name for spec in changed]))
        names = {spec.name for spec in (*new, *changed)}
        return {name: reason for name, reason in self.reasons.items() if name in names}

    def leftovers(self, new: Sequence[TopicSpec]) -> dict[str, str]:
        return {spec.name: self.left[spec.name] for spec in new if spec.name in self.left}

    def delete(self, names: Sequence[str]) -> None:
        super().delete(names)
        for name in names:
            self.left.pop(name, None)

    def describe(self, topic: str) -> TopicInfo:
        return replace(super().describe(topic), drift=self.drift.get(topic, ()))

    def alter(self, spec: TopicSpec) -> None:
        super().alter(spec)
        self.drift.pop(spec.name, None)


@pytest.fixture
def log() -> AskedLog:
    return AskedLog()


@pytest.fixture
def world(log: AskedLog) -> World:
    return World(log=log)


def test_one_topic_that_would_be_refused_blocks_everything(log: AskedLog, world: World) -> None:
    log.reasons["trading.rate"] = "the cluster cannot keep as many copies"
    planned = world.plan(PLAIN)
    assert [(c.object, c.gravity, c.reason) for c in planned.blocked] == [
        ("trading.rate", "blocked", "the cluster cannot keep as many copies")
    ]
    assert planned.steps == ()
    with pytest.raises(BlockedError, match=r"trading\.rate: the cluster cannot keep as many copies"):
        world.apply(PLAIN)
    assert log.topics() == []


LEFT = "the subject trading.rate-value"


def test_what_another_cluster_may_have_blocks_a_new_topic_unless_it_may_be_deleted(log: AskedLog, world: World) -> None:
    log.left["trading.rate"] = LEFT
    (change,) = world.plan(PLAIN).blocked
    assert (change.object, change.reason) == ("trading.rate", f"does not exist, but {LEFT} holds other columns")
    assert "set another log.prefix" in change.hint
    assert "--allow-delete trading.rate" in change.hint
    with pytest.raises(BlockedError, match=LEFT) as caught:
        world.apply(PLAIN, allow_delete=["trading.rate_bars_1m"])
    assert caught.value.exit_code == 4
    assert (log.topics(), [*log.left]) == ([], ["trading.rate"])
    (change,) = [c for c in world.plan(PLAIN, allow_delete=["trading.rate"]).changes if c.object == "trading.rate"]
    assert (change.action, change.gravity, change.reason.endswith("; it is deleted")) == ("recreate", "replace", True)
    world.apply(PLAIN, allow_delete=["trading.rate"])
    assert (log.left, "trading.rate" in log.topics()) == ({}, True)
    assert world.plan(PLAIN).steps == ()


def test_what_is_left_of_a_topic_of_ashiotos_own_is_never_deleted(log: AskedLog, world: World) -> None:
    log.left["rc.hb.specs"] = "the subject rc.hb.specs-value"
    (change,) = world.plan(PLAIN).blocked
    assert change.object == "rc.hb.specs"
    assert "--allow-delete" not in change.hint


def test_a_change_that_would_be_refused_is_blocked_too(log: AskedLog, world: World) -> None:
    world.apply(PLAIN)
    log.reasons["trading.rate"] = "the registry refuses its columns: in version 2 size is string"
    assert [c.object for c in world.plan(Declared(ticks="sized")).blocked] == ["trading.rate"]
    assert log.asked[-1] == ([], ["trading.rate", "trading.rate_late"])


def test_where_no_topic_changes_nothing_is_asked(log: AskedLog, world: World) -> None:
    world.apply(PLAIN)
    asked = len(log.asked)
    world.plan(Declared(grace_s=7))
    assert len(log.asked) == asked


def test_a_topic_that_is_not_set_as_declared_is_shown_and_put_right(log: AskedLog, world: World) -> None:
    world.apply(PLAIN)
    log.drift["rc.hb.state"] = ("min.compaction.lag.ms is 0, not 3600000",)
    (change,) = world.plan(PLAIN).made
    assert (change.object, change.action, change.reason) == (
        "rc.hb.state", "alter", "min.compaction.lag.ms is 0, not 3600000",
    )  # fmt: skip
    world.apply(PLAIN)
    assert world.plan(PLAIN).steps == ()


def test_status_tells_settings_and_retention_that_are_not_as_declared(log: AskedLog, world: World) -> None:
    world.apply(PLAIN)
    log.drift["trading.rate_hb"] = ("message.timestamp.type is LogAppendTime, not CreateTime",)
    spec = log.describe("trading.rate_hb").spec
    finding = topic_finding(replace(spec, retention_ms=3_600_000), actual_state(world.target, ["trading"]))
    assert finding.state == "drift"
    assert finding.detail == (
        "keeps records for 168 h, not for 1 h; message.timestamp.type is LogAppendTime, not CreateTime"
    )
