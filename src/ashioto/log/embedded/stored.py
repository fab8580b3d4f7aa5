"""Reads the stored batches of an embedded log."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, cast

import pyarrow as pa

from ashioto.log.embedded.errors import damaged
from ashioto.log.embedded.file import fetch
from ashioto.log.payload import decode_batch
from ashioto.log.records import cut

if TYPE_CHECKING:
    from pathlib import Path

    import apsw

    from ashioto.log.base import Slice
    from ashioto.log.embedded.topics import Topic

_FIND_BOUNDS = "SELECT start_offset, end_offset FROM partitions WHERE topic_id = ? AND partition = ?"
_FIND_BATCHES = """
SELECT base_offset, payload FROM batches WHERE topic_id = ?1 AND partition = ?2 AND base_offset >= coalesce(
  (SELECT max(base_offset) FROM batches WHERE topic_id = ?1 AND partition = ?2 AND base_offset <= ?3), 0)
AND base_offset + count > ?3 ORDER BY base_offset
"""


class Stored:
    """Reads the batches of one file.

    Args:
        path: The file, which errors name.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(
        self, connection: apsw.Connection, topic: Topic, partition: int, *, offset: int, max_rows: int
    ) -> list[Slice]:  # fmt: skip
        """Return the records from an offset on, batch by batch, until there are `max_rows` of them or more.

        Args:
            connection: In a transaction.
            topic: Where to read.
            partition: Where to read.
            offset: Of the first record wanted.
            max_rows: How many are enough.

        Raises:
            LogCorruptError: A batch cannot be read.
        """
        parts: list[Slice] = []
        rows = 0
        place = (topic.id, partition)
        start, end = fetch(connection, _FIND_BOUNDS, place)[0]
        first = max(offset, start)
        if first >= end:  # a look for batches would read the last one whole
            return parts
        with closing(connection.cursor()) as cursor:
            for base, payload in cursor.execute(_FIND_BATCHES, (*place, first)):
                part = self.decoded(
                    topic, partition, base_offset=int(cast("int", base)), payload=cast("bytes", payload)
                )
                parts.append(cut(part, max(first - part.base_offset, 0), len(part.keys)))
                rows += len(parts[-1].keys)
                if rows >= max_rows:
                    break
        return parts

    def decoded(self, topic: Topic, partition: int, *, base_offset: int, payload: bytes) -> Slice:
        """Return the records of a stored batch.

        Raises:
            LogCorruptError: It cannot be read.
        """
        try:
            return decode_batch(
                payload, topic=topic.spec.name, partition=partition, base_offset=base_offset,
                schema=topic.spec.schema, names=topic.stored,
            )  # fmt: skip
        except (pa.ArrowException, OSError) as error:
            place = f"{topic.spec.name}/{partition}/{base_offset}"
            raise damaged(self._path, f"the batch at {place} cannot be read") from error
