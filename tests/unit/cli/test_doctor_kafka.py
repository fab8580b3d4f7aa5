"""What `rc doctor` says of Kafka where nobody answers, and `rc infra acls` without asking anybody."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from typer.testing import Result

CANARY = "canary-7f3a"


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


def test_a_setting_that_the_client_refuses_is_the_finding(
    nowhere: Path, run: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    (nowhere / "ca.pem").write_text("junk", encoding="utf-8")
    monkeypatch.setenv("ASHIOTO_KAFKA__SECURITY_PROTOCOL", "SSL")
    monkeypatch.setenv("ASHIOTO_KAFKA__CA", "ca.pem")
    rows = json.loads(run("doctor", "--json", code=1).stdout)
    (kafka,) = [row for row in rows if row["check"] == "kafka"]
    assert kafka["state"] == "error"
    assert "refuses ssl.ca.location" in kafka["detail"]
    assert "ashioto.toml" in kafka["hint"]


def test_a_password_that_anybody_can_read_on_its_way_is_told(
    nowhere: Path, run: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert nowhere.exists()
    monkeypatch.setenv("ASHIOTO_SCHEMA_REGISTRY__USER", "me")
    monkeypatch.setenv("ASHIOTO_SCHEMA_REGISTRY__PASSWORD", CANARY)
    said = run("doctor", "--json", code=1).stdout
    (row,) = [row for row in json.loads(said) if row["check"] == "registry's security"]
    assert (row["state"], row["hint"]) == ("warning", 'url = "https://..."')
    assert "as me: the password goes over the network as it is" in row["detail"]
    assert CANARY not in said


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


def test_names_are_to_the_letter_for_programs_and_readable_for_people(
    nowhere: Path, run: Callable[..., Result]
) -> None:
    assert nowhere.exists()
    rows = json.loads(run("infra", "acls", "--role", "app", "--json").stdout)
    assert [row["name"] for row in rows if row["kind"] == "transactional_id"] == ["ashioto.free\x1f"] * 2
    table = run("infra", "acls", "--role", "app").stdout
    assert "ashioto.free␟" in table
    assert "\x1f" not in table


def test_a_log_in_a_file_has_no_rights(run: Callable[..., Result], folder: Path) -> None:
    assert folder.exists()
    assert "the log is one file" in run("infra", "acls", code=2).stderr
