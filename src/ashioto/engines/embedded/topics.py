"""The topics the engine reads and writes beside ticks and bars, and how rows become records of them."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa

from ashioto import naming
from ashioto.bars.keys import bar_keys
from ashioto.bars.placement import placed
from ashioto.control.topics import HEARTBEATS_KEPT_MS, control_topics, marker_schema
from ashioto.engines.embedded.output import bar_schema
from ashioto.log.base import Batch, TopicSpec
from ashioto.log.dead_letters import DEAD_LETTERS, DEAD_SCHEMA
from ashioto.schema.arrow import int64_view, storage_schema

if TYPE_CHECKING:
    from ashioto.bars.placement import Placement
    from ashioto.engines.embedded.plan import CompiledQuery
    from ashioto.logical.nodes import Query
    from ashioto.period import Period

OFFSETS: Final = "rc.engine.offsets"
DEV_CLOCK: Final = "rc.dev.clock"

OFFSETS_SCHEMA: Final = pa.schema(
    [
        ("source_offset", pa.int64()),
        ("hb_offset", pa.int64()),
        ("now_ms", pa.int64()),
        ("epoch", pa.int64()),
        ("ticks", pa.int64()),
        ("out_of_session", pa.int64()),
        ("unknown_key", pa.int64()),
        ("late", pa.int64()),
        ("rejected", pa.int64()),
        ("problem", pa.string()),
        ("rebuild", pa.string()),
        ("schedule_offset", pa.int64()),
        ("followed", pa.string()),
    ]
)
CLOCK_SCHEMA: Final = pa.schema([("event_ms", pa.int64()), ("wall_ms", pa.int64()), ("speed", pa.float64())])


def late_schema(query: Query) -> pa.Schema:
    """Return the columns of ticks that came too late: those of the entity, and why."""
    return storage_schema(query.entity).append(pa.field("reason", pa.string()))


def query_topics(plan: CompiledQuery, partitions: int, placement: Placement = "series") -> list[TopicSpec]:
    """Return every topic a query reads or writes, its schedule apart.

    Args:
        plan: The query.
        partitions: How many partitions ticks, heartbeats and bars get.
        placement: What places bars.
    """
    query = plan.query
    context, entity = query.context, query.entity.name
    ticks = TopicSpec(
        name=naming.topic(context, entity),
        partitions=partitions,
        cleanup="delete",
        schema=storage_schema(query.entity),
        retention_ms=None,
    )
    bars = [
        TopicSpec(
            name=naming.bars_topic(context, entity, period), partitions=partitions, cleanup="compact",
            schema=placed(bar_schema(plan, period), placement), retention_ms=None,
        )
        for period in query.frames
    ]  # fmt: skip
    late = TopicSpec(
        name=naming.late_topic(context, entity), partitions=partitions, cleanup="delete", schema=late_schema(query),
        retention_ms=None,
    )  # fmt: skip
    beats = TopicSpec(
        name=naming.heartbeat_topic(context, entity), partitions=partitions, cleanup="delete",
        schema=marker_schema(query.group_by), retention_ms=HEARTBEATS_KEPT_MS,
    )  # fmt: skip
    return [ticks, *bars, late, *([beats] if query.continuous else [])]


def system_topics() -> list[TopicSpec]:
    """Return the topics that every project has once."""
    specs = [
        ("compact", OFFSETS, OFFSETS_SCHEMA),
        ("delete", DEAD_LETTERS, DEAD_SCHEMA),
        ("compact", DEV_CLOCK, CLOCK_SCHEMA),
    ]
    made = [
        TopicSpec(name=n, partitions=1, cleanup="compact" if c == "compact" else "delete", schema=s, retention_ms=None)
        for c, n, s in specs
    ]
    return [*control_topics(), *made]


def bars_batch(plan: CompiledQuery, period: Period, partition: int, table: pa.Table) -> Batch:
    """Return bars as records: key `1␟key…␟bucket start`, timestamp the bucket start."""
    query = plan.query
    data = table.combine_chunks().to_batches()[0]
    return Batch(
        topic=naming.bars_topic(query.context, query.entity.name, period),
        partition=partition,
        keys=bar_keys(data, query.group_by),
        timestamps=np.ascontiguousarray(int64_view(data.column("bucket_start"))),
        data=data,
    )


def record_bytes(row: pa.RecordBatch) -> bytes:
    """Return one record as the bytes of an Arrow stream: what the dead letters keep."""
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, row.schema) as writer:
        writer.write_batch(row)
    return sink.getvalue()
