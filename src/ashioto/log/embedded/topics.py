"""The topics of an embedded log, as its file declares them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import pyarrow as pa

from ashioto.log.base import TopicSpec
from ashioto.log.changes import check_alter, same_spec
from ashioto.log.embedded.file import fetch
from ashioto.log.records import check_same, projected, unknown_topic
from ashioto.log.rowcodec import RowCodec

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import apsw

PAGE: Final = 4096
_Values = list[tuple[bytes, bytes]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Topic:
    """Holds a topic of a file.

    Args:
        id: Its number in the file.
        version: Of the catalogue that it was found in.
        spec: How it was declared.
        stored: What its columns are called in stored batches; None means their own names. A column that was left out
            and comes back is another one, so it is stored under another name.
        codec: Turns rows into values of the key index; only compact topics have one.
    """

    id: int
    version: int
    spec: TopicSpec
    stored: tuple[str, ...] | None
    codec: RowCodec | None


class Catalogue:
    """Remembers the topics of a file until one of them is altered or deleted, by whichever process."""

    def __init__(self) -> None:
        self._known: dict[str, Topic] = {}

    def find(self, connection: apsw.Connection, name: str) -> Topic:
        """Return a topic.

        Args:
            connection: In a transaction, so that what is done with the topic sees the same file.
            name: Of the topic.

        Raises:
            UnknownTopicError: It does not exist.
        """
        version = version_of(connection)
        known = self._known.get(name)
        if known is not None and known.version == version:
            return known
        found = self._known[name] = _required(connection, name)
        return found


def version_of(connection: apsw.Connection) -> int:
    """Return a number that grows whenever a topic is altered or deleted."""
    return int(fetch(connection, "SELECT value FROM meta WHERE name = 'catalogue'")[0][0])


def codec_of(spec: TopicSpec) -> RowCodec | None:
    """Return the row codec of a compact topic, None for others.

    Raises:
        LogError: A column is of a type that cannot be kept.

    >>> codec_of(TopicSpec(name="t", schema=pa.schema({"x": pa.int64()}))) is None
    True
    """
    return RowCodec(spec.schema) if spec.cleanup == "compact" else None


def topic_names(connection: apsw.Connection) -> list[str]:
    """Return the names of all topics, sorted."""
    return [name for (name,) in fetch(connection, "SELECT name FROM topics ORDER BY name")]


def find_topic(connection: apsw.Connection, name: str) -> Topic | None:
    """Return a topic by its name, or None."""
    sql = "SELECT topic_id, partitions, cleanup, schema, retention_ms, stored FROM topics WHERE name = ?"
    for number, partitions, cleanup, schema, retention_ms, stored in fetch(connection, sql, (name,)):
        spec = TopicSpec(
            name=name,
            partitions=partitions,
            cleanup=cleanup,
            schema=pa.ipc.read_schema(pa.py_buffer(schema)),
            retention_ms=retention_ms,
        )
        names = None if stored is None else tuple(json.loads(stored))
        version = version_of(connection)
        return Topic(id=number, version=version, spec=spec, stored=names, codec=codec_of(spec))
    return None


def _required(connection: apsw.Connection, name: str) -> Topic:
    found = find_topic(connection, name)
    if found is None:
        raise unknown_topic(name)
    return found


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


def alter_topic(connection: apsw.Connection, spec: TopicSpec) -> None:
    """Give a topic other columns or another retention, and its key index with it.

    Raises:
        UnknownTopicError: It does not exist.
        LogError: Partitions, cleanup or the type of a column that stays differ.
    """
    known = _required(connection, spec.name)
    check_alter(known.spec, spec)
    if same_spec(known.spec, spec):
        return
    version = _next_version(connection)
    before = dict(zip(known.spec.schema.names, known.stored or known.spec.schema.names, strict=True))
    stored = [before.get(name, f"{name}\x1f{version}") for name in spec.schema.names]
    connection.execute(
        "UPDATE topics SET schema = ?, retention_ms = ?, stored = ? WHERE topic_id = ?",
        (
            spec.schema.serialize().to_pybytes(),
            spec.retention_ms,
            None if stored == spec.schema.names else json.dumps(stored),
            known.id,
        ),
    )
    if known.codec is not None and known.spec.schema.names != spec.schema.names:
        _rewrite(connection, known.id, known.codec, spec.schema)


def _rewrite(connection: apsw.Connection, topic_id: int, codec: RowCodec, schema: pa.Schema) -> None:
    """Write the newest records of a topic in other columns."""
    after = RowCodec(schema)
    for page in _pages(connection, topic_id):
        data = projected(codec.decode([value for _, value in page]), schema.names, schema)
        changed = [(value, topic_id, key) for (key, _), value in zip(page, after.encode(data), strict=True)]
        connection.executemany("UPDATE newest SET value = ? WHERE topic_id = ? AND key = ?", changed)


def _pages(connection: apsw.Connection, topic_id: int) -> Iterator[_Values]:
    sql = "SELECT key, value FROM newest WHERE topic_id = ? AND key {} ? ORDER BY key LIMIT ?"
    page: _Values = fetch(connection, sql.format(">="), (topic_id, b"", PAGE))
    while page:
        yield page
        page = fetch(connection, sql.format(">"), (topic_id, page[-1][0], PAGE))


def delete_topics(connection: apsw.Connection, names: Sequence[str]) -> None:
    """Delete topics with all their records; those that do not exist are left out."""
    found = [topic for name in names if (topic := find_topic(connection, name)) is not None]
    if found:
        _next_version(connection)
    for topic in found:
        for table in ("newest", "tail", "batches", "partitions", "topics"):
            connection.execute(f"DELETE FROM {table} WHERE topic_id = ?", (topic.id,))  # noqa: S608 (fixed words only)


def _next_version(connection: apsw.Connection) -> int:
    connection.execute("UPDATE meta SET value = value + 1 WHERE name = 'catalogue'")
    return version_of(connection)
