"""A log that can be read and takes nothing in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ashioto.log.base import Appended

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ashioto.log.base import Batch, Fence, Log, Slice, TopicInfo, TopicSpec, ViewPage


class DryLog:
    """Lets everything be read and writes nothing, so that a dry run takes the very steps of a real one.

    Args:
        log: The log that is read.

    >>> DryLog.append.__name__
    'append'
    """

    def __init__(self, log: Log) -> None:
        self._log = log

    def create(self, specs: Sequence[TopicSpec]) -> list[str]:
        """Create nothing."""
        del specs
        return []

    def describe(self, topic: str) -> TopicInfo:
        """Return how a topic was declared and which offsets it holds."""
        return self._log.describe(topic)

    def append(self, batches: Sequence[Batch], *, fence: Fence | None = None) -> list[Appended]:
        """Write nothing, and say where it would have gone."""
        del fence
        ends = {batch.topic: self._log.end_offsets(batch.topic) for batch in batches}
        return [_appended(batch, ends[batch.topic][batch.partition]) for batch in batches]

    def read(self, topic: str, partition: int, offset: int, *, max_rows: int = 262_144) -> Slice | None:
        """Return records from an offset on."""
        return self._log.read(topic, partition, offset, max_rows=max_rows)

    def end_offsets(self, topic: str, *, committed: bool = True) -> dict[int, int]:
        """Return the offset of the next record, by partition."""
        return self._log.end_offsets(topic, committed=committed)

    def view(
        self, topic: str, *, start: bytes | None = None, stop: bytes | None = None, limit: int | None = None,
        reverse: bool = False, settled: bool = True,
    ) -> ViewPage:  # fmt: skip
        """Return the newest record of each key in a range."""
        return self._log.view(topic, start=start, stop=stop, limit=limit, reverse=reverse, settled=settled)


def _appended(batch: Batch, end: int) -> Appended:
    count = len(batch.keys)
    return Appended(
        topic=batch.topic, partition=batch.partition, base_offset=end, count=count, next_offset=end + count
    )  # fmt: skip
