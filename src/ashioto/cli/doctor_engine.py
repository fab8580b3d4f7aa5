"""What `rc doctor` finds of a server that runs the queries: whether it answers, versions, room, connectors."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from ashioto.cli.doctor_finding import Finding
from ashioto.errors import AshiotoError, EngineError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ashioto.cli.project import Project
    from ashioto.config import EngineConfig
    from ashioto.engines.flink.gateway import Gateway
    from ashioto.engines.flink.jobs import Jobs

FLINK: Final = (2, 3)
"""The first version of Flink that has `TO_CHANGELOG`."""
_NEWEST: Final = 2
_PROBE: Final = (
    """CREATE TEMPORARY TABLE `ticks` (`k` STRING) WITH (
      'connector' = 'kafka', 'topic' = 'ticks', 'properties.bootstrap.servers' = 'localhost:9092',
      'properties.group.id' = 'ashioto-doctor', 'scan.startup.mode' = 'earliest-offset',
      'value.format' = 'avro-confluent', 'value.avro-confluent.url' = 'http://localhost:8081')""",
    """CREATE TEMPORARY TABLE `bars` (`k` STRING, `v` STRING, PRIMARY KEY (`k`) NOT ENFORCED) WITH (
      'connector' = 'upsert-kafka', 'topic' = 'bars', 'properties.bootstrap.servers' = 'localhost:9092',
      'key.format' = 'raw', 'value.format' = 'avro-confluent', 'value.fields-include' = 'EXCEPT_KEY',
      'value.avro-confluent.url' = 'http://localhost:8081')""",
    "EXPLAIN INSERT INTO `bars` SELECT `k`, MAX(`k`) FROM `ticks` GROUP BY `k`",
)
"""Tables that load what statements need; nobody is asked for their topics."""


def engine_findings(project: Project) -> list[Finding]:
    """Return how the server is that runs a project's queries; nothing for the embedded engine.

    Args:
        project: The project.
    """
    config = project.config
    if config.engine.kind == "ksqldb":
        from ashioto.cli.doctor_ksqldb import ksqldb_findings

        return ksqldb_findings(config)
    if config.engine.kind != "flink":
        return []
    from ashioto.clock import SystemClock
    from ashioto.engines.flink.options import flink_options, open_gateway, open_jobs

    clock = SystemClock()
    try:
        options = flink_options(config)
    except AshiotoError as error:
        return [Finding(state="error", check="flink", detail=error.message, hint=error.hint)]
    gateway, jobs = open_gateway(config, options, clock), open_jobs(config, options, clock)
    found = [
        *_asked("flink", lambda: cluster_findings(jobs)),
        *_asked("sql gateway", lambda: gateway_findings(gateway)),
    ]
    return [*found, *checkpoint_findings(config.engine)]


def _asked(check: str, ask: Callable[[], Iterator[Finding]]) -> list[Finding]:
    try:
        return list(ask())
    except EngineError as error:
        return [Finding(state="error", check=check, detail=error.message, hint=error.hint)]


def cluster_findings(jobs: Jobs) -> Iterator[Finding]:
    """Yield how a cluster of Flink is.

    Args:
        jobs: Its job manager.

    Raises:
        EngineError: It is not reached.
    """
    found = jobs.overview()
    yield _version("flink", found.version, jobs.url)
    detail = f"{found.taskmanagers} task managers, {found.free} of {found.slots} slots free"
    if not found.slots:
        yield Finding(state="error", check="slots", detail=detail, hint="start a task manager")
    elif not found.free:
        hint = "queries that are registered now wait: add task managers or slots"
        yield Finding(state="warning", check="slots", detail=detail, hint=hint)
    else:
        yield Finding(state="ok", check="slots", detail=detail)


def gateway_findings(gateway: Gateway) -> Iterator[Finding]:
    """Yield how a SQL gateway is, and whether it has what statements need.

    Args:
        gateway: The gateway.

    Raises:
        EngineError: It is not reached.
    """
    yield _version("sql gateway", gateway.version(), gateway.url)
    detail = "kafka, upsert-kafka and avro-confluent are there"
    with gateway.session() as session:
        try:
            for statement in _PROBE:
                session.run(statement, about="tables of rc doctor")
        except EngineError as error:
            if "said" not in error.ids:
                raise
            hint = (
                "put flink-sql-connector-kafka and flink-sql-avro-confluent-registry into lib/ of gateway and cluster"
            )
            yield Finding(state="error", check="connectors", detail=str(error.ids["said"]), hint=hint)
            return
    yield Finding(state="ok", check="connectors", detail=detail)


def checkpoint_findings(engine: EngineConfig) -> Iterator[Finding]:
    """Yield where state is kept, and whether it can be found again where the job manager has forgotten it.

    Args:
        engine: Settings of the engine.
    """
    from ashioto.engines.flink.folder import local_folder

    detail = f"{engine.checkpoints}, every {engine.checkpoint_interval_ms / 1000:g} s"
    folder = local_folder(engine.checkpoints)
    if folder is None:
        detail += "; not looked into by this machine: with the job manager's memory gone, ticks are read anew"
        yield Finding(state="ok", check="checkpoints", detail=detail)
    elif not folder.is_dir():
        hint = "all of the cluster must see one folder; s3:// and the like are seen from everywhere"
        yield Finding(state="warning", check="checkpoints", detail=f"{detail}; not on this machine", hint=hint)
    else:
        yield Finding(state="ok", check="checkpoints", detail=detail)


def _version(check: str, version: str, url: str) -> Finding:
    numbers = re.match(r"(\d+)\.(\d+)", version)
    found = (int(numbers[1]), int(numbers[2])) if numbers else (0, 0)
    detail = f"{version} at {url}"
    if found < FLINK:
        return Finding(state="error", check=check, detail=detail, hint="Flink 2.3 or newer is needed")
    if found[0] > _NEWEST:
        return Finding(state="warning", check=check, detail=detail, hint="this version was tried with Flink 2.x only")
    return Finding(state="ok", check=check, detail=detail)
