"""Each role on a broker that lets nobody do anything without a right: it does its job, and is denied all else."""

from __future__ import annotations

import json
import signal
import subprocess
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from tests.support_health import ask
from tests.support_kafka_project import BARS, finals, opened, project, sessions, settle
from tests.support_roles import RC, Roles, environment, rc, wait_until

from ashioto.deploy.acls import ROLES
from ashioto.errors import UnknownTopicError
from ashioto.testing.stack import Broker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

CANARY = "canary-4c1e"
USERS = {role: f"{CANARY}-{role}" for role in ROLES} | {"nobody": f"{CANARY}-nobody"}
DENIED = "rc infra acls"


@pytest.fixture(scope="module")
def secured(java: None) -> Iterator[Broker]:  # noqa: ARG001  # skips
    with Broker(secured=True, users=USERS) as broker:
        yield broker


@pytest.fixture(scope="module")
def login(secured: Broker, registry: str, unique_module: str) -> Iterator[Callable[[str], None]]:
    """Says in the environment who logs in."""
    with pytest.MonkeyPatch.context() as patch:
        settle(patch, registry, unique_module)
        patch.setenv("ASHIOTO_KAFKA__SECURITY_PROTOCOL", "SASL_PLAINTEXT")
        patch.setenv("ASHIOTO_KAFKA__SASL_MECHANISM", "SCRAM-SHA-256")
        patch.setenv("ASHIOTO_SCHEMA_REGISTRY__USER", "me")  # this one lets everybody in, whatever they say
        patch.setenv("ASHIOTO_SCHEMA_REGISTRY__PASSWORD", f"{CANARY}-registry")

        def use(user: str) -> None:
            client = secured.client_config(user)
            patch.setenv("ASHIOTO_KAFKA__USERNAME", user)
            patch.setenv("ASHIOTO_KAFKA__PASSWORD", client["sasl.password"])

        yield use


@pytest.fixture(scope="module")
def unique_module() -> str:
    return f"r{datetime.now(UTC).timestamp():.0f}"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, secured: Broker, login: Callable[[str], None]) -> Path:
    """A project whose roles have their rights, applied by `infra`."""
    made = project(tmp_path_factory.mktemp("secured") / "p", secured.bootstrap)
    login("nobody")
    assert "this user has the rights of no role" in rc(made, "doctor", "--json", code=1)
    login("admin")
    for role in ROLES:
        granted = json.loads(
            rc(made, "infra", "acls", "--role", role, "--principal", f"User:{role}", "--apply", "--json")
        )
        assert granted
        again = rc(made, "infra", "acls", "--role", role, "--principal", f"User:{role}", "--apply")
        assert again == "nothing to do\n"
    for role in sorted(set(ROLES) - {"infra"}):
        login(role)
        assert CANARY not in rc(made, "infra", "apply", code=None)
        with opened(made) as log:
            assert log.topics() == []
    login("infra")
    assert "has what these roles need on topics, as far as" in rc(made, "doctor", "--json", "--role", "infra")
    with opened(made) as log, pytest.raises(UnknownTopicError):
        log.describe("rc.clock")
    rc(made, "infra", "apply")
    assert rc(made, "infra", "apply") == "nothing to do\n"
    login("app")
    sessions(made, datetime.now(UTC).replace(microsecond=0) - timedelta(seconds=20))
    return made


def test_every_role_does_its_job_and_shows_no_secret(folder: Path, login: Callable[[str], None]) -> None:
    with Roles(folder) as roles:
        started = []
        for role in ("engine", "hb"):
            login(role)
            started.append(roles.start(role, "run", "--log-level", "debug"))
        login("app")
        feed = roles.start("ticks", "simulate", "--rate", 20)
        login("viewer")
        with opened(folder) as log:
            wait_until(lambda: finals(log) >= 3, every=0.2, what="a final bar")
            assert log.end_offsets("rc.dlq") == {0: 0}
        assert json.loads(rc(folder, "bars", "read", "RateBar1s", "--json"))
        rc(folder, "infra", "status", "--json", code=None)
        for one in started:
            one.wait_for("health on ")
            port = int(one.text.partition("127.0.0.1:")[2].partition(";")[0])
            assert CANARY not in ask(port, "/metrics").body.decode()
        feed.end(signal.SIGINT)
        assert [one.end() for one in started] == [0, 0]
        assert roles.tracebacks() == []
    login("migrate")
    (folder / "old.csv").write_text("at,price,size\n2025-01-06T10:00:00Z,1.5,1\n", encoding="utf-8")
    login("app")
    sessions(folder, datetime(2025, 1, 6, tzinfo=UTC), "OLD")
    login("migrate")
    rc(folder, "migrate", "replay", "old.csv", "--query", "rate_bars", "--key", "broker=SIM", "--key", "symbol=OLD")
    assert leaks(folder) == []


COMMANDS = (
    "infra plan", "infra plan --json", "infra apply --json", "infra status --json", "infra acls --json",
    "hb list --json", "schedule show --json", "schedule check", "bars read RateBar1s --json", "migrate lag --json",
    "doctor", "ticks send no.csv",
    "bars chart RateBar1s --out x.html", "migrate verify no.csv --bar RateBar1s", "dev --no-such-option",
)  # fmt: skip


def test_no_command_shows_a_secret(folder: Path, login: Callable[[str], None]) -> None:
    login("admin")
    for command in COMMANDS:
        done = subprocess.run(
            [*RC, *command.split()], cwd=folder, env=environment(), capture_output=True, text=True, check=False
        )
        assert CANARY not in done.stdout + done.stderr, command
        assert "Traceback" not in done.stderr, command
    assert leaks(folder) == []


def leaks(folder: Path) -> list[str]:
    """Return files of a project that have a secret in them."""
    return [str(file) for file in folder.rglob("*") if file.is_file() and CANARY.encode() in file.read_bytes()]


@pytest.mark.parametrize(
    ("role", "command"),
    [
        ("viewer", "ticks simulate --seconds 1"),
        ("viewer", "hb run"),
        ("hb", "engine run"),
        ("hb", "ticks simulate --seconds 1"),
        ("engine", "hb run"),
        ("engine", "ticks simulate --seconds 1"),
        ("app", "hb run"),
        ("app", "engine run"),
        ("migrate", "engine run"),
        ("infra", "ticks simulate --seconds 1"),
        ("infra", "hb run"),
        ("infra", "infra acls --role hb --principal User:nobody --apply"),
        ("nobody", "bars read RateBar1s"),
        ("nobody", "infra plan"),
    ],
)
def test_nobody_does_the_job_of_another(folder: Path, login: Callable[[str], None], role: str, command: str) -> None:
    login(role)
    said = rc(folder, *command.split(), code=1)
    assert DENIED in said
    assert CANARY not in said


@pytest.mark.parametrize("role", ROLES)
def test_the_doctor_knows_what_a_role_lacks(folder: Path, login: Callable[[str], None], role: str) -> None:
    login(role)
    for asked in (role, ROLES[ROLES.index(role) - 1]):
        rows = json.loads(rc(folder, "doctor", "--json", "--role", asked, code=0 if asked == role else 1))
        assert CANARY not in json.dumps(rows)
        lacks = [row for row in rows if row["check"] == f"rights of {asked}"]
        assert bool(lacks) is (asked != role), (asked, lacks)
        (clock,) = [row for row in rows if row["check"] == "broker's clock"]
        assert clock["state"] == "ok"
        assert (" ms " in clock["detail"]) is (role in {"infra", "hb", "engine"})


def test_a_wrong_password_is_told_and_not_shown(
    folder: Path, login: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    login("app")
    monkeypatch.setenv("ASHIOTO_KAFKA__PASSWORD", f"{CANARY}-wrong")
    said = rc(folder, "doctor", code=1)
    assert "does not let this client in" in said
    assert CANARY not in said


def test_rights_on_topics_are_just_those_that_are_named(folder: Path, login: Callable[[str], None]) -> None:
    login("admin")
    rows = json.loads(rc(folder, "infra", "acls", "--json"))
    for role in set(ROLES) - {"infra"}:
        login(role)
        with opened(folder) as log:
            prefix = log.options.prefix
            wanted: dict[str, set[str]] = {}
            for row in rows:
                if row["role"] == role and row["kind"] == "topic":
                    wanted.setdefault(row["name"], set()).add(row["operation"])
            names = sorted({row["name"] for row in rows if row["kind"] == "topic" and row["pattern"] == "literal"})
            mine = {name: found - {"DESCRIBE"} for name, found in log.grants.mine(names).items()}
        assert BARS in {name.removeprefix(prefix) for name in names}
        assert {n: ops for n, ops in mine.items() if ops} == {n: wanted[n] for n in wanted if n in mine}
