"""What `rc doctor` says of Kafka where nobody answers, and of rights."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from ashioto.cli.doctor_kafka import lacking
from ashioto.deploy.acls import Operation, Right

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from typer.testing import Result

CANARY = "canary-7f3a"


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
    assert bool(lacking([right(operation)], {"t": held}, there=set())) is lacks


def test_a_topic_that_is_there_and_not_seen_may_not_be_touched() -> None:
    assert lacking([right("READ")], {}, there={"t"}) == ["READ on t"]
    assert lacking([right("READ")], {}, there=set()) == []


@pytest.fixture
def nowhere(folder: Path, run: Callable[..., Result], monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project on a cluster that does not answer."""
    for name in ("ashioto.toml", "bars.py", "README.md", ".gitignore"):
        (folder / name).unlink()
    run("init", "--kafka")
    monkeypatch.setenv("ASHIOTO_LOG__BOOTSTRAP", "127.0.0.1:1")
    monkeypatch.setenv("ASHIOTO_SCHEMA_REGISTRY__URL", "http://127.0.0.1:1")
    monkeypatch.setattr("ashioto.log.kafka.checkup.ANSWER_S", 0.2)
    return folder


def test_where_nobody_answers_that_is_the_finding(nowhere: Path, run: Callable[..., Result]) -> None:
    assert nowhere.exists()
    result = run("doctor", "--json", code=1)
    rows: list[dict[str, Any]] = json.loads(result.stdout)
    errors = {row["check"]: row["detail"] for row in rows if row["state"] == "error"}
    assert set(errors) == {"kafka", "schema registry"}
    assert "Kafka at 127.0.0.1:1 does not answer" in errors["kafka"]
    assert {"confluent-kafka", "librdkafka", "security"} <= {row["check"] for row in rows}


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("--apply",), "--role engine --principal User:engine"),
        (("--apply", "--role", "hb"), "--role engine --principal User:engine"),
        (("--role", "root"), "no role 'root'"),
        (("--principal", "hb"), "e.g. User:hb"),
    ],
)
def test_wrong_options_of_acls_are_told(
    nowhere: Path, run: Callable[..., Result], args: tuple[str, ...], message: str
) -> None:
    assert nowhere.exists()
    assert message in run("infra", "acls", *args, code=2).stderr


def test_rights_are_printed_without_asking_the_cluster(nowhere: Path, run: Callable[..., Result]) -> None:
    assert nowhere.exists()
    rows = json.loads(run("infra", "acls", "--role", "viewer", "--principal", "User:v", "--json").stdout)
    assert {row["operation"] for row in rows} == {"DESCRIBE", "DESCRIBE_CONFIGS", "READ"}
    assert {row["principal"] for row in rows} == {"User:v"}


def test_a_log_in_a_file_has_no_rights(run: Callable[..., Result], folder: Path) -> None:
    assert folder.exists()
    assert "the log is one file" in run("infra", "acls", code=2).stderr
