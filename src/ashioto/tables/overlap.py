"""Keeps schedules free of overlapping and empty sessions while they are written."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ashioto import keys
from ashioto.schedule.sessions import Sessions
from ashioto.schema.arrow import int64_view, key_column

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ashioto.logical.nodes import TimeFrame


def session_columns(frame: TimeFrame) -> tuple[str, ...]:
    """Return the columns of a schedule that say whose sessions its rows are.

    >>> from ashioto.logical.schedules import always_open
    >>> session_columns(always_open())
    ()
    """
    return tuple(theirs for _, theirs in frame.join)


def check_sessions(frame: TimeFrame, new: pa.RecordBatch, present: pa.Table) -> None:
    """Raise unless the sessions of every key in `new` stay apart once `new` is written.

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
        old = _rows(present)
        kept = pc.invert(pc.is_in(key_column(names, old).dictionary_decode(), value_set=taken))
        rows = _rows(
            pa.concat_tables([pa.Table.from_batches([part]) for part in (old.filter(kept), _last(new, taken))])
        )
    else:
        rows = _last(new, taken)
    owners = key_column(session_columns(frame), rows)
    touched = pc.unique(key_column(session_columns(frame), new).dictionary_decode())
    _check_each(frame, rows, owners, touched)


def sessions_by_key(frame: TimeFrame, rows: pa.Table) -> dict[tuple[str, ...], Sessions]:
    """Return the sessions of every key of a schedule's rows.

    Raises:
        ScheduleError: A session is empty, or two overlap; names key and market dates.
    """
    batch = _rows(rows)
    if not batch.num_rows:
        return {}
    owners = key_column(session_columns(frame), batch)
    return _check_each(frame, batch, owners, pc.unique(owners.dictionary_decode()))


def _check_each(
    frame: TimeFrame, rows: pa.RecordBatch, owners: pa.DictionaryArray, wanted: pa.Array
) -> dict[tuple[str, ...], Sessions]:
    opens, closes, days = (
        int64_view(rows.column(name)) for name in (frame.open_column, frame.close_column, frame.day_column)
    )
    codes = np.asarray(owners.indices)
    order = np.argsort(codes, kind="stable")
    edges = np.searchsorted(codes[order], np.arange(len(owners.dictionary) + 1))
    chosen = set(wanted.to_pylist())
    found: dict[tuple[str, ...], Sessions] = {}
    for code, key in enumerate(owners.dictionary.to_pylist()):
        if key in chosen:
            parts = tuple(keys.decode(key))
            at = order[edges[code] : edges[code + 1]]
            found[parts] = Sessions.build(opens[at], closes[at], days[at], label=" ".join(parts))
    return found


def _last(new: pa.RecordBatch, taken: pa.Array) -> pa.RecordBatch:
    newest = {key: row for row, key in enumerate(taken.to_pylist())}
    return new.take(pa.array(sorted(newest.values()), pa.int64())) if len(newest) < new.num_rows else new


def _rows(table: pa.Table | pa.RecordBatch) -> pa.RecordBatch:
    if isinstance(table, pa.RecordBatch):
        return table
    columns = [table.column(i).combine_chunks() for i in range(table.num_columns)]
    whole = [c.combine_chunks() if isinstance(c, pa.ChunkedArray) else c for c in columns]
    return pa.RecordBatch.from_arrays(whole, schema=table.schema)


def schedule_frames(frames: Sequence[TimeFrame | None], entity_name: str) -> TimeFrame | None:
    """Return how some query reads a table as its schedule, or None when none does."""
    return next((f for f in frames if f is not None and f.schedule.name == entity_name), None)
