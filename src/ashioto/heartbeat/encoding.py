"""Markers as records: one row a marker and key, made column by column."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from ashioto import keys
from ashioto.control.topics import marker_schema
from ashioto.log.base import Batch
from ashioto.schema.arrow import TIME

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ashioto.control.specs import HeartbeatSpec
    from ashioto.heartbeat.members import Members
    from ashioto.heartbeat.planner import Marker
    from ashioto.log.base import Ints

Due = tuple["Marker", "Members"]
"""A marker and who gets it."""


def marker_batches(spec: HeartbeatSpec, due: Sequence[Due], cuts: Mapping[int, int], epoch: int) -> list[Batch]:
    """Return markers as records, a batch a partition, each in the order given.

    Args:
        spec: Whose markers they are.
        due: Markers and who gets them.
        cuts: Offset of each partition of the source up to which ticks belong before these markers.
        epoch: Of the sender.
    """
    said = _Columns(spec, [marker for marker, _ in due])
    places = sorted({partition for _, members in due for partition in members.parts})
    return [_batch(spec, due, said, partition, cuts[partition], epoch) for partition in places]


def clock_batches(spec: HeartbeatSpec, at: int, cuts: Mapping[int, int], epoch: int) -> list[Batch]:
    """Return records that say that the clock was set, as a replay does: one a partition, for every key in it.

    Args:
        spec: Whose engine follows.
        at: What time it is now, ms; it may be earlier than any marker before.
        cuts: Offset of each partition of the source up to which ticks belong to the time before.
        epoch: Of the sender.
    """
    schema = marker_schema(spec.group_by)
    row = {"base": spec.base.kind, "kind": "clock", "epoch": epoch}
    moment = pa.scalar(at, TIME).as_py()
    return [
        Batch(
            topic=spec.heartbeat_topic,
            partition=partition,
            keys=pa.array([keys.encode(["clock"])], pa.binary()),
            timestamps=np.array([at], dtype=np.int64),
            data=pa.RecordBatch.from_pylist([{**row, "at": moment, "due": moment, "source_cut": cut}], schema=schema),
        )
        for partition, cut in sorted(cuts.items())
    ]


class _Columns:
    """Holds what some markers say, a row a marker."""

    def __init__(self, spec: HeartbeatSpec, markers: Sequence[Marker]) -> None:
        fields = {f.name: f.type for f in marker_schema(())}
        values = {
            "base": [spec.base.kind] * len(markers),
            "kind": [m.kind for m in markers],
            "at": [m.at for m in markers],
            "due": [m.due for m in markers],
            "bucket_start": [m.bucket_start for m in markers],
            "bucket_end": [m.bucket_end for m in markers],
            "market_date": [m.day for m in markers],
            "session_open": [m.opened for m in markers],
            "closes": [list(m.closes) for m in markers],
            "next_at": [m.next_at for m in markers],
            "next_bucket_start": [m.next_bucket_start for m in markers],
            "next_market_date": [m.next_day for m in markers],
            "next_session_open": [m.next_opened for m in markers],
        }
        self.at: Ints = np.array([m.at for m in markers], dtype=np.int64)
        self.arrays = [pa.array(column, fields[name]) for name, column in values.items()]

    def rows(self, index: Ints) -> list[pa.Array]:
        """Return the columns of these markers."""
        at = pa.array(index)
        return [column.take(at) for column in self.arrays]


def _batch(spec: HeartbeatSpec, due: Sequence[Due], said: _Columns, partition: int, cut: int, epoch: int) -> Batch:
    held = [(row, members.parts[partition]) for row, (_, members) in enumerate(due) if partition in members.parts]
    index = np.repeat([row for row, _ in held], [len(part.keys) for _, part in held])
    rows = len(index)
    columns = [_joined([part.columns[i] for _, part in held]) for i in range(len(spec.group_by))]
    arrays = [*columns, *said.rows(index), pa.repeat(pa.scalar(cut, pa.int64()), rows), pa.repeat(epoch, rows)]
    return Batch(
        topic=spec.heartbeat_topic,
        partition=partition,
        keys=_joined([part.keys for _, part in held]),
        timestamps=said.at[index],
        data=pa.RecordBatch.from_arrays(arrays, schema=marker_schema(spec.group_by)),
    )


def _joined(parts: list[pa.Array]) -> pa.Array:
    return parts[0] if len(parts) == 1 else pa.concat_arrays(parts)
