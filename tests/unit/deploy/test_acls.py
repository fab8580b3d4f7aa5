from __future__ import annotations

from dataclasses import replace

import pytest
from tests.support_deploy import ENV, M1, Declared

from ashioto.deploy.acls import ROLES, Place, Right, Role, rights
from ashioto.deploy.desired import desired_state
from ashioto.errors import UsageError

PLACE = Place(env=ENV, prefix="w.")
CONTEXT = Declared(frames=(M1,), symbols=True).context()


def of(role: Role) -> dict[tuple[str, str], set[str]]:
    """Operations of a role by kind and name; names that are only beginnings end with a star."""
    found: dict[tuple[str, str], set[str]] = {}
    for one in rights([CONTEXT], PLACE, roles=[role]):
        name = one.name + ("*" if one.pattern == "prefixed" else "")
        found.setdefault((one.kind, name), set()).add(one.operation)
    return found


def topics(role: Role, operation: str) -> set[str]:
    return {name.removeprefix("w.") for (kind, name), ops in of(role).items() if kind == "topic" and operation in ops}


def test_everything_is_within_the_prefix() -> None:
    assert {one.name[:2] for one in rights([CONTEXT], PLACE)} == {"w."}


def test_nobody_but_infra_makes_or_deletes_topics() -> None:
    makers = {role: topics(role, "CREATE") | topics(role, "ALTER_CONFIGS") | topics(role, "DELETE") for role in ROLES}
    assert {role for role, found in makers.items() if found} == {"infra", "migrate"}
    assert makers["migrate"] == {"rc.migrate.jobs"}
    assert topics("infra", "DELETE") == {"trading.*"}
    assert topics("infra", "CREATE") == {"trading.*", "rc.*"}


@pytest.mark.parametrize(
    ("role", "writes"),
    [
        ("infra", {"rc.infra.applied", "rc.hb.specs", "rc.fences", "rc.clock"}),
        ("hb", {"rc.hb.state", "rc.fences", "rc.dlq", "rc.clock", "trading.rate_hb"}),
        (
            "engine",
            {"rc.engine.offsets", "rc.fences", "rc.dlq", "rc.clock", "trading.rate_bars_1m", "trading.rate_late"},
        ),
        ("app", {"rc.dlq", "trading.rate", "trading.hours", "trading.symbol", "trading.rate_bars_1m"}),
        (
            "migrate",
            {"rc.fences", "rc.dlq", "rc.migrate.jobs", "trading.rate", "trading.hours", "trading.symbol",
             "trading.rate_bars_1m"},
        ),
        ("viewer", set()),
    ],
)  # fmt: skip
def test_each_role_writes_its_own_topics_and_no_others(role: Role, writes: set[str]) -> None:
    assert topics(role, "WRITE") == writes


def test_a_viewer_reads_all_topics_there_are() -> None:
    declared = set(desired_state([CONTEXT]).topic_names)
    assert topics("viewer", "READ") >= declared


def test_the_index_of_a_schedule_is_written_where_there_is_one_and_else_only_looked_for() -> None:
    index = "trading.hours_by_day"
    with_index = replace(PLACE, index=True)
    for role in ROLES:
        assert of(role).get(("topic", f"w.{index}"), set()) == ({"DESCRIBE"} if role in {"app", "viewer"} else set())
        found = {r.operation for r in rights([CONTEXT], with_index, roles=[role]) if r.name == f"w.{index}"}
        reads, writes = {"DESCRIBE_CONFIGS", "READ"}, {"DESCRIBE_CONFIGS", "READ", "WRITE"}
        assert found == {"app": writes, "infra": writes, "viewer": reads}.get(role, set())
    assert Right(role="infra", kind="topic", name="w.trading.hours", operation="READ") in rights([CONTEXT], with_index)


def test_who_reads_sees_how_a_topic_is_declared() -> None:
    for role in ROLES:
        assert topics(role, "READ") | topics(role, "WRITE") <= topics(role, "DESCRIBE_CONFIGS")


def test_transactions_are_those_of_the_role_alone() -> None:
    mine = {role: {name for kind, name in of(role) if kind == "transactional_id"} for role in ROLES}
    free = "w.ashioto.free\x1f*"
    assert mine == {
        "infra": {"w.ashioto.infra\x1ftest\x1fhere"},
        "hb": {"w.ashioto.hb\x1ftest\x1fhere\x1ftrading", free},
        "engine": {"w.ashioto.engine\x1ftest\x1fhere\x1f*", free},
        "app": {free},
        "migrate": {"w.ashioto.migrate\x1ftest\x1fhere\x1ftrading\x1fbars", free},
        "viewer": set(),
    }


def test_engines_join_their_group_and_others_only_look_who_is_in_it() -> None:
    found = {role: of(role).get(("group", "w.ashioto.engine.test.here"), set()) for role in ROLES}
    look = {"DESCRIBE"}
    assert found == {
        "infra": look, "hb": set(), "engine": {"DESCRIBE", "READ"}, "app": set(), "migrate": set(), "viewer": look,
    }  # fmt: skip


def test_rows_hold_names_to_the_letter() -> None:
    row = Right(role="hb", kind="transactional_id", name="a\x1fb", operation="WRITE").row()
    name = "a\x1fb"
    assert row == {"role": "hb", "kind": "transactional_id", "name": name, "pattern": "literal", "operation": "WRITE"}


def test_an_unknown_role_is_refused() -> None:
    with pytest.raises(UsageError, match="no role 'root'") as caught:
        rights([CONTEXT], PLACE, roles=["root"])
    assert "viewer" in caught.value.hint


def test_the_user_of_a_flink_cluster_plays_the_engine_and_knows_nothing_of_ashioto_itself() -> None:
    place = replace(PLACE, index=True, flink=True)
    found = {(r.kind, r.name, r.pattern, r.operation) for r in rights([CONTEXT], place, roles=["engine"])}
    own, group = "w.trading_bars_v", f"w.ashioto-{'-'.join(ENV)}-"
    names = {name for kind, name, _, _ in found if kind == "topic"}
    assert names == {
        "w.trading.rate", "w.trading.rate_hb", "w.trading.hours_by_day", "w.trading.rate_bars_1m",
        "w.trading.rate_late", own,
    }  # fmt: skip
    assert {r for r in found if r[0] != "topic"} == {("group", group, "prefixed", "READ")}
    assert ("topic", own, "prefixed", "WRITE") in found
    assert ("topic", "w.trading.rate", "literal", "WRITE") not in found


@pytest.mark.parametrize(
    ("role", "operations"), [("infra", {"DELETE", "DESCRIBE"}), ("hb", {"DESCRIBE"}), ("viewer", {"DESCRIBE"}),
                             ("app", set())]
)  # fmt: skip
def test_who_asks_how_far_jobs_have_read_may_see_their_groups(role: Role, operations: set[str]) -> None:
    place, name = replace(PLACE, index=True, flink=True), f"w.ashioto-{'-'.join(ENV)}-"
    found = {r.operation for r in rights([CONTEXT], place, roles=[role]) if (r.kind, r.name) == ("group", name)}
    assert found == operations
    without = [r for r in rights([CONTEXT], PLACE, roles=[role]) if (r.kind, r.name) == ("group", name)]
    assert without == []


def test_the_user_of_a_ksqldb_server_plays_the_engine_and_has_what_is_the_servers_own() -> None:
    place = replace(PLACE, index=True, ksqldb=True)
    found = {(r.kind, r.name, r.pattern, r.operation) for r in rights([CONTEXT], place, roles=["engine"])}
    servers = {(kind, name) for kind, name, pattern, _ in found if pattern == "prefixed" and name.startswith("_")}
    assert servers == {(kind, "_confluent-ksql-") for kind in ("topic", "group", "transactional_id")}
    assert ("topic", "w.trading_bars_v", "prefixed", "CREATE") in found
    assert ("topic", "w.trading.rate_bars_1m", "literal", "WRITE") in found
    assert ("topic", "w.trading.rate", "literal", "WRITE") not in found


@pytest.mark.parametrize(("role", "asks"), [("infra", True), ("hb", True), ("viewer", True), ("app", False)])
def test_who_asks_how_far_a_ksqldb_server_has_read_may_see_its_groups(role: Role, asks: bool) -> None:  # noqa: FBT001
    place = replace(PLACE, index=True, ksqldb=True)
    found = {r.operation for r in rights([CONTEXT], place, roles=[role]) if r.name == "_confluent-ksql-"}
    assert found == ({"DESCRIBE"} if asks else set())
