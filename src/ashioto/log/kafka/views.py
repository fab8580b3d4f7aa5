"""Keeps the views of compact topics as fresh as the topics are when they are asked for."""

from __future__ import annotations

import threading
from functools import partial
from typing import TYPE_CHECKING, Final

import pyarrow.compute as pc

from ashioto.log.kafka.view import Own, ViewFile

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from ashioto.clock import Clock
    from ashioto.log.base import ViewPage
    from ashioto.log.kafka.blocks import Readers
    from ashioto.log.kafka.ends import Ends
    from ashioto.log.kafka.topics import Topic
    from ashioto.log.kafka.values import Values
    from ashioto.log.kafka.write import Outgoing

_FEW: Final = 1_000


class Views:
    """Reads compact topics by key.

    Args:
        folder: Where the files of the views are.
        readers: Read what is new.
        ends: Says up to where there is something new.
        values: Decodes values.
        clock: Says how old a file is.
    """

    def __init__(self, folder: Path, *, readers: Readers, ends: Ends, values: Values, clock: Clock) -> None:
        self._folder, self._readers, self._ends, self._values, self._clock = folder, readers, ends, values, clock
        self._lock = threading.Lock()
        self._files: dict[str, ViewFile] = {}

    def page(
        self, topic: Topic, *, settled: bool, start: bytes | None = None, stop: bytes | None = None,
        limit: int | None = None, reverse: bool = False,
    ) -> ViewPage:  # fmt: skip
        """Return the newest record of each key in `[start, stop)`, in key order.

        Args:
            topic: A compact topic.
            settled: Whether of all that is committed by now, which may have to be waited for; else of what readers see.
            start: The first key, or None.
            stop: The key behind the last, or None.
            limit: At most so many; None for all.
            reverse: From the last key to the first.
        """
        ends: Callable[[], Mapping[int, int]] = partial(self._ends.settled if settled else self._ends.of, topic)
        if limit == 0:
            ends = dict
        return self._page(topic, ends, start=start, stop=stop, limit=limit, reverse=reverse)

    def one(self, topic: Topic, partition: int, key: bytes) -> ViewPage:
        """Return the newest record of one key.

        Args:
            topic: A compact topic.
            partition: Where the key is.
            key: Its bytes.
        """

        def end() -> Mapping[int, int]:
            return {partition: self._ends.of(topic)[partition]}

        return self._page(topic, end, start=key, stop=key + b"\x00", limit=1, reverse=False)

    def wrote(self, one: Outgoing, stop: int) -> None:
        """Take note of what this process has written to a topic that it also looks at, so that it need not be fetched.

        What is little goes into the file. Of much, as of a history that comes in batch by batch, only the place and the
        first and last key are kept: whoever asks for other keys then needs none of it.

        Args:
            one: Records that have arrived, behind each other.
            stop: Up to which offset there are no more.
        """
        with self._lock:
            file = self._files.get(one.topic.real)
        if file is None or file.topic_id != one.topic.id or not file.is_asked:
            return
        first = int(one.offsets[0])
        if len(one.keys) <= _FEW:
            file.is_asked = False
            file.put(one.partition, one.records(), first, stop, self._clock.now_ms())
            return
        found = pc.min_max(one.keys)
        own = Own(start=first, stop=stop, ranges=((found["min"].as_py(), found["max"].as_py()),))
        with self._lock:
            known = file.own.get(one.partition)
            file.own[one.partition] = own if known is None else known.joined(own)

    def forget(self, real: str) -> None:
        """Close the file of a topic."""
        with self._lock:
            file = self._files.pop(real, None)
        if file is not None:
            file.close()

    def close(self) -> None:
        """Close all files."""
        with self._lock:
            files, self._files = list(self._files.values()), {}
        for file in files:
            file.close()

    def _file(self, topic: Topic) -> ViewFile:
        with self._lock:
            known = self._files.get(topic.real)
            if known is not None and known.topic_id == topic.id:
                return known
            if known is not None:
                known.close()
            found = self._files[topic.real] = ViewFile(self._folder, topic)
            return found

    def _page(
        self, topic: Topic, ends: Callable[[], Mapping[int, int]], *, start: bytes | None, stop: bytes | None,
        limit: int | None, reverse: bool,
    ) -> ViewPage:  # fmt: skip
        """Return what stands in the file once it reaches up to where partitions end."""
        file = self._file(topic)
        while True:
            wanted = {
                partition: self._reached(topic, file, partition, end, start=start, stop=stop)
                for partition, end in ends().items()
            }
            page = file.page(
                topic, self._values, wanted, start=start, stop=stop, limit=limit, reverse=reverse
            )  # fmt: skip
            if page is not None:
                return page

    def _reached(
        self, topic: Topic, file: ViewFile, partition: int, end: int, *, start: bytes | None, stop: bytes | None
    ) -> int:
        """Return up to which offset a partition must be in the file for keys in `[start, stop)`, and have it there."""
        own = file.own.get(partition)
        if own is not None and own.stop == end and own.is_beside(start, stop):
            at = file.position(partition, self._clock.now_ms())
            if own.start <= at <= end:
                return at
        return self._catch_up(topic, file, partition, end)

    def _catch_up(self, topic: Topic, file: ViewFile, partition: int, end: int) -> int:
        """Have a partition in the file up to its end; returns up to which offset it must be there for that."""
        now_ms = self._clock.now_ms()
        at = file.position(partition, now_ms)
        while at > end:  # somebody else has read on meanwhile, or the cluster lost what was read before
            end = self._ends.of(topic)[partition]
            at = file.clear(partition, at) if at > end else at
        if at == end:
            file.seen(partition, now_ms)
        while at < end:
            records, stop = self._readers.of(topic, partition, "view").records(topic, at, end)
            at = file.put(partition, records, at, stop, now_ms)
        return end
