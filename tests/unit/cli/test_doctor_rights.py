"""What `rc doctor` makes of what a cluster says of rights: of topics that exist, do not, or may not be seen."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest
from confluent_kafka import KafkaError, KafkaException
from tests.support_deploy import ENV, M1, Declared

from ashioto.cli.doctor_rights import Held, judged, rights_findings
from ashioto.deploy.acls import ROLES, Operation, Place, Right, Role, rights
from ashioto.deploy.bootstrap import wanted_topics
from ashioto.log.kafka.client import Clients
from ashioto.log.kafka.grants import Grants
from ashioto.log.kafka.options import KafkaOptions

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from ashioto.log.kafka import KafkaLog

CONTEXT = Declared(frames=(M1,)).context()
PLACE = Place(env=ENV, prefix="w.")
TOPICS = {f"w.{spec.name}" for spec in wanted_topics([CONTEXT])}
NEEDS = {role: rights([CONTEXT], PLACE, roles=[role]) for role in ROLES}
ALL = {"ALTER_CONFIGS", "CREATE", "DELETE", "DESCRIBE", "DESCRIBE_CONFIGS", "READ", "WRITE"}


def right(operation: Operation, name: str = "t") -> Right:
    return Right(role="app", kind="topic", name=name, operation=operation)


@pytest.mark.parametrize(
    ("held", "operation", "lacks"),
    [
        ({"READ"}, "READ", False),
        ({"READ"}, "WRITE", True),
        ({"ALL"}, "WRITE", False),
        ({"WRITE"}, "DESCRIBE", False),
        ({"CREATE"}, "DESCRIBE", True),
        ({"ALTER_CONFIGS"}, "DESCRIBE_CONFIGS", False),
        (set(), "READ", True),
    ],
)
def test_a_right_is_had_by_itself_or_by_one_that_implies_it(
    held: set[str], operation: Operation, *, lacks: bool
) -> None:
    found = judged([right(operation)], Held(mine={"t": held}, makes={}))
    assert (bool(found.missing), found.told, found.open) == (lacks, 1, 0)


def test_of_a_topic_that_does_not_exist_only_its_making_is_known() -> None:
    nothing = Held(mine={}, makes={"t": False})
    assert judged([right("READ")], nothing).missing == ()
    assert judged([right("READ")], nothing).open == 1
    assert judged([right("CREATE")], nothing).missing == ("CREATE on t",)


def test_rights_on_names_that_begin_so_are_looked_at_one_by_one() -> None:
    needed = Right(role="infra", kind="topic", name="a.", pattern="prefixed", operation="DELETE")
    held = Held(mine={"a.x": {"DELETE"}, "a.y": {"READ"}, "b": set()}, makes={})
    assert judged([needed], held).missing == ("DELETE on a.*",)
    assert judged([needed], Held(mine={"a.x": {"DELETE"}}, makes={})).missing == ()


@dataclass
class Cluster:
    """Says what one user may do: in place of the rights of a cluster."""

    allowed: dict[str, set[str]] = field(default_factory=dict)
    makes_any: bool = False

    def mine(self, topics: Sequence[str]) -> dict[str, set[str]]:
        """Return what may be done with topics."""
        return {name: self.allowed[name] for name in topics if name in self.allowed}

    def makes(self, topics: Sequence[str]) -> dict[str, bool]:
        """Return whether topics may be made."""
        return dict.fromkeys(topics, self.makes_any)

    def said(self, *roles: Role) -> dict[tuple[str, str], str]:
        """What is found of roles, or of all."""
        log = cast("KafkaLog", SimpleNamespace(grants=self, options=SimpleNamespace(prefix="w.")))
        needs = {role: NEEDS[role] for role in roles or ROLES}
        found = rights_findings(log, [CONTEXT], needs, named=bool(roles))
        return {(finding.state, finding.check): finding.detail for finding in found}


EVERYTHING = TOPICS | {one.name for needed in NEEDS.values() for one in needed if one.pattern == "literal"}


def test_who_may_see_nothing_plays_no_role() -> None:
    nobody = Cluster({name: set[str]() for name in EVERYTHING})
    assert nobody.said() == {("error", "rights"): "this user has the rights of no role"}
    assert nobody.said("viewer")["error", "rights of viewer"].startswith("lacks DESCRIBE_CONFIGS on w.rc.dev.clock; ")


def test_who_may_do_everything_plays_all_roles() -> None:
    admin = Cluster(dict.fromkeys(EVERYTHING, ALL), makes_any=True)
    assert admin.said() == {("ok", "rights"): f"this user has what these roles need on topics: {', '.join(ROLES)}"}


def test_infra_is_known_by_what_it_may_make_before_there_are_topics() -> None:
    fresh = Cluster(makes_any=True)
    said = fresh.said()
    assert said["ok", "rights"].startswith("cannot be told before the topics are made: hb, engine, app")
    assert fresh.said("infra") == {
        ("ok", "rights"): "this user has what these roles need on topics, as far as there are topics: infra"
    }
    assert "cannot be told" in fresh.said("engine")["warning", "rights"]
    assert ("error", "rights of infra") in Cluster().said("infra")


def test_infra_without_the_right_to_delete_is_told() -> None:
    some = Cluster(dict.fromkeys(EVERYTHING, ALL - {"DELETE"}), makes_any=True)
    assert some.said("infra") == {("error", "rights of infra"): "lacks DELETE on w.trading.*"}


class Answer:
    """What a request is answered."""

    def __init__(self, code: int | None = None, may: tuple[str, ...] = ()) -> None:
        self._code, self.authorized_operations = code, [SimpleNamespace(name=name) for name in may]

    def result(self) -> Answer:
        """Return it, or raise what it says."""
        if self._code is not None:
            raise KafkaException(KafkaError(self._code))
        return self


class Admin:
    """Answers for topics by their names."""

    def __init__(self, answers: dict[str, Answer]) -> None:
        self._answers = answers

    def describe_topics(self, _: object, **__: object) -> dict[str, Answer]:
        """Answer."""
        return self._answers

    def create_topics(self, made: list[Any], *, validate_only: bool, **_: object) -> dict[str, Answer]:
        """Answer; nothing is made."""
        assert validate_only
        return {one.topic: self._answers[one.topic] for one in made}

    def poll(self, _: float) -> None:
        """Say nothing."""


def grants(folder: Path, answers: dict[str, Answer]) -> Grants:
    clients = Clients(KafkaOptions(bootstrap="127.0.0.1:1", registry="http://127.0.0.1:1", cache=folder))
    clients._admin = cast("Any", Admin(answers))
    return Grants(clients)


def test_nothing_may_be_done_with_what_may_not_be_seen(tmp_path: Path) -> None:
    answers = {
        "seen": Answer(may=("READ",)),
        "denied": Answer(KafkaError.TOPIC_AUTHORIZATION_FAILED),
        "absent": Answer(KafkaError.UNKNOWN_TOPIC_OR_PART),
    }
    assert grants(tmp_path, answers).mine(list(answers)) == {"seen": {"READ"}, "denied": set()}


def test_whether_topics_may_be_made_is_asked_and_none_is(tmp_path: Path) -> None:
    answers = {
        "new": Answer(),
        "there": Answer(KafkaError.TOPIC_ALREADY_EXISTS),
        "odd": Answer(KafkaError.POLICY_VIOLATION),
        "denied": Answer(KafkaError.TOPIC_AUTHORIZATION_FAILED),
        "denied too": Answer(KafkaError.CLUSTER_AUTHORIZATION_FAILED),
    }
    found = grants(tmp_path, answers).makes(list(answers))
    assert found == {"new": True, "there": True, "odd": True, "denied": False, "denied too": False}
    assert grants(tmp_path, {}).makes([]) == {}
