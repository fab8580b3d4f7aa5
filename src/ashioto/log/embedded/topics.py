"""The topics of an embedded log, as its file declares them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa

from ashioto.log.base import TopicSpec
from ashioto.log.embedded.file import fetch
from ashioto.log.records import check_same
from ashioto.log.rowcodec import RowCodec

if TYPE_CHECKING:
    import apsw


@dataclass(frozen=True, slots=True, kw_only=True)
class Topic:
    """Holds a topic of a file.

    Args:
        id: Its number in the file.
        spec: How it was declared.
        codec: Turns rows into values of the key index; only compact topics have one.
    """

    id: int
    spec: TopicSpec
    codec: RowCodec | None


def codec_of(spec: TopicSpec) -> RowCodec | None:
    """Return the row codec of a compact topic, None for others.

    Raises:
        LogError: A column is of a type that cannot be kept.

    >>> codec_of(TopicSpec(name="t", schema=pa.schema({"x": pa.int64()}))) is None
    True
    """
    return RowCodec(spec.schema) if spec.cleanup == "compact" else None


def find_topic(connection: apsw.Connection, name: str) -> Topic | None:
    """Return a topic by its name, or None."""
    sql = "SELECT topic_id, partitions, cleanup, schema, retention_ms FROM topics WHERE name = ?"
    for number, partitions, cleanup, schema, retention_ms in fetch(connection, sql, (name,)):
        spec = TopicSpec(
            name=name,
            partitions=partitions,
            cleanup=cleanup,
            schema=pa.ipc.read_schema(pa.py_buffer(schema)),
            retention_ms=retention_ms,
        )
        return Topic(id=number, spec=spec, codec=codec_of(spec))
    return None


def add_topic(connection: apsw.Connection, spec: TopicSpec) -> bool:
    """Add a topic and say whether it is new.

    Raises:
        LogError: It exists with another number of partitions, cleanup or schema.
    """
    known = find_topic(connection, spec.name)
    if known is not None:
        check_same(known.spec, spec)
        return False
    connection.execute(
        "INSERT INTO topics(name, partitions, cleanup, schema, retention_ms) VALUES(?, ?, ?, ?, ?)",
        (spec.name, spec.partitions, spec.cleanup, spec.schema.serialize().to_pybytes(), spec.retention_ms),
    )
    number = connection.last_insert_rowid()
    connection.executemany("INSERT INTO partitions VALUES(?, ?, 0, 0)", [(number, p) for p in range(spec.partitions)])
    return True
