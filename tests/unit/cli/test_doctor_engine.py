"""What `rc doctor` makes of a Flink cluster that answers, or does not."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pytest
from tests.support_flink_server import FakeJob, Site, refusal

from ashioto.cli.doctor_engine import (
    FLINK,
    _version,
    checkpoint_findings,
    cluster_findings,
    engine_findings,
    gateway_findings,
)
from ashioto.cli.project import open_project
from ashioto.config import EngineConfig
from ashioto.errors import EngineBusyError
from ashioto.log.kafka import KafkaOptions

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from typer.testing import Result

    from ashioto.cli.doctor_finding import Finding


def states(found: list[Finding]) -> dict[str, str]:
    return {finding.check: finding.state for finding in found}


def test_a_cluster_with_all_it_needs_is_well() -> None:
    site = Site()
    found = [*cluster_findings(site.jobs), *gateway_findings(site.gateway)]
    assert states(found) == dict.fromkeys(["flink", "slots", "sql gateway", "connectors"], "ok")
    assert [f.detail for f in found if f.check == "slots"] == ["1 task managers, 4 of 4 slots free"]
    assert site.server.jobs == []


def test_a_cluster_that_is_full_is_told() -> None:
    site = Site()
    site.server.jobs = [FakeJob(str(n) * 32, "bars", {}, "") for n in range(4)]
    (_, slots) = cluster_findings(site.jobs)
    assert (slots.state, "4 slots" in slots.detail) == ("warning", True)


def test_a_connector_that_is_missing_is_told_with_what_to_do() -> None:
    site = Site()
    site.server.refuse = lambda s: refusal("x.E: Could not find any factory 'kafka'") if "EXPLAIN" in s else None
    (_, found) = gateway_findings(site.gateway)
    assert (found.state, found.detail) == ("error", "Could not find any factory 'kafka'")
    assert "flink-sql-connector-kafka" in found.hint


def test_a_gateway_that_is_gone_in_between_is_no_missing_connector() -> None:
    site = Site()
    found = gateway_findings(site.gateway)
    assert next(found).check == "sql gateway"
    site.server.down = True
    with pytest.raises(EngineBusyError):
        list(found)


@pytest.mark.parametrize(
    ("version", "state"),
    [("2.2.1", "error"), ("2.3.0", "ok"), ("1.20.1", "error"), ("3.0", "warning"), ("what", "error")],
)
def test_versions_are_told(version: str, state: str) -> None:
    assert FLINK == (2, 3)
    assert _version("flink", version, "http://flink").state == state


def test_where_state_is_kept_is_told(tmp_path: Path) -> None:
    found = {}
    for uri in ("s3://bucket/flink", f"file://{tmp_path}", f"file://{tmp_path}/none"):
        (finding,) = checkpoint_findings(EngineConfig(kind="flink", checkpoints=uri))
        found[uri] = finding
    assert [f.state for f in found.values()] == ["ok", "ok", "warning"]
    assert "not looked into" in found["s3://bucket/flink"].detail
    assert "not on this machine" in found[f"file://{tmp_path}/none"].detail


def test_servers_that_do_not_answer_are_told_and_the_rest_is_looked_at(
    flink_project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ashioto.engines.rest._FIRST_PAUSE_S", 0.0)
    assert flink_project.exists()
    found = engine_findings(open_project())
    assert states(found) == {"flink": "error", "sql gateway": "error", "checkpoints": "warning"}
    assert "was not reached" in found[0].detail


def test_the_embedded_engine_has_no_server(run: Callable[..., Result], folder: Path) -> None:
    assert folder.exists()
    assert engine_findings(open_project()) == []
    assert '"sql gateway"' not in run("doctor", "--json").stdout


def test_what_would_run_in_flink_is_printed_without_anybody_to_ask(
    run: Callable[..., Result], flink_project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert flink_project.exists()
    hurried = partial(KafkaOptions, request_timeout_s=1.0)
    monkeypatch.setattr("ashioto.log.kafka.configured.KafkaOptions", hurried)
    result = run("infra", "sql")
    assert "-- trading.rate_bars: trading_rate_bars_v1" in result.stdout
    assert "EXECUTE STATEMENT SET" in result.stdout
    assert "versions are those of a first apply" in result.stderr
