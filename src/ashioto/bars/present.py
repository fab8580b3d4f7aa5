"""Looks up the bars that are there already, along the order of the keys, and says which others equal them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ashioto.schema.arrow import int64_view, mask_of
from ashioto.schema.casting import undictionaried

if TYPE_CHECKING:
    from ashioto.bars.intake import Taken
    from ashioto.log.base import Log
    from ashioto.schedule.sessions import Flags, Ints

_FEW, _MANY = 16, 65_536
_SILENT: Final = frozenset({"first_at", "first_seq", "last_at", "last_seq"})
_OURS: Final = frozenset({"source_cut", "origin"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Present:
    """Holds the bars that are there in the place of others.

    Args:
        rows: In whose place each is, ascending; shape (n,).
        data: The bars that are there, n rows.
    """

    rows: Ints
    data: pa.RecordBatch


def look_up(log: Log, topic: str, keys: pa.Array) -> Present:
    """Return the newest records of some keys that are there.

    Args:
        log: Where the topic is.
        topic: A compact topic.
        keys: Key bytes, ascending, none twice; shape (n,).

    Reads pages of the key index from key to key: large ones where many of the keys are there, small ones where few.
    """
    at, count, limit = 0, len(keys), _FEW * _FEW
    stop = keys[count - 1].as_py() + b"\0"
    rows: list[Ints] = []
    parts: list[pa.RecordBatch] = []
    while at < count:
        page = log.view(topic, start=keys[at].as_py(), stop=stop, limit=limit)
        if not page.keys:
            break
        end = count if len(page.keys) < limit else _after(keys, page.keys[-1], at)
        found = pc.index_in(pa.array(page.keys, pa.binary()), value_set=keys.slice(at, end - at))
        hit = mask_of(found.is_valid())
        hits = int(hit.sum())
        if hits:
            rows.append(at + np.asarray(found.drop_null().to_numpy(zero_copy_only=False), dtype=np.int64))
            parts.append(page.data if hits == len(page.keys) else page.data.filter(pa.array(hit)))
        limit = min(4 * limit, _MANY) if 2 * hits >= len(page.keys) else max(limit // 4, _FEW)
        at = end
    if not parts:
        return Present(rows=np.zeros(0, dtype=np.int64), data=log.view(topic, limit=0).data)
    data = parts[0] if len(parts) == 1 else pa.Table.from_batches(parts).combine_chunks().to_batches()[0]
    return Present(rows=np.concatenate(rows), data=data)


def _after(keys: pa.Array, key: bytes, first: int) -> int:
    """Return the position of the first key behind another."""
    last = len(keys)
    while first < last:
        middle = (first + last) // 2
        if keys[middle].as_py() <= key:
            first = middle + 1
        else:
            last = middle
    return first


def unequal(present: Present, bars: Taken, *, exact: bool) -> dict[str, Flags]:
    """Return where bars differ from those that are there, by column.

    Args:
        present: Those that are there.
        bars: Those that want to be written.
        exact: Whether all columns that were given count. Otherwise columns that say where a bar comes from do not, and
            where first and last tick are null nothing is said of them.
    """
    mine = bars.data.take(pa.array(present.rows))
    found = {}
    for name in mine.schema.names:
        if (name in _SILENT or name in _OURS or name.startswith("__")) and name not in bars.given:
            continue
        if name in _OURS and not exact:
            continue
        differs = ~_same(mine.column(name), present.data.column(name))
        if name in _SILENT and not exact:
            differs &= mask_of(mine.column(name).is_valid())
        found[name] = differs
    return found


def _same(left: pa.Array, right: pa.Array) -> Flags:
    """Return where two columns hold the same, nulls included."""
    null, other = mask_of(left.is_null()), mask_of(right.is_null())
    if pa.types.is_decimal64(left.type):
        same = int64_view(left) == int64_view(right)
    else:
        same = mask_of(pc.equal(undictionaried(left), undictionaried(right)))
    found: Flags = (null & other) | (~null & ~other & same)
    return found
