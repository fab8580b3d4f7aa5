"""Where each heartbeat stands: written by the active heartbeat alone, in the append of the markers it speaks of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pyarrow as pa

from ashioto.control.topics import HB_STATE, HB_STATE_SCHEMA
from ashioto.log.base import Batch
from ashioto.schema.arrow import int64_view

if TYPE_CHECKING:
    from ashioto.log.base import Log

Mode = Literal["active", "stopped"]


@dataclass(frozen=True, slots=True, kw_only=True)
class HeartbeatState:
    """Says how far the markers of one spec have been sent.

    Args:
        last_hb_ms: Every marker due at or before this moment has been sent, for every key; ms.
        mode: `active`, or `stopped` when its sender handed over and nobody has taken over yet.
        holder: Who sent them, for people.
        epoch: Of the sender.
        updated_ms: When it was written, by the sender's clock, ms.
        schedule_offset: Up to which record of the schedule they follow it; -1 where there is no schedule topic.
        grace_ms: Grace of the spec they were sent by, ms: it decides when final ones were due; 0 where unknown.
    """

    last_hb_ms: int
    mode: Mode
    holder: str
    epoch: int
    updated_ms: int
    schedule_offset: int = -1
    grace_ms: int = 0


def heartbeat_state(log: Log, key: bytes) -> HeartbeatState | None:
    """Return the state of a spec, or None when no heartbeat was ever sent for it.

    Args:
        log: Where `rc.hb.state` is.
        key: Key of the spec.
    """
    page = log.view(HB_STATE, start=key, stop=key + b"\x00")
    if not page.keys:
        return None
    row: dict[str, Any] = page.data.select(["mode", "holder", "epoch", "schedule_offset", "grace"]).to_pylist()[0]
    offset, grace = row.pop("schedule_offset"), row.pop("grace") or 0
    last, updated = (int(int64_view(page.data.column(n))[0]) for n in ("last_hb_at_utc", "updated_at_utc"))
    offset = -1 if offset is None else offset
    return HeartbeatState(last_hb_ms=last, updated_ms=updated, schedule_offset=offset, grace_ms=grace, **row)


def state_batch(key: bytes, state: HeartbeatState) -> Batch:
    """Return a state as the record to append.

    Args:
        key: Key of the spec.
        state: What to write.
    """
    values = [
        [state.last_hb_ms],
        [state.mode],
        [state.holder],
        [state.epoch],
        [state.updated_ms],
        [state.schedule_offset],
        [state.grace_ms],
    ]
    arrays = [pa.array(v, f.type) for v, f in zip(values, HB_STATE_SCHEMA, strict=True)]
    return Batch(
        topic=HB_STATE,
        partition=0,
        keys=pa.array([key], pa.binary()),
        timestamps=np.array([state.updated_ms], dtype=np.int64),
        data=pa.RecordBatch.from_arrays(arrays, schema=HB_STATE_SCHEMA),
    )
