"""What `infra apply` has registered: one record a version of a query in `rc.infra.applied`, which engines watch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
import pyarrow as pa

from ashioto.control.topics import APPLIED, APPLIED_SCHEMA, below, control_key, control_parts
from ashioto.log.base import Batch
from ashioto.logical.codec import decode_query
from ashioto.schema.arrow import TIME, int64_view

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ashioto.log.base import Log, ViewPage
    from ashioto.logical.nodes import Query

RegistrationState = Literal["intent", "registered", "applied", "stopped"]
Begins = Literal["start", "previous"]
RUNS: Final = frozenset({"registered", "applied"})
"""In these states an engine runs it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Registration:
    """Holds one version of a query as it is recorded.

    Args:
        context: Where the query is declared.
        query: Its name there.
        version: Counts the definitions of the query, from 1 on.
        state: `intent` before anything is done, `registered` once an engine shall run it, `applied` when its
            heartbeat spec is written and older versions are stopped, `stopped` when it shall run no more.
        engine: Kind of the engine.
        checksum: Of the plan.
        plan: The plan as canonical JSON.
        begins: Where it begins to read: at the `start` of the ticks, or where the `previous` version stands.
        updated_ms: When the record was written, ms.

    >>> Registration(context="trading", query="rate_bars", version=4, state="applied", engine="embedded",
    ...     checksum="", plan="", begins="start", updated_ms=0).name
    'trading_rate_bars_v4'
    """

    context: str
    query: str
    version: int
    state: RegistrationState
    engine: str
    checksum: str
    plan: str
    begins: Begins
    updated_ms: int

    @property
    def object(self) -> str:
        """Its name inside the context, the last part of its key."""
        return f"{self.query}_v{self.version}"

    @property
    def name(self) -> str:
        """Its name inside an engine."""
        return f"{self.context}_{self.object}"

    @property
    def runs(self) -> bool:
        """Whether an engine shall run it."""
        return self.state in RUNS

    def decoded(self) -> Query:
        """Return the plan.

        Raises:
            UnsupportedError: It is of a version that this ashioto does not know.
            InputError: It is damaged.
        """
        return decode_query(self.plan)


def registrations(log: Log, env: tuple[str, ...], context: str | None = None) -> list[Registration]:
    """Return what is recorded, by context, query and version.

    Args:
        log: Where `rc.infra.applied` is.
        env: Environment and cluster.
        context: Only of this one; None means all.

    Raises:
        UnknownTopicError: Nothing was ever applied on this log.
    """
    start, stop = below(*env, *([] if context is None else [context]))
    found = _decoded(log.view(APPLIED, start=start, stop=stop))
    return sorted(found, key=lambda r: (r.context, r.query, r.version))


def registration_batch(env: tuple[str, ...], records: Sequence[Registration]) -> Batch:
    """Return registrations as records to append.

    Args:
        env: Environment and cluster.
        records: What to write.
    """
    rows = [
        {
            "query": r.query,
            "version": r.version,
            "state": r.state,
            "engine": r.engine,
            "checksum": r.checksum,
            "plan": r.plan,
            "begins": r.begins,
            "updated_at_utc": pa.scalar(r.updated_ms, TIME).as_py(),
        }
        for r in records
    ]
    return Batch(
        topic=APPLIED,
        partition=0,
        keys=pa.array([control_key(*env, r.context, r.object) for r in records], pa.binary()),
        timestamps=np.array([r.updated_ms for r in records], dtype=np.int64),
        data=pa.RecordBatch.from_pylist(rows, schema=APPLIED_SCHEMA),
    )


def _decoded(page: ViewPage) -> list[Registration]:
    times = int64_view(page.data.column("updated_at_utc")).tolist()
    rows: list[dict[str, Any]] = page.data.drop_columns(["updated_at_utc"]).to_pylist()
    return [
        Registration(context=control_parts(key)[-2], updated_ms=time, **row)
        for key, row, time in zip(page.keys, rows, times, strict=True)
    ]
