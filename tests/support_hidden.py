"""A log in memory, some of whose records somebody's open append hides from readers, as on Kafka."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ashioto.log.base import Batch
from ashioto.log.records import cut
from ashioto.testing.memory_log import MemoryLog

if TYPE_CHECKING:
    from ashioto.log.base import Fence, Slice, ViewPage


class HidingLog(MemoryLog):
    """Hides what is appended to a topic from a moment on; whoever would wait for it fails."""

    def __init__(self) -> None:
        super().__init__()
        self._hidden: dict[str, tuple[dict[int, int], MemoryLog]] = {}

    def hide(self, topic: str) -> None:
        """Hide what is appended to a topic from now on."""
        seen = MemoryLog()
        seen.create([self.describe(topic).spec])
        for partition, end in self.end_offsets(topic).items():
            at = 0
            while at < end and (part := super().read(topic, partition, at)) is not None:
                seen.append([_batch(part)])
                at = part.next_offset
        self._hidden[topic] = super().end_offsets(topic), seen

    def show(self, topic: str) -> None:
        """Hide nothing of a topic any more."""
        del self._hidden[topic]

    def read(self, topic: str, partition: int, offset: int, *, max_rows: int = 262_144) -> Slice | None:
        """Read what is seen."""
        found = super().read(topic, partition, offset, max_rows=max_rows)
        if found is None or topic not in self._hidden:
            return found
        left = self._hidden[topic][0][partition] - found.base_offset
        return cut(found, 0, min(left, len(found.keys))) if left > 0 else None

    def end_offsets(self, topic: str, *, committed: bool = True) -> dict[int, int]:
        """Say where what is seen ends, or what is written."""
        if committed and topic in self._hidden:
            return dict(self._hidden[topic][0])
        return super().end_offsets(topic)

    def view(self, topic: str, *, settled: bool = True, **span: Any) -> ViewPage:
        """View what is seen."""
        if topic not in self._hidden:
            return super().view(topic, **span)
        assert not settled, f"it would wait for {topic}"
        return self._hidden[topic][1].view(topic, **span)


def _batch(part: Slice) -> Batch:
    return Batch(
        topic=part.topic, partition=part.partition, keys=part.keys, timestamps=part.timestamps, data=part.data,
        tombstones=part.tombstones,
    )  # fmt: skip


class SlowLog(HidingLog):
    """Takes its time for each append, in which the clock goes on and others act."""

    def __init__(self) -> None:
        super().__init__()
        self.meanwhile: list[Any] = []

    def append(self, batches: Any, *, fence: Fence | None = None) -> Any:
        """Append, and let others act."""
        found = super().append(batches, fence=fence)
        for act in self.meanwhile if fence is not None else ():
            act()
        return found
