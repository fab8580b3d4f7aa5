"""Reads the rows of a schedule as the sessions of each key."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from ashioto import keys
from ashioto.schedule.sessions import Sessions
from ashioto.schema.arrow import int64_view, key_column

if TYPE_CHECKING:
    from ashioto.logical.nodes import TimeFrame


def session_columns(frame: TimeFrame) -> tuple[str, ...]:
    """Return the columns of a schedule that say whose sessions its rows are.

    >>> from ashioto.logical.schedules import always_open
    >>> session_columns(always_open())
    ()
    """
    return tuple(theirs for _, theirs in frame.join)


def sessions_by_key(
    frame: TimeFrame, rows: pa.Table | pa.RecordBatch, *, among: pa.Array | None = None
) -> dict[tuple[str, ...], Sessions]:
    """Return the sessions of every key of a schedule's rows; keys with equal sessions share one object.

    Args:
        frame: How the schedule is read.
        rows: Its rows.
        among: Key bytes of the keys that are wanted; None means all.

    Raises:
        ScheduleError: A session is empty, or two overlap; names key and market dates.
    """
    batch = one_batch(rows)
    if not batch.num_rows:
        return {}
    owners = key_column(session_columns(frame), batch)
    names = (frame.open_column, frame.close_column, frame.day_column)
    opens, closes, days = (int64_view(batch.column(name)) for name in names)
    codes = np.asarray(owners.indices)
    order = np.argsort(codes, kind="stable")
    edges = np.searchsorted(codes[order], np.arange(len(owners.dictionary) + 1))
    wanted = None if among is None else set(among.to_pylist())
    numbers = np.stack((opens, closes, days), axis=1)[order]
    alike: dict[bytes, Sessions] = {}
    shared: dict[Sessions, Sessions] = {}
    found: dict[tuple[str, ...], Sessions] = {}
    for code, key in enumerate(owners.dictionary.to_pylist()):
        if wanted is None or key in wanted:
            parts = tuple(keys.decode(key))
            own = numbers[edges[code] : edges[code + 1]]
            if (sessions := alike.get(same := own.tobytes())) is None:
                built = Sessions.build(*own.T, label=" ".join(parts))
                sessions = alike[same] = shared.setdefault(built, built)
            found[parts] = sessions
    return found


def one_batch(table: pa.Table | pa.RecordBatch) -> pa.RecordBatch:
    """Return the rows of a table as one batch."""
    if isinstance(table, pa.RecordBatch):
        return table
    parts = table.to_batches()
    if len(parts) == 1:
        return parts[0]
    columns = [table.column(i).combine_chunks() for i in range(table.num_columns)]
    whole = [c.combine_chunks() if isinstance(c, pa.ChunkedArray) else c for c in columns]
    return pa.RecordBatch.from_arrays(whole, schema=table.schema)
