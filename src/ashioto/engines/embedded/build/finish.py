"""Lays finished bars out as files hold them, and says which are final."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa

from ashioto.files.decimals import PRECISION
from ashioto.schedule.buckets import frame_buckets
from ashioto.schema.arrow import TIME, int64_view

if TYPE_CHECKING:
    from ashioto.engines.embedded.sessions import SessionSource
    from ashioto.files.parsed import Ints, Mask
    from ashioto.logical.nodes import Query
    from ashioto.period import Period
    from ashioto.schedule.sessions import Sessions

SUM_PRECISION: Final = 38


def bar_columns(query: Query, *, scale: int, size_scale: int) -> pa.Schema:
    """Return the columns of the bars in a file.

    Args:
        query: What was built.
        scale: Digits of prices after the point.
        size_scale: Digits of volumes after the point.
    """
    price = pa.decimal128(PRECISION, scale)
    fields = [pa.field(name, pa.string()) for name in query.group_by]
    fields += [
        pa.field("period", pa.string()),
        pa.field("bucket_start", TIME),
        pa.field("bucket_end", TIME),
        pa.field("market_date", pa.date32()),
        *(pa.field(name, price) for name in ("open", "high", "low", "close")),
        pa.field("volume", pa.decimal128(SUM_PRECISION, size_scale)),
        pa.field("ticks", pa.int64()),
        pa.field("final", pa.bool_()),
        pa.field("synthetic", pa.bool_()),
        pa.field("first_at", TIME),
        pa.field("last_at", TIME),
    ]
    return pa.schema(fields)


def laid_out(table: pa.Table, period: Period, final: Mask, schema: pa.Schema) -> pa.Table:
    """Return the bars of one frame as a file holds them.

    Args:
        table: The bars, as the engine makes them.
        period: Their length.
        final: Whether each has ended.
        schema: As from `bar_columns`.
    """
    rows = table.num_rows
    made = {
        "period": pa.DictionaryArray.from_arrays(pa.array(np.zeros(rows, dtype=np.int32)), [period.kind]),
        "final": pa.array(final),
    }
    if "volume" not in table.column_names:
        made["volume"] = pa.array(np.zeros(rows, dtype=np.int64)).cast(pa.decimal128(19, 0))
    columns = [(made[field.name] if field.name in made else table[field.name]).cast(field.type) for field in schema]
    return pa.table(columns, schema=schema)


def final_bars(table: pa.Table, period: Period, query: Query, source: SessionSource, until: int) -> Mask:
    """Return which bars have ended: whose bucket's last session time lies behind.

    Args:
        table: The bars of one frame, sorted by key.
        period: Their length.
        query: What was built.
        source: Who knows the whole schedule.
        until: The time less the grace, ms.
    """
    start, end = (int64_view(table[name]) for name in ("bucket_start", "bucket_end"))
    final = end <= until if period.is_intraday else np.zeros(start.shape[0], dtype=np.bool_)
    doubtful = np.flatnonzero(~final)
    if not doubtful.shape[0]:
        return final
    names = [table[name].take(pa.array(doubtful)).cast(pa.string()).to_pylist() for name in query.group_by]
    of_schedule: dict[int, tuple[Sessions, list[int]]] = {}
    for row, key in zip(
        doubtful.tolist(), zip(*names, strict=True) if names else [()] * doubtful.shape[0], strict=True
    ):
        sessions = source.sessions(key)
        if sessions is not None:
            of_schedule.setdefault(id(sessions), (sessions, []))[1].append(row)
    for sessions, places in of_schedule.values():
        rows = np.array(places, dtype=np.int64)
        final[rows] = _closes_at(sessions, period, query, start[rows], end[rows]) <= until
    return final


def _closes_at(sessions: Sessions, period: Period, query: Query, start: Ints, end: Ints) -> Ints:
    """Return when buckets end, ms."""
    whole = (int(sessions.opens[0]), int(sessions.closes[-1]))
    lo, hi = (int(start.min()), int(end.max())) if period.is_intraday else whole
    buckets = frame_buckets(sessions, period, query.align, lo, hi)
    return buckets.closes_at[np.searchsorted(buckets.start, start)]
