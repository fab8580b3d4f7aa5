"""What `rc doctor` finds of a ksqlDB server: whether it answers, its version, its health, and the queries on it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ashioto.cli.doctor_finding import Finding
from ashioto.errors import AshiotoError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ashioto.config import Config
    from ashioto.engines.ksqldb.client import KsqldbClient

TRIED: Final = "8.0"
"""The version of the server whose SQL was tried."""


def ksqldb_findings(config: Config) -> list[Finding]:
    """Return how the server is that runs a project's queries.

    Args:
        config: The project's settings.
    """
    from ashioto.clock import SystemClock
    from ashioto.engines.ksqldb.options import open_client

    try:
        return list(server_findings(open_client(config.engine, SystemClock())))
    except AshiotoError as error:
        return [Finding(state="error", check="ksqldb", detail=error.message, hint=error.hint)]


def server_findings(client: KsqldbClient) -> Iterator[Finding]:
    """Yield how a server is.

    Args:
        client: Talks to it.

    Raises:
        EngineError: It is not reached.
    """
    from ashioto.engines.ksqldb.there import look

    info = client.info()
    yield _version(info.version, client.url)
    if info.status == "RUNNING" and client.healthy():
        yield Finding(state="ok", check="ksqldb health", detail=f"service {info.service}")
    else:
        hint = f"see {client.url}/healthcheck, and its log"
        yield Finding(state="error", check="ksqldb health", detail=f"it says it is {info.status}, not well", hint=hint)
    if gone := sorted(host for host, alive in client.hosts().items() if not alive):
        hint = "start them again; their partitions are taken over meanwhile"
        yield Finding(state="warning", check="ksqldb cluster", detail=f"{', '.join(gone)} do not answer", hint=hint)
    queries = look(client).queries
    failed = sorted(query.id for query in queries if "ERROR" in query.statuses)
    if failed:
        hint = "rc infra status says why"
        yield Finding(state="error", check="ksqldb queries", detail=f"{', '.join(failed)} have failed", hint=hint)
    else:
        yield Finding(state="ok", check="ksqldb queries", detail=f"{len(queries)} run")


def _version(version: str, url: str) -> Finding:
    detail = f"{version} at {url}"
    if version.split(".")[:2] != TRIED.split("."):
        hint = f"the SQL was tried with {TRIED} only; make test-ksqldb tries it with yours"
        return Finding(state="warning", check="ksqldb", detail=detail, hint=hint)
    return Finding(state="ok", check="ksqldb", detail=detail)
