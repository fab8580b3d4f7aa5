"""Sends records that cannot be read to the dead letters, each once."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from ashioto.errors import LogError
from ashioto.log.dead_letters import DEAD_LETTERS, dead_letters
from ashioto.log.kafka.client import LOGGER
from ashioto.log.leases import FENCES

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ashioto.log.base import Batch
    from ashioto.log.kafka.blocks import Bad
    from ashioto.log.kafka.topics import Topic


class Burial:
    """Buries records that readers meet; a reader that meets them again, or must not write, goes on all the same.

    Args:
        append: Writes the dead letters.
    """

    def __init__(self, append: Callable[[Sequence[Batch]], object]) -> None:
        self._append = append
        self._lock = threading.Lock()
        self._done: dict[tuple[str, int], int] = {}

    def __call__(self, topic: Topic, partition: int, bad: Sequence[Bad]) -> None:
        """Bury records that were not met before.

        Args:
            topic: Where they are.
            partition: Where they are.
            bad: The records, in the order of their offsets.
        """
        if topic.spec.name in {DEAD_LETTERS, FENCES}:
            return
        with self._lock:
            known = self._done.get((topic.id, partition), 0)
            new = [one for one in bad if one.offset >= known]
            if not new:
                return
            self._done[topic.id, partition] = new[-1].offset + 1
        try:
            self._append([dead_letters([_letter(topic, partition, one) for one in new])])
        except LogError as error:
            LOGGER.warning(
                "%d records of %s/%d cannot be read, and the dead letters cannot be written: %s",
                len(new), topic.spec.name, partition, error.message,
            )  # fmt: skip


def _letter(topic: Topic, partition: int, bad: Bad) -> dict[str, object]:
    return {
        "source_topic": topic.spec.name,
        "source_partition": partition,
        "source_offset": bad.offset,
        "reason": bad.reason,
        "record_key": bad.key,
        "value": bad.value,
    }
