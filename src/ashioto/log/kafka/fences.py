"""What is known of a fence and of the lease of the same name: a record each in the compact topic `rc.fences`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa

from ashioto.log.base import Batch, TopicSpec
from ashioto.log.leases import FENCES, Holder, Lease
from ashioto.log.partition import partition_of

PARTITIONS: Final = 16
"""So many that a writer that hangs in a transaction keeps others of other names from their fences rarely."""
SCHEMA: Final = pa.schema(
    [
        ("epoch", pa.int64()),
        ("lease_epoch", pa.int64()),
        ("expires_ms", pa.int64()),
        ("holder", pa.string()),
        ("pid", pa.int64()),
        ("started", pa.int64()),
        ("boot", pa.string()),
        ("space", pa.string()),
    ]
)
SPEC: Final = TopicSpec(name=FENCES, partitions=PARTITIONS, cleanup="compact", schema=SCHEMA)


@dataclass(frozen=True, slots=True, kw_only=True)
class FenceState:
    """Says what is known of a fence.

    Args:
        epoch: Of its newest writer; None where none ever wrote.
        lease: The lease of the same name; None where there never was one.
    """

    epoch: int | None = None
    lease: Lease | None = None


def fence_batch(name: str, state: FenceState, now_ms: int) -> Batch:
    """Return the record of a fence.

    Args:
        name: Of the fence.
        state: What to keep.
        now_ms: The time.

    >>> fence_batch("hb", FenceState(epoch=3), 5).data.to_pylist()[0]["epoch"]
    3
    """
    lease = state.lease
    who = None if lease is None else lease.holder
    row: dict[str, Any] = {
        "epoch": state.epoch,
        "lease_epoch": None if lease is None else lease.epoch,
        "expires_ms": None if lease is None else lease.expires_ms,
        "holder": None if who is None else who.name,
        "pid": None if who is None else who.pid,
        "started": None if who is None else who.started,
        "boot": None if who is None else who.boot,
        "space": None if who is None else who.space,
    }
    key = name.encode()
    return Batch(
        topic=FENCES,
        partition=partition_of(key, PARTITIONS),
        keys=pa.array([key], pa.binary()),
        timestamps=np.array([now_ms], dtype=np.int64),
        data=pa.RecordBatch.from_pylist([row], schema=SCHEMA),
    )


def fence_state(name: str, rows: pa.RecordBatch, written_ms: int | None = None) -> FenceState:
    """Return what the record of a fence says.

    Args:
        name: Of the fence.
        rows: The record, or none.
        written_ms: When it was written.

    >>> lease = Lease(name="hb", epoch=2, holder=None, expires_ms=9)
    >>> fence_state("hb", fence_batch("hb", FenceState(epoch=3, lease=lease), 5).data).lease == lease
    True
    """
    if not rows.num_rows:
        return FenceState()
    row: dict[str, Any] = rows.to_pylist()[0]
    if row["lease_epoch"] is None:
        return FenceState(epoch=row["epoch"])
    who = None
    if row["holder"] is not None:
        who = Holder(
            name=row["holder"], pid=row["pid"], started=row["started"], boot=row["boot"], space=row["space"]
        )  # fmt: skip
    lease = Lease(name=name, epoch=row["lease_epoch"], holder=who, expires_ms=row["expires_ms"], renewed_ms=written_ms)
    return FenceState(epoch=row["epoch"], lease=lease)
