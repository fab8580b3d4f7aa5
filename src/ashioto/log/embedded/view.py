"""Reads the newest record of each key of a range: from the key index, and from the tail that it does not know yet."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from operator import gt, lt
from typing import TYPE_CHECKING, Any, Final, cast

import numpy as np

from ashioto.log.base import ViewPage
from ashioto.log.embedded.file import fetch
from ashioto.log.embedded.tail import DEAD, joined_rows

if TYPE_CHECKING:
    from collections.abc import Iterator

    import apsw

    from ashioto.log.base import Ints
    from ashioto.log.embedded.tail import Entry, Tail
    from ashioto.log.embedded.topics import Topic
    from ashioto.log.rowcodec import RowCodec

_Row = tuple[bytes, int, int, bytes]
"""Key, offset, time and value."""
_NO_LIMIT: Final = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """Says which keys to read.

    Args:
        start: The first key, or None.
        stop: The key behind the last, or None.
        limit: At most so many; None for all.
        reverse: From the last key to the first.
    """

    start: bytes | None
    stop: bytes | None
    limit: int | None
    reverse: bool

    def query(self, topic_id: int, limit: int) -> tuple[str, tuple[object, ...]]:
        """Return the statement that reads them from the key index, with its bindings."""
        bounds = [("key >= ?", self.start), ("key < ?", self.stop)]
        given = [(text, value) for text, value in bounds if value is not None]
        where = " AND ".join(["topic_id = ?", *(text for text, _ in given)])
        order = "DESC" if self.reverse else "ASC"
        sql = f'SELECT key, "offset", ts, value FROM newest WHERE {where} ORDER BY key {order} LIMIT ?'  # noqa: S608 (fixed words only)
        return sql, (topic_id, *(value for _, value in given), limit)


def view_page(connection: apsw.Connection, topic: Topic, tail: Tail | None, span: Span) -> ViewPage:
    """Return the newest record of each key of a range.

    Args:
        connection: In the transaction that the tail was found in.
        topic: A compact topic.
        tail: Its tail, or None when it has none.
        span: Which keys.
    """
    codec = cast("RowCodec", topic.codec)
    if tail is None:
        limit = _NO_LIMIT if span.limit is None else span.limit
        return _from_index(fetch(connection, *span.query(topic.id, limit)), codec)
    whole = span.limit is None
    entries = tail.entries(span.start, span.stop, reverse=span.reverse, whole=whole)
    with closing(connection.cursor()) as cursor:
        rows = cursor.execute(*cast("Any", span.query(topic.id, _NO_LIMIT)))
        merged = _merged(cast("Iterator[_Row]", rows), entries, reverse=span.reverse)
        found = list(islice(merged, span.limit))
    return _from_both(found, codec, tail)


def _merged(rows: Iterator[_Row], entries: Iterator[Entry], *, reverse: bool) -> Iterator[_Row | Entry]:
    """Yield rows of the index and entries of the tail in key order; an entry hides the row of its key."""
    comes_first = gt if reverse else lt
    row = next(rows, None)
    for key, place in entries:
        while row is not None and comes_first(row[0], key):
            yield row
            row = next(rows, None)
        if row is not None and row[0] == key:
            row = next(rows, None)
        if place != DEAD:
            yield key, place
    if row is not None:
        yield row
    yield from rows


def _from_index(rows: list[_Row], codec: RowCodec) -> ViewPage:
    return ViewPage(
        keys=[row[0] for row in rows],
        offsets=_ints([row[1] for row in rows]),
        timestamps=_ints([row[2] for row in rows]),
        data=codec.decode([row[3] for row in rows]),
    )


def _from_both(found: list[_Row | Entry], codec: RowCodec, tail: Tail) -> ViewPage:
    rows = [one for one in found if len(one) == 4]
    if len(rows) == len(found):
        return _from_index(rows, codec)
    keys = [one[0] for one in found]
    data, offsets, times = tail.records(_ints([one[1] for one in found if len(one) != 4]))
    if not rows:
        return ViewPage(keys=keys, offsets=offsets, timestamps=times, data=data)
    index = _from_index(rows, codec)
    from_tail = np.array([len(one) != 4 for one in found], dtype=np.bool_)
    order = np.concatenate([np.flatnonzero(~from_tail), np.flatnonzero(from_tail)])
    return ViewPage(
        keys=keys,
        offsets=_put(order, index.offsets, offsets),
        timestamps=_put(order, index.timestamps, times),
        data=joined_rows([index.data, data], order),
    )


def _put(order: Ints, one: Ints, two: Ints) -> Ints:
    found = np.empty(len(order), dtype=np.int64)
    found[order] = np.concatenate([one, two])
    return found


def _ints(values: list[int]) -> Ints:
    return np.array(values, dtype=np.int64)
