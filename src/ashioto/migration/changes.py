"""Compares bars as they should be with those in the log, and makes records of what differs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ashioto.bars.keys import bar_keys
from ashioto.bars.placement import bar_places
from ashioto.log.base import Batch
from ashioto.migration.running import BATCH_BYTES
from ashioto.migration.stored import has_stream, is_real
from ashioto.schema.arrow import int64_view, key_column

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from ashioto.log.base import ViewPage
    from ashioto.logical.nodes import Query
    from ashioto.migration.rebuild import Piece
    from ashioto.migration.stored import StoredBars
    from ashioto.period import Period
    from ashioto.schedule.sessions import Flags

BOOKKEEPING: Final = frozenset({"origin", "source_cut", "first_seq", "last_seq"})
"""Columns that say where a bar came from and not what it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """Says what must change in a stretch of bars.

    Args:
        period: Their frame.
        keys: Record keys of the bars to write or to delete.
        after: The bars as they should be; null where they are to be deleted; shape (n,).
        before: The bars as they stand; null where there is none; shape (n,).
        there: Where there is one; shape (n,).
        gone: Where a bar is to be deleted; shape (n,).
        equal: How many bars are there already as they should be.
    """

    period: Period
    keys: pa.Array
    after: pa.RecordBatch
    before: pa.RecordBatch
    there: Flags
    gone: Flags
    equal: int

    @property
    def rows(self) -> int:
        """How many bars differ."""
        return int(self.after.num_rows)

    def where(self, mask: Flags) -> Difference:
        """Return the part of it where a mask is set; `equal` is 0."""
        kept = pa.array(mask)
        return Difference(
            period=self.period, keys=self.keys.filter(kept), after=self.after.filter(kept),
            before=self.before.filter(kept), there=self.there[mask], gone=self.gone[mask], equal=0,
        )  # fmt: skip

    @property
    def of_stream(self) -> Flags:
        """Where the bar that stands there is one the stream had a part in; shape (n,)."""
        return self.there & is_real(self.before) & has_stream(self.before)


def difference(
    stored: StoredBars, query: Query, piece: Piece, *, ignore: Collection[str] = (), deletes_at: int | None = None
) -> Difference:
    """Compare bars with those in the log.

    A bar that ticks of the stream are merged into keeps the offset up to which it includes them.

    Args:
        stored: The bars in the log.
        query: Whose bars they are.
        piece: Bars as they should be.
        ignore: Columns that make no difference.
        deletes_at: The time, ms; bars of the log that should not be there and cannot grow any more by then are deleted.
            None deletes none.
    """
    schema = stored.schema(piece.period)
    bars = _one_batch(piece.bars, schema)
    wanted = bar_keys(bars, query.group_by) if bars.num_rows else pa.array([], pa.binary())
    known, old = _known(stored, piece)
    at = pc.index_in(wanted, known)
    before = old.take(at)
    there = np.asarray(at.is_valid())
    bars = _with_cuts(bars, before, there & is_real(bars) & piece.merged)
    unlike = ~there
    for name in schema.names:
        if name not in ignore:
            unlike |= ~same(bars.column(name), before.column(name))
    found = Difference(
        period=piece.period, keys=wanted, after=bars, before=before, there=there,
        gone=np.zeros(bars.num_rows, dtype=np.bool_), equal=int(np.count_nonzero(~unlike)),
    )  # fmt: skip
    changed = found.where(unlike)
    if deletes_at is not None:
        ended = _ended(query, old, deletes_at)
        changed = _with_deleted(changed, known, old, ended & ~np.asarray(pc.is_in(known, wanted)))
    return Difference(
        period=piece.period, keys=changed.keys, after=changed.after, before=changed.before, there=changed.there,
        gone=changed.gone, equal=found.equal,
    )  # fmt: skip


def same(one: pa.Array, other: pa.Array) -> Flags:
    """Return where two columns of one type are equal bit for bit, or both have no value; shape (n,).

    >>> same(pa.array([1, None, 3]), pa.array([1, None, None])).tolist()
    [True, True, False]
    """
    kind = one.type
    missing, missing_too = np.asarray(one.is_null()), np.asarray(other.is_null())
    if pa.types.is_floating(kind):
        values = [np.asarray(c.fill_null(0.0).to_numpy(zero_copy_only=False)).view(np.int64) for c in (one, other)]
        equal = values[0] == values[1]
    elif pa.types.is_string(kind) or pa.types.is_boolean(kind) or pa.types.is_dictionary(kind):
        plain = [c.dictionary_decode() if pa.types.is_dictionary(c.type) else c for c in (one, other)]
        equal = np.asarray(pc.fill_null(pc.equal(*plain), False).to_numpy(zero_copy_only=False))
    else:
        equal = int64_view(one) == int64_view(other)
    found: Flags = np.where(missing | missing_too, missing & missing_too, equal)
    return found


def batches_of(stored: StoredBars, query: Query, found: Difference, *, back: bool = False) -> Iterator[list[Batch]]:
    """Yield what makes the bars as they should be, some megabytes at a time; each list is written whole.

    Args:
        stored: The bars in the log.
        query: Whose bars they are.
        found: What differs.
        back: Make the bars as they were instead.
    """
    data, gone = (found.before, ~found.there) if back else (found.after, found.gone)
    data = _named(data, found.before if not back else found.after, gone)
    size = max(BATCH_BYTES // max(data.nbytes // max(data.num_rows, 1), 1), 1)
    for first in range(0, data.num_rows, size):
        part, stop = data.slice(first, size), first + size
        names = found.keys.slice(first, part.num_rows)
        places = bar_places(stored.spec(found.period), key_column(query.group_by, part), names)
        made = []
        for partition in np.unique(places).tolist():
            rows = np.flatnonzero(places == partition)
            at = pa.array(rows)
            picked = part.take(at)
            made.append(
                Batch(
                    topic=stored.topic(found.period), partition=partition, keys=names.take(at),
                    timestamps=np.ascontiguousarray(int64_view(picked.column("bucket_start"))), data=picked,
                    tombstones=gone[first:stop][rows],
                )
            )  # fmt: skip
        yield made


def _known(stored: StoredBars, piece: Piece) -> tuple[pa.Array, pa.RecordBatch]:
    """Return the record keys and the bars of the log in the stretches of a piece."""
    pages: list[ViewPage] = []
    for scope in piece.scopes:
        pages += stored.pages(piece.period, scope.name, scope.first, scope.last)
    names = pa.array([key for page in pages for key in page.keys], pa.binary())
    table = pa.Table.from_batches([page.data for page in pages], schema=stored.schema(piece.period))
    return names, _one_batch(table, stored.schema(piece.period))


def _ended(query: Query, bars: pa.RecordBatch, now_ms: int) -> Flags:
    """Return which bars can grow no more; those of sparse queries are never called final."""
    if query.continuous:
        return np.asarray(pc.fill_null(bars.column("final"), True).to_numpy(zero_copy_only=False), dtype=np.bool_)
    found: Flags = int64_view(bars.column("bucket_end")) + query.grace_ms <= now_ms
    return found


def _with_deleted(changed: Difference, known: pa.Array, old: pa.RecordBatch, spare: Flags) -> Difference:
    """Add bars of the log that should not be there."""
    if not spare.any():
        return changed
    rows = old.filter(pa.array(spare))
    count = rows.num_rows
    return Difference(
        period=changed.period,
        keys=pa.concat_arrays([changed.keys, known.filter(pa.array(spare))]),
        after=_joined(changed.after, _nothing(rows)),
        before=_joined(changed.before, rows),
        there=np.concatenate([changed.there, np.ones(count, dtype=np.bool_)]),
        gone=np.concatenate([changed.gone, np.ones(count, dtype=np.bool_)]),
        equal=changed.equal,
    )


def _with_cuts(bars: pa.RecordBatch, before: pa.RecordBatch, merged: Flags) -> pa.RecordBatch:
    """Say of merged bars up to which offset of the source they are complete: as far as what stands there is."""
    kept = pa.array(merged & is_real(before) & has_stream(before))
    column = pc.if_else(kept, before.column("source_cut"), bars.column("source_cut"))
    return bars.set_column(bars.schema.get_field_index("source_cut"), bars.schema.field("source_cut"), column)


def _named(data: pa.RecordBatch, other: pa.RecordBatch, gone: Flags) -> pa.RecordBatch:
    """Return rows whose deleted ones are taken from elsewhere: only their keys and times count."""
    if not gone.any():
        return data
    at = np.arange(data.num_rows)
    both = pa.Table.from_batches([data, other.cast(data.schema)])
    return _one_batch(both.take(pa.array(np.where(gone, at + data.num_rows, at))), data.schema)


def _nothing(rows: pa.RecordBatch) -> pa.RecordBatch:
    return rows.take(pa.nulls(rows.num_rows, pa.int64()))


def _joined(one: pa.RecordBatch, other: pa.RecordBatch) -> pa.RecordBatch:
    return _one_batch(pa.Table.from_batches([one, other]), one.schema)


def _one_batch(table: pa.Table, schema: pa.Schema) -> pa.RecordBatch:
    columns = [table[name].combine_chunks() for name in schema.names]
    parts = [c if isinstance(c, pa.Array) else pa.concat_arrays(c.chunks) for c in columns]
    return pa.RecordBatch.from_arrays(parts, schema=schema)
