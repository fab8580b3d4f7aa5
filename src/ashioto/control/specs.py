"""Heartbeat specifications: what the heartbeat must know of a continuous query, written by `infra apply` alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa

from ashioto import naming
from ashioto.control.topics import HB_SPECS, HB_SPECS_SCHEMA, below, control_key, control_parts
from ashioto.log.base import Batch
from ashioto.logical.codec import checksum
from ashioto.logical.nodes import Entity, TimeFrame
from ashioto.period import Period
from ashioto.schema.arrow import TIME, int64_view

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ashioto.log.base import Log, ViewPage
    from ashioto.logical.nodes import AlignName, Query

_SHORTEST_MS: Final = 10_000
_LONGEST_MS: Final = 3_600_000


@dataclass(frozen=True, slots=True, kw_only=True)
class HeartbeatSpec:
    """Says which heartbeats one query wants; `context`, `entity` and `kind` are its key.

    Args:
        context: Where the query is declared.
        entity: Class name of the ticks.
        kind: Kind of the base bars, e.g. `1m`.
        query: Name of the query.
        schedule_topic: Topic of the sessions; None when the market is always open.
        open_column: Its column of the open; empty when always open.
        close_column: Its column of the close.
        day_column: Its column of the market date.
        schedule_keys: Key columns of the schedule, in the order in which its record keys have them.
        join: Pairs of (grouping column, column of the schedule).
        group_by: Grouping columns of the query.
        frames: Lengths of its bars, ascending.
        align: What intraday buckets count from.
        grace_ms: How long after its end a bucket waits until it is final.
        interval_ms: How often the watermark moves on at least, also where nothing is due.
        query_checksum: Of the plan it was derived from.
        version: Of the query.
        enabled: Whether heartbeats are wanted now.
        updated_ms: When it was written; heartbeats due before its first version are not sent.
    """

    context: str
    entity: str
    kind: str
    query: str
    schedule_topic: str | None
    open_column: str
    close_column: str
    day_column: str
    schedule_keys: tuple[str, ...]
    join: tuple[tuple[str, str], ...]
    group_by: tuple[str, ...]
    frames: tuple[Period, ...]
    align: AlignName
    grace_ms: int
    interval_ms: int
    query_checksum: str
    version: int
    enabled: bool
    updated_ms: int

    @property
    def id(self) -> str:
        """Its name among specs of one environment, e.g. `trading.Rate.1m`; the label of metrics."""
        return f"{self.context}.{self.entity}.{self.kind}"

    @property
    def base(self) -> Period:
        """The smallest frame."""
        return self.frames[0]

    @property
    def source_topic(self) -> str:
        """Topic of the ticks."""
        return naming.topic(self.context, self.entity)

    @property
    def heartbeat_topic(self) -> str:
        """Topic its markers go to."""
        return naming.heartbeat_topic(self.context, self.entity)

    @property
    def time_frame(self) -> TimeFrame | None:
        """How the schedule is read; None when the market is always open."""
        if self.schedule_topic is None:
            return None
        return TimeFrame(
            schedule=Entity(name=self.schedule_topic, kind="table", columns=()),
            join=self.join,
            open_column=self.open_column,
            close_column=self.close_column,
            day_column=self.day_column,
        )

    def key(self, env: tuple[str, ...]) -> bytes:
        """Return its key in `rc.hb.specs`, also that of its state."""
        return control_key(*env, self.context, self.entity, self.kind)


def derive_spec(query: Query, *, version: int, updated_ms: int, enabled: bool = True) -> HeartbeatSpec:
    """Return the heartbeat specification that a query implies.

    Args:
        query: The plan.
        version: Of its registration.
        updated_ms: The time, ms.
        enabled: Whether heartbeats are wanted; never for a query that is not continuous.
    """
    frame = query.time_frame if query.schedule_topic is not None else None
    return HeartbeatSpec(
        context=query.context,
        entity=query.entity.name,
        kind=query.base.kind,
        query=query.name,
        schedule_topic=query.schedule_topic,
        open_column="" if frame is None else frame.open_column,
        close_column="" if frame is None else frame.close_column,
        day_column="" if frame is None else frame.day_column,
        schedule_keys=() if frame is None else frame.schedule.keys,
        join=() if frame is None else frame.join,
        group_by=query.group_by,
        frames=query.frames,
        align=query.align,
        grace_ms=query.grace_ms,
        interval_ms=_interval_ms(query.base),
        query_checksum=checksum(query),
        version=version,
        enabled=enabled and query.continuous,
        updated_ms=updated_ms,
    )


def _interval_ms(base: Period) -> int:
    """Return the length of the base frame, at least ten seconds and at most an hour."""
    return min(max(base.millis, _SHORTEST_MS), _LONGEST_MS) if base.is_intraday else _LONGEST_MS


def heartbeat_specs(log: Log, env: tuple[str, ...], context: str | None = None) -> list[HeartbeatSpec]:
    """Return what is specified, enabled or not, in the order of the keys.

    Args:
        log: Where `rc.hb.specs` is.
        env: Environment and cluster.
        context: Only of this one; None means all.

    Raises:
        UnknownTopicError: Nothing was ever applied on this log.
    """
    start, stop = below(*env, *([] if context is None else [context]))
    return _decoded(log.view(HB_SPECS, start=start, stop=stop))


def spec_batch(env: tuple[str, ...], specs: Sequence[HeartbeatSpec]) -> Batch:
    """Return specifications as records to append.

    Args:
        env: Environment and cluster.
        specs: What to write.
    """
    rows = [
        {
            "schedule_topic": s.schedule_topic,
            "open_column": s.open_column,
            "close_column": s.close_column,
            "day_column": s.day_column,
            "grace": s.grace_ms,
            "hb_interval": s.interval_ms,
            "query_checksum": s.query_checksum,
            "version": s.version,
            "enabled": s.enabled,
            "updated_at_utc": pa.scalar(s.updated_ms, TIME).as_py(),
            "query": s.query,
            "frames": [p.kind for p in s.frames],
            "align": s.align,
            "group_by": list(s.group_by),
            "schedule_keys": list(s.schedule_keys),
            "join_ticks": [mine for mine, _ in s.join],
            "join_schedule": [theirs for _, theirs in s.join],
        }
        for s in specs
    ]
    return Batch(
        topic=HB_SPECS,
        partition=0,
        keys=pa.array([s.key(env) for s in specs], pa.binary()),
        timestamps=np.array([s.updated_ms for s in specs], dtype=np.int64),
        data=pa.RecordBatch.from_pylist(rows, schema=HB_SPECS_SCHEMA),
    )


def _decoded(page: ViewPage) -> list[HeartbeatSpec]:
    times = int64_view(page.data.column("updated_at_utc")).tolist()
    rows: list[dict[str, Any]] = page.data.drop_columns(["updated_at_utc"]).to_pylist()
    found = []
    for key, row, time in zip(page.keys, rows, times, strict=True):
        context, entity, kind = control_parts(key)[-3:]
        found.append(
            HeartbeatSpec(
                context=context,
                entity=entity,
                kind=kind,
                query=row["query"],
                schedule_topic=row["schedule_topic"],
                open_column=row["open_column"],
                close_column=row["close_column"],
                day_column=row["day_column"],
                schedule_keys=tuple(row["schedule_keys"]),
                join=tuple(zip(row["join_ticks"], row["join_schedule"], strict=True)),
                group_by=tuple(row["group_by"]),
                frames=tuple(Period.parse(p) for p in row["frames"]),
                align=row["align"],
                grace_ms=row["grace"],
                interval_ms=row["hb_interval"],
                query_checksum=row["query_checksum"],
                version=row["version"],
                enabled=row["enabled"],
                updated_ms=time,
            )
        )
    return found
