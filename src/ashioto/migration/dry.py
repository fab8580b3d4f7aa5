"""A log that can be read and takes nothing in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ashioto.log.base import Appended
from ashioto.log.passing import PassingLog

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ashioto.log.base import Batch, Fence, TopicSpec


class DryLog(PassingLog):
    """Lets everything be read and writes nothing, so that a dry run takes the very steps of a real one.

    Args:
        inner: The log that is read.

    >>> DryLog.append.__name__
    'append'
    """

    def create(self, specs: Sequence[TopicSpec]) -> list[str]:
        """Create nothing."""
        del specs
        return []

    def append(self, batches: Sequence[Batch], *, fence: Fence | None = None) -> list[Appended]:
        """Write nothing, and say where it would have gone."""
        del fence
        ends = {batch.topic: self.end_offsets(batch.topic) for batch in batches}
        return [_appended(batch, ends[batch.topic][batch.partition]) for batch in batches]


def _appended(batch: Batch, end: int) -> Appended:
    count = len(batch.keys)
    return Appended(
        topic=batch.topic, partition=batch.partition, base_offset=end, count=count, next_offset=end + count
    )  # fmt: skip
