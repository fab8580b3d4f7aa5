"""Clients of Kafka whose settings are refused: told at once, by name, and no secret is shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ashioto.errors import ConfigError, LogError
from ashioto.log.kafka.client import Clients
from ashioto.log.kafka.options import KafkaOptions

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

CANARY = "canary-7f3a"
SASL = {"security.protocol": "SASL_PLAINTEXT", "sasl.username": "me", "sasl.password": CANARY}
MAKE: list[Callable[[Clients], object]] = [
    lambda clients: clients.admin,
    lambda clients: clients.producer(),
    lambda clients: clients.producer("t"),
    lambda clients: clients.consumer(),
    lambda clients: clients.member({"group.id": "g"}),
]


def clients(folder: Path, settings: dict[str, str | int | float | bool]) -> Clients:
    """Clients of a cluster that is not there."""
    return Clients(KafkaOptions(bootstrap="127.0.0.1:1", registry="http://127.0.0.1:1", cache=folder, client=settings))


@pytest.mark.parametrize("make", MAKE)
@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"socket.timout.ms": 5}, "socket.timout.ms"),
        ({"socket.timeout.ms": 5}, "socket.timeout.ms"),
        (SASL | {"sasl.mechanism": "scram-sha-512"}, "sasl.mechanism"),
        (SASL | {"sasl.mechanism": "GSSAPI"}, "sasl.mechanism"),
        ({"security.protocol": "SSL", "ssl.key.pem": CANARY}, "ssl.key.pem"),
    ],
)
def test_a_refused_setting_is_named_and_its_secret_is_not(
    tmp_path: Path, make: Callable[[Clients], object], settings: dict[str, str | int | float | bool], named: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        make(clients(tmp_path, settings))
    assert f"refuses {named}: " in caught.value.message
    assert "ashioto.toml" in caught.value.hint
    assert CANARY not in str(caught.value)


def test_a_file_that_is_no_certificate_is_named(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("junk", encoding="utf-8")
    found = clients(tmp_path, {"security.protocol": "SSL", "ssl.ca.location": str(tmp_path / "ca.pem")})
    for _ in range(2):
        with pytest.raises(ConfigError, match=r"refuses ssl\.ca\.location: "):
            _ = found.admin


def test_the_administering_client_is_made_once_and_anew_after_an_error(tmp_path: Path) -> None:
    found = clients(tmp_path, {})
    first = found.admin
    assert found.admin is first
    with pytest.raises(LogError, match="does not answer"), found.errors():
        found.admin.list_topics(timeout=0.1)
    assert found.admin is not first
