from __future__ import annotations

import socket
from pathlib import Path

import pytest

from ashioto.errors import StackError
from ashioto.testing.stack import settings
from ashioto.testing.stack.broker import client_config
from ashioto.testing.stack.settings import Access, free_ports, place_of_one, places, properties, server_settings


def test_every_address_is_of_this_machine_only() -> None:
    for place in [place_of_one(), *places(3)]:
        made = server_settings(place, Path("/data"))
        addresses = f"{made['listeners']},{made['controller.quorum.voters']},{made['advertised.listeners']}".split(",")
        assert all("127.0.0.1:" in address for address in addresses)


def test_all_brokers_of_a_cluster_know_the_same_voters_and_have_ports_of_their_own() -> None:
    made = [server_settings(place, Path("/data")) for place in places(3)]
    assert len({m["controller.quorum.voters"] for m in made}) == 1
    assert len({m["listeners"] for m in made}) == 3
    assert made[0]["default.replication.factor"] == "3"
    assert made[0]["transaction.state.log.min.isr"] == "2"


def test_given_settings_win() -> None:
    made = server_settings(place_of_one(), Path("/data"), extra={"group.min.session.timeout.ms": "6000"})
    assert made["group.min.session.timeout.ms"] == "6000"


def test_a_secured_broker_lets_nobody_do_what_no_acl_allows() -> None:
    access = Access(users={"app": "canary"})
    made = server_settings(place_of_one(), Path("/data"), access=access)
    assert made["allow.everyone.if.no.acl.found"] == "false"
    assert "CLIENT:SASL_PLAINTEXT" in made["listener.security.protocol.map"]
    assert "canary" not in str(made)
    assert access.password not in repr(access)


def test_clients_log_in_as_who_they_say() -> None:
    access = Access(users={"app": "canary"})
    assert client_config("x:1", access, "app")["sasl.password"] == "canary"
    assert client_config("x:1", access)["sasl.username"] == "admin"
    with pytest.raises(StackError, match="no user 'nobody'") as refused:
        client_config("x:1", access, "nobody")
    assert refused.value.hint == "there are: admin, app"


def test_a_port_that_is_taken_is_not_free() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        assert not settings._is_free(port)
    assert settings._is_free(port)


def test_no_free_port_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "_is_free", lambda _: False)
    with pytest.raises(StackError, match="no 2 free ports"):
        free_ports(2)


def test_a_value_cannot_add_a_setting_of_its_own() -> None:
    assert properties({"a": "1\nb=2", "c": "\\"}) == "a=1\\nb=2\nc=\\\\\n"
