"""How far a query that runs on a server has read its ticks: by what its consumer group says, and what the log holds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ashioto.log.base import TopicInfo
    from ashioto.log.groups import GroupLog

_HOLLOW: Final = 10_000
"""So many offsets at most are looked through for records behind what was read last."""


class Reading:
    """Looks how far groups have read.

    A group says the offset behind the last record it has read. Ends of transactions take an offset too, and nobody
    reads them: what holds none but those counts as read.

    Args:
        log: Keeps ticks and groups.
    """

    def __init__(self, log: GroupLog) -> None:
        self._log = log
        self._hollow: dict[tuple[str, int], tuple[int, int]] = {}

    def cuts(self, group: str, topic: str) -> dict[int, int] | None:
        """Return up to which offset each partition is read, or None where the group has said nothing.

        Args:
            group: Its whole name.
            topic: What it reads.

        Raises:
            UnknownTopicError: The topic was never created.
        """
        said = self._log.committed(group, topic)
        return self.seen(topic, said) if said else None

    def seen(self, topic: str, said: Mapping[int, int]) -> dict[int, int]:
        """Return up to which offset each partition is read, after what a group has said.

        What is gone from the start of a partition needs no reading.

        Args:
            topic: What it reads.
            said: Offsets by partition; nothing of those it has not begun to read.
        """
        info = self._log.describe(topic)
        return {
            partition: self._behind(topic, partition, max(said.get(partition, 0), info.start_offsets[partition]), end)
            for partition, end in sorted(info.end_offsets.items())
        }

    def unread(self, topic: str, cuts: Mapping[int, int]) -> int:
        """Return how many offsets behind what is read there are."""
        ends = self._log.end_offsets(topic)
        return sum(max(end - cuts.get(partition, 0), 0) for partition, end in ends.items())

    def lost_before_ms(self, topic: str) -> int | None:
        """Return the time of the oldest tick that is left of a topic that has lost its beginning, ms; else None.

        Of several partitions, the latest such time: every bucket before it may lack ticks of some key.

        Args:
            topic: Name of the topic.
        """
        info = self._log.describe(topic)
        cut = [partition for partition, start in info.start_offsets.items() if start > 0]
        found = [at for at in (self._first_ms(topic, partition, info) for partition in cut) if at is not None]
        return max(found, default=None)

    def _behind(self, topic: str, partition: int, at: int, end: int) -> int:
        """Return an end where there is no record before it, else the offset."""
        if at >= end or end - at > _HOLLOW:
            return at
        known = self._hollow.get((topic, partition), (-1, -1))
        reached = known[1] if known[0] == at else at
        while reached < end:
            found = self._log.read(topic, partition, reached, max_rows=1)
            if found is None or len(found.keys):
                break
            reached = found.next_offset
        self._hollow[topic, partition] = at, reached
        return reached

    def _first_ms(self, topic: str, partition: int, info: TopicInfo) -> int | None:
        at = info.start_offsets[partition]
        while at < info.end_offsets[partition]:
            found = self._log.read(topic, partition, at, max_rows=1)
            if found is None:
                return None
            if len(found.timestamps):
                return int(found.timestamps[0])
            at = found.next_offset
        return None
