"""What a log knows of consumer groups of others: servers that run queries tell by them how far they have read."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from ashioto.log.admin import LogAdmin
from ashioto.log.base import Log


@runtime_checkable
class GroupOffsets(Protocol):
    """Keeps up to where groups have read."""

    def committed(self, group: str, topic: str) -> dict[int, int]:
        """Return up to which offset a group says it has read a topic, by partition.

        Partitions that it has said nothing of are left out.

        Args:
            group: Its whole name.
            topic: Name of the topic.

        Raises:
            UnknownTopicError: The topic was never created.
        """
        ...

    def forget(self, group: str) -> None:
        """Forget what a group that has ended has read; one that is not known is no error.

        Args:
            group: Its whole name.

        Raises:
            LogError: It has not ended.
        """
        ...


class GroupLog(Log, LogAdmin, GroupOffsets, Protocol):
    """A log that also changes topics, and keeps up to where groups have read."""
