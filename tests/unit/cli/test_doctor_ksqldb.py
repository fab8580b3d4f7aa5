from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from tests.support_ksqldb_server import Network, client_of

from ashioto.cli.doctor_ksqldb import server_findings
from ashioto.errors import EngineBusyError
from ashioto.testing.ksqldb_server import KsqldbServer

if TYPE_CHECKING:
    from ashioto.cli.doctor_finding import Finding


def findings(server: KsqldbServer) -> dict[str, Finding]:
    return {found.check: found for found in server_findings(client_of(Network(server)))}


def test_a_server_that_is_well() -> None:
    found = findings(KsqldbServer())
    assert {check: one.state for check, one in found.items()} == {
        "ksqldb": "ok", "ksqldb health": "ok", "ksqldb queries": "ok"
    }  # fmt: skip
    assert found["ksqldb"].detail == "8.0.7 at http://ksqldb:8088"


@pytest.mark.parametrize("version", ["7.9.0", "8.1.0", "80.0.1", "?"])
def test_other_versions_are_told(version: str) -> None:
    server = KsqldbServer()
    server.version = version
    assert findings(server)["ksqldb"].state == "warning"


def test_what_is_ill_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    server = KsqldbServer(topics={"t": 1})
    server.catalog.run("CREATE STREAM `ticks` (`a` VARCHAR) WITH (KAFKA_TOPIC = 't')")
    server.catalog.run("CREATE STREAM `bars` WITH (KAFKA_TOPIC = 'b') AS SELECT * FROM `ticks` EMIT CHANGES")
    server.failing["bars"] = "no room"
    server.work(lambda _: {})
    hosts: Any = {"clusterStatus": {"two:8088": {"hostAlive": False}}}
    monkeypatch.setattr(server, "_cluster", lambda: hosts)
    monkeypatch.setattr(server, "_health", lambda: {"isHealthy": False})
    found = findings(server)
    assert found["ksqldb health"].state == "error"
    assert (found["ksqldb cluster"].state, found["ksqldb cluster"].detail) == ("warning", "two:8088 do not answer")
    assert (found["ksqldb queries"].state, found["ksqldb queries"].detail) == ("error", "CSAS_BARS_1 have failed")


def test_a_server_that_is_away_is_no_traceback() -> None:
    network = Network(KsqldbServer())
    network.down = True
    with pytest.raises(EngineBusyError, match="was not reached"):
        list(server_findings(client_of(network)))
