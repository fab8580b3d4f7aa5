"""Writes to the tables of an embedded log; every function here runs inside the caller's transaction."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa

from ashioto.log.base import Appended
from ashioto.log.embedded.file import fetch
from ashioto.log.payload import encode_batch
from ashioto.log.records import check_epoch, newest

if TYPE_CHECKING:
    from collections.abc import Sequence

    import apsw

    from ashioto.log.base import Batch, Fence
    from ashioto.log.rowcodec import RowCodec

MAX_STORED_ROWS: Final = 262_144
INLINE_ROWS: Final = 16
"""Batches of a compact topic up to this size go straight into the key index, if nothing waits for it."""
_TRIM_BATCHES: Final = 1024
_Newest = tuple[bytes, int, int, bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """Holds a batch as it will be written, offsets apart.

    Args:
        topic_id: The topic's number in the file.
        topic: The topic's name.
        partition: Where it goes.
        rows: How many records.
        chunks: Rows and bytes of each stored batch, in order.
        compact: Whether the topic has a key index.
        small: Whether it may go straight into the key index; only then are `newest` and `deleted` filled.
        newest: Key, row, time and value of the newest record of each key, in key order.
        deleted: Keys whose newest record is a tombstone.
    """

    topic_id: int
    topic: str
    partition: int
    rows: int
    chunks: list[tuple[int, bytes]]
    compact: bool
    small: bool
    newest: list[_Newest]
    deleted: list[bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """Says what is old.

    Args:
        now_ms: The time of this append.
        compact_keep_ms: How long batches of compact topics are kept.
    """

    now_ms: int
    compact_keep_ms: int


def prepare(
    topic_id: int, batch: Batch, codec: RowCodec | None, *, names: Sequence[str] | None = None
) -> Prepared:  # fmt: skip
    """Encode a batch, which needs no lock.

    Args:
        topic_id: The topic's number in the file.
        batch: A checked batch.
        codec: Encodes rows of compact topics; None for others.
        names: What its columns are called where they are stored; None means their own names.
    """
    rows = batch.data.num_rows
    small = codec is not None and rows <= INLINE_ROWS
    upserts, deleted = _newest(batch, codec) if codec is not None and small and rows else ([], [])
    starts = range(0, rows, MAX_STORED_ROWS)
    parts = [_part(batch, at) for at in starts] if rows > MAX_STORED_ROWS else [batch][: len(starts)]
    return Prepared(
        topic_id=topic_id,
        topic=batch.topic,
        partition=batch.partition,
        rows=rows,
        chunks=[(part.data.num_rows, encode_batch(part, names=names)) for part in parts],
        compact=codec is not None,
        small=small,
        newest=upserts,
        deleted=deleted,
    )


def _part(batch: Batch, at: int) -> Batch:
    stop = at + MAX_STORED_ROWS
    return replace(
        batch,
        keys=batch.keys.slice(at, MAX_STORED_ROWS),
        timestamps=batch.timestamps[at:stop],
        data=batch.data.slice(at, MAX_STORED_ROWS),
        tombstones=None if batch.tombstones is None else batch.tombstones[at:stop],
    )


def _newest(batch: Batch, codec: RowCodec) -> tuple[list[_Newest], list[bytes]]:
    keys, rows = newest(batch.keys)
    dead = np.zeros(len(rows), dtype=np.bool_) if batch.tombstones is None else batch.tombstones[rows]
    kept = rows[~dead]
    data = batch.data if len(kept) == batch.data.num_rows else batch.data.take(pa.array(kept))
    names = [key for key, gone in zip(keys, dead.tolist(), strict=True) if not gone]
    found = zip(names, kept.tolist(), batch.timestamps[kept].tolist(), codec.encode(data), strict=True)
    return sorted(found), [key for key, gone in zip(keys, dead.tolist(), strict=True) if gone]


def raise_epoch(connection: apsw.Connection, fence: Fence) -> None:
    """Refuse a stale writer; note a newer one.

    Raises:
        StaleEpochError: A larger epoch has written before.
    """
    rows = fetch(connection, "SELECT epoch FROM fences WHERE name = ?", (fence.name,))
    known = int(rows[0][0]) if rows else None
    check_epoch(fence, known)
    if known != fence.epoch:
        connection.execute("REPLACE INTO fences VALUES(?, ?)", (fence.name, fence.epoch))


def write(connection: apsw.Connection, batch: Prepared, now_ms: int) -> Appended:
    """Write a batch at the end of its partition.

    Args:
        connection: In a transaction.
        batch: What to write.
        now_ms: The time of the append, from which retention counts.
    """
    place = (batch.topic_id, batch.partition)
    rows = fetch(connection, "SELECT end_offset FROM partitions WHERE topic_id = ? AND partition = ?", place)
    base = int(rows[0][0])
    if batch.rows:
        _index(connection, batch, base, now_ms)
        connection.execute(
            "UPDATE partitions SET end_offset = ? WHERE topic_id = ? AND partition = ?", (base + batch.rows, *place)
        )
    at = base
    for count, payload in batch.chunks:
        connection.execute("INSERT INTO batches VALUES(?, ?, ?, ?, ?, ?)", (*place, at, count, now_ms, payload))
        at += count
    return Appended(
        topic=batch.topic, partition=batch.partition, base_offset=base, count=batch.rows, next_offset=at
    )  # fmt: skip


def _index(connection: apsw.Connection, batch: Prepared, base: int, now_ms: int) -> None:
    """Put a small batch into the key index if nothing waits for it; note others as waiting."""
    if not batch.compact:
        return
    if batch.small and not fetch(connection, "SELECT 1 FROM tail WHERE topic_id = ? LIMIT 1", (batch.topic_id,)):
        upserts = [(key, base + row, ts, value) for key, row, ts, value in batch.newest]
        put_newest(connection, batch.topic_id, upserts, batch.deleted)
        return
    found = fetch(connection, "SELECT sum(end_offset) FROM partitions WHERE topic_id = ?", (batch.topic_id,))
    place, at = int(found[0][0]), base
    for count, _ in batch.chunks:
        row = (batch.topic_id, place, batch.partition, at, count, now_ms)
        connection.execute("INSERT INTO tail VALUES(?, ?, ?, ?, ?, ?)", row)
        place, at = place + count, at + count


def waiting_rows(connection: apsw.Connection, topic_id: int) -> int:
    """Return how many records of a topic are not in its key index yet."""
    found = fetch(connection, "SELECT sum(count) FROM tail WHERE topic_id = ?", (topic_id,))
    return int(found[0][0] or 0)


def put_newest(
    connection: apsw.Connection, topic_id: int, upserts: Sequence[_Newest], deleted: Sequence[bytes]
) -> None:  # fmt: skip
    """Write to the key index.

    Args:
        connection: In a transaction.
        topic_id: The topic's number in the file.
        upserts: Key, offset, time and value of records, in key order.
        deleted: Keys that are gone.
    """
    if upserts:
        connection.executemany("REPLACE INTO newest VALUES(?, ?, ?, ?, ?)", [(topic_id, *row) for row in upserts])
    if deleted:
        connection.executemany("DELETE FROM newest WHERE topic_id = ? AND key = ?", [(topic_id, k) for k in deleted])


def trim(connection: apsw.Connection, retention: Retention) -> None:
    """Remove batches that are too old, a bounded number at a time, and move the start offsets on.

    Batches that are not in the key index yet stay.
    """
    kept = fetch(
        connection,
        "SELECT topic_id, partition, iif(cleanup = 'compact', ?, retention_ms) FROM topics"
        " JOIN partitions USING(topic_id)"
        " WHERE start_offset < end_offset AND (cleanup = 'compact' OR retention_ms IS NOT NULL)",
        (retention.compact_keep_ms,),
    )
    for topic_id, partition, keep_ms in kept:
        _trim(connection, topic_id, partition, retention.now_ms - keep_ms)


def _trim(connection: apsw.Connection, topic_id: int, partition: int, oldest_ms: int) -> None:
    start = None
    first = fetch(
        connection,
        "SELECT base_offset, count, ts FROM batches WHERE topic_id = ?1 AND partition = ?2 AND base_offset < coalesce("
        " (SELECT min(base_offset) FROM tail WHERE topic_id = ?1 AND partition = ?2), 9e18)"
        " ORDER BY base_offset LIMIT ?3",
        (topic_id, partition, _TRIM_BATCHES),
    )
    for base, count, ts in first:
        if ts >= oldest_ms:
            break
        start = base + count
    if start is not None:
        place = (topic_id, partition, start)
        connection.execute("DELETE FROM batches WHERE topic_id = ? AND partition = ? AND base_offset < ?", place)
        connection.execute("UPDATE partitions SET start_offset = ?3 WHERE topic_id = ?1 AND partition = ?2", place)
