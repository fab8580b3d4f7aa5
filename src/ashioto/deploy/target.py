"""Where contexts are applied to: a log, an engine, an environment, and a clock to wait by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from ashioto.log.admin import LogAdmin
from ashioto.log.base import Log
from ashioto.log.leases import Leases

if TYPE_CHECKING:
    from ashioto.clock import Clock
    from ashioto.engines.base import Engine


class DeployLog(Log, LogAdmin, Leases, Protocol):
    """A log that also changes topics and keeps leases."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Says where something is applied.

    Args:
        log: Keeps the topics and the records of what is applied.
        engine: Runs the queries.
        env: Environment and cluster.
        clock: Stamps records, and waits.
    """

    log: DeployLog
    engine: Engine
    env: tuple[str, str]
    clock: Clock
