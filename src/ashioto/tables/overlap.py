"""Keeps schedules free of overlapping and empty sessions while they are written."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from ashioto.schema.arrow import key_column
from ashioto.schema.sessions import one_batch, session_columns, sessions_by_key

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ashioto.logical.nodes import TimeFrame
    from ashioto.schedule.sessions import Sessions


def check_sessions(frame: TimeFrame, new: pa.RecordBatch, present: pa.Table) -> dict[tuple[str, ...], Sessions]:
    """Return the sessions of every key in `new` as they are once `new` is written.

    Args:
        frame: How the schedule is read.
        new: Rows to write; a row replaces the present one of the same key.
        present: Rows that are there, at least those of the keys in `new`.

    Raises:
        ScheduleError: A session is empty, or two overlap; names key and market dates.
    """
    names = frame.schedule.keys
    taken = key_column(names, new).dictionary_decode()
    if present.num_rows:
        old = one_batch(present)
        kept = pc.invert(pc.is_in(key_column(names, old).dictionary_decode(), value_set=taken))
        rows = one_batch(
            pa.concat_tables([pa.Table.from_batches([part]) for part in (old.filter(kept), _last(new, taken))])
        )
    else:
        rows = _last(new, taken)
    touched = pc.unique(key_column(session_columns(frame), new).dictionary_decode())
    return sessions_by_key(frame, rows, among=touched)


def _last(new: pa.RecordBatch, taken: pa.Array) -> pa.RecordBatch:
    newest = {key: row for row, key in enumerate(taken.to_pylist())}
    return new.take(pa.array(sorted(newest.values()), pa.int64())) if len(newest) < new.num_rows else new


def schedule_frames(frames: Sequence[TimeFrame | None], entity_name: str) -> TimeFrame | None:
    """Return how some query reads a table as its schedule, or None when none does."""
    return next((f for f in frames if f is not None and f.schedule.name == entity_name), None)
