from __future__ import annotations

from tests.support_deploy import Declared, World, add_tick

from ashioto.control.topics import control_topics
from ashioto.deploy.actual import Actual, actual_state, live
from ashioto.deploy.desired import desired_state
from ashioto.engines.embedded.topics import system_topics
from ashioto.logical.codec import decode_query

PLAIN = Declared(symbols=True)


def test_control_topics_are_wanted_first() -> None:
    names = desired_state([PLAIN.context()]).topic_names
    assert list(names[:3]) == [spec.name for spec in control_topics()]
    assert set(names) >= {spec.name for spec in system_topics()}


def test_a_query_is_wanted_with_its_plan_and_its_topics() -> None:
    context = PLAIN.context()
    (query,) = desired_state([context], partitions=3).queries
    assert query.id == "trading.bars"
    assert decode_query(query.text) == context.queries["bars"].plan
    assert set(query.topics) == {
        "trading.rate", "trading.rate_bars_1m", "trading.rate_bars_5m", "trading.rate_late", "trading.rate_hb",
        "trading.hours",
    }  # fmt: skip


def test_topics_know_what_must_be_given_and_what_their_keys_are() -> None:
    topics = {t.spec.name: t for t in desired_state([Declared(ticks="sized").context()], partitions=3).topics}
    assert topics["trading.rate"].required == ("symbol", "at", "price")
    assert topics["trading.rate"].spec.partitions == 3
    assert topics["trading.hours"].required == ("symbol", "open", "close", "market_date")
    assert (topics["trading.rate_bars_5m"].behind_keys, topics["trading.rate_hb"].behind_keys) == (
        "bucket_start",
        "base",
    )
    for name, column in (("trading.rate_bars_5m", "bucket_start"), ("trading.rate_hb", "base")):
        names = topics[name].spec.schema.names
        assert names[: names.index(column)] == ["symbol"]


def test_where_nothing_was_applied_nothing_is_there() -> None:
    assert actual_state(World().target, ["trading"]) == Actual()


def test_what_is_there_is_read_of_the_chosen_contexts_only() -> None:
    world = World()
    world.apply(PLAIN, Declared(orders=True))
    found = actual_state(world.target, ["trading1"], others=["rc.dlq", "rc.none"])
    assert {topic.spec.name.partition(".")[0] for topic in found.topics} == {"trading1", "rc"}
    assert found.topic("trading.rate") is None
    assert [r.name for r in found.registrations] == ["trading1_bars_v1", "trading1_orders_v1"]
    assert [spec.id for spec in found.specs] == ["trading1.Rate.1m"]
    run = found.run("trading1_bars_v1")
    assert run is not None
    assert run.state == "running"
    assert found.run("trading_bars_v1") is None


def test_topics_know_whether_they_hold_records() -> None:
    world = World()
    world.apply(PLAIN)
    before = actual_state(world.target, ["trading"]).topic("trading.rate")
    add_tick(world.log)
    after = actual_state(world.target, ["trading"]).topic("trading.rate")
    assert before is not None
    assert after is not None
    assert (before.has_records, after.has_records) == (False, True)


def test_stopped_versions_are_not_asked_for() -> None:
    world = World()
    for declared in (PLAIN, Declared(high=True)):
        world.apply(declared)
    found = actual_state(world.target, ["trading"])
    assert [r.version for r in found.versions("trading", "bars")] == [1, 2]
    assert [r.version for r in live(found.registrations)] == [2]
    assert [run.name for run in found.running] == ["trading_bars_v2"]
