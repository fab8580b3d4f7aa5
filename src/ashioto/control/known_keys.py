"""Finds the keys that have bars, for schedules that do not name them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pyarrow as pa

from ashioto import keys

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ashioto.log.base import Log

Key = tuple[str, ...]
_SEPARATOR: Final = keys.SEPARATOR.encode()
_BEYOND: Final = b"\xff"


def known_keys(log: Log, topic: str) -> Iterator[Key]:
    """Yield every key that has bars in a topic, in order; one look-up a key, however many bars it has.

    Args:
        log: Where the topic is.
        topic: A topic of bars.
    """
    start = b""
    while page := log.view(topic, start=start, limit=1).keys:
        prefix = _key_of(page[0])
        yield tuple(keys.decode(prefix))
        start = prefix + _SEPARATOR + _BEYOND


class KeyFinder:
    """Knows the keys that have bars, and finds new ones as their bars are written.

    Args:
        log: Where the topic is.
        topic: A topic of bars.
    """

    def __init__(self, log: Log, topic: str) -> None:
        self._log, self._topic = log, topic
        self._offsets = dict(log.end_offsets(topic))
        self._prefixes: set[bytes] = set()
        self.keys: set[Key] = set()
        for key in known_keys(log, topic):
            self._add(keys.encode(key))

    def poll(self) -> bool:
        """Look at the bars that were written since the last time.

        Returns:
            Whether there was a new key among them.
        """
        before = len(self.keys)
        for partition, end in self._log.end_offsets(self._topic).items():
            self._follow(partition, end)
        return len(self.keys) > before

    def _follow(self, partition: int, end: int) -> None:
        at = self._offsets.get(partition, 0)
        at = at if at <= end else 0  # the topic was made anew
        while at < end and (part := self._log.read(self._topic, partition, at)) is not None:
            at = part.next_offset
            alive = part.keys if part.tombstones is None else part.keys.filter(pa.array(~part.tombstones))
            for prefix in {_key_of(key) for key in alive.unique().to_pylist()} - self._prefixes:
                self._add(prefix)
        self._offsets[partition] = max(at, end)

    def _add(self, prefix: bytes) -> None:
        self._prefixes.add(prefix)
        self.keys.add(tuple(keys.decode(prefix)))


def _key_of(bar: bytes) -> bytes:
    """Return the key of the key bytes of a bar: what stands before its bucket start; parts hold no bare separator."""
    return bar[: bar.rfind(_SEPARATOR)]
