"""Keeps the views of compact topics as fresh as the topics are when they are asked for."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from ashioto.log.kafka.view import ViewFile

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from ashioto.clock import Clock
    from ashioto.log.base import ViewPage
    from ashioto.log.kafka.blocks import Readers
    from ashioto.log.kafka.ends import Ends
    from ashioto.log.kafka.topics import Topic
    from ashioto.log.kafka.values import Values
    from ashioto.log.kafka.view import Record


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
        self, topic: Topic, *, start: bytes | None = None, stop: bytes | None = None, limit: int | None = None,
        reverse: bool = False,
    ) -> ViewPage:  # fmt: skip
        """Return the newest record of each key in `[start, stop)`, in key order: of all that is committed by now.

        Args:
            topic: A compact topic.
            start: The first key, or None.
            stop: The key behind the last, or None.
            limit: At most so many; None for all.
            reverse: From the last key to the first.
        """
        file = self._file(topic)
        for partition, end in self._ends.settled(topic).items():
            self._catch_up(topic, file, partition, end)
        return file.page(topic, self._values, start=start, stop=stop, limit=limit, reverse=reverse)

    def one(self, topic: Topic, partition: int, key: bytes) -> ViewPage:
        """Return the newest record of one key.

        Args:
            topic: A compact topic.
            partition: Where the key is.
            key: Its bytes.
        """
        file = self._file(topic)
        self._catch_up(topic, file, partition, self._ends.of(topic)[partition])
        return file.page(topic, self._values, start=key, stop=key + b"\x00", limit=1, reverse=False)

    def wrote(self, topic: Topic, partition: int, records: Sequence[Record], stop: int) -> None:
        """Take in what this process has written to a topic that it also looks at, so that it need not be fetched.

        Args:
            topic: The topic.
            partition: Number of the partition.
            records: They follow each other.
            stop: Up to which offset there are no more.
        """
        with self._lock:
            file = self._files.get(topic.real)
        if file is None or file.topic_id != topic.id or not file.is_asked:
            return
        file.is_asked = False
        file.put(partition, records, stop, self._clock.now_ms(), after=records[0][1])

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

    def _catch_up(self, topic: Topic, file: ViewFile, partition: int, end: int) -> None:
        now_ms = self._clock.now_ms()
        at = file.position(partition, now_ms)
        if at > end:  # the cluster lost what was read before
            file.clear(partition)
            at = 0
        if at == end:
            file.seen(partition, now_ms)
            return
        reader = self._readers.of(topic, partition, "view")
        while at < end:
            records, at = reader.records(topic, at, end)
            file.put(partition, records, at, now_ms)
