"""Keeps decoded tails, so that a view decodes each batch once."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final

from ashioto.log.embedded.file import fetch
from ashioto.log.embedded.tail import Tail

if TYPE_CHECKING:
    import apsw

    from ashioto.log.embedded.stored import Stored
    from ashioto.log.embedded.topics import Topic

MAX_ROWS: Final = 1_048_576
"""How many records all tails that are kept hold, the one used last apart."""
_BOUNDS: Final = """
SELECT (SELECT min(place) FROM tail WHERE topic_id = ?1), (SELECT max(place) FROM tail WHERE topic_id = ?1)
"""
_BATCHES: Final = """
SELECT t.place, t.partition, t.base_offset, b.payload FROM tail t JOIN batches b USING(topic_id, partition, base_offset)
WHERE t.topic_id = ? AND t.place > ? ORDER BY t.place
"""


class Tails:
    """Keeps the tails of a file that were used last.

    Args:
        stored: Reads the batches.
    """

    def __init__(self, stored: Stored) -> None:
        self._stored = stored
        self._lock = threading.Lock()
        self._kept: dict[str, Tail] = {}

    def known(self, name: str) -> Tail | None:
        """Return what is kept of a topic. Ask before a snapshot is taken, so that the snapshot is not the older one."""
        with self._lock:
            return self._kept.get(name)

    def find(self, connection: apsw.Connection, topic: Topic, known: Tail | None) -> Tail | None:
        """Return the tail of a topic as a snapshot has it, or None when all is in the index.

        Args:
            connection: In a transaction.
            topic: A compact topic, found in the same transaction.
            known: What `known` returned before.

        Raises:
            LogCorruptError: A batch cannot be read.
        """
        first, last = fetch(connection, _BOUNDS, (topic.id,))[0]
        if first is None:
            self._keep(topic.spec.name, None)
            return None
        if known is None or (known.topic_id, known.version) != (topic.id, topic.version) or known.places[-1] < first:
            known = Tail(topic_id=topic.id, version=topic.version, schema=topic.spec.schema.remove_metadata())
        elif known.places[-1] == last and not _is_old(known, first):
            return known
        found = self._extended(connection, topic, known)
        found = found.since(first) if _is_old(found, first) else found
        self._keep(topic.spec.name, found)
        return found

    def _extended(self, connection: apsw.Connection, topic: Topic, known: Tail) -> Tail:
        rows = fetch(connection, _BATCHES, (topic.id, known.places[-1] if known.places else -1))
        parts = [
            self._stored.decoded(topic, partition, base_offset=base, payload=payload)
            for _, partition, base, payload in rows
        ]
        return known.extended([row[0] for row in rows], parts)

    def _keep(self, name: str, tail: Tail | None) -> None:
        with self._lock:
            before = self._kept.pop(name, None)
            if tail is None:
                return
            if before is not None and before.version == tail.version and before.places[-1] > tail.places[-1]:
                tail = before
            self._kept[name] = tail
            while len(self._kept) > 1 and sum(one.rows for one in self._kept.values()) > MAX_ROWS:
                del self._kept[next(iter(self._kept))]


def _is_old(tail: Tail, first: int) -> bool:
    """Return whether the index knows more than half of a tail that begins before the place `first`."""
    end = tail.places[-1] + len(tail.parts[-1].keys)
    return 2 * (first - tail.places[0]) > end - tail.places[0]
