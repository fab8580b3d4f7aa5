"""Fetches the records of a partition: a consumer that is assigned by hand and goes on where it stopped."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa

from ashioto.errors import LogBusyError

if TYPE_CHECKING:
    from ashioto.clock import Clock
    from ashioto.log.base import Ints
    from ashioto.log.kafka.client import Clients
    from ashioto.log.kafka.consumer import ColumnConsumer, Consumed
    from ashioto.log.kafka.topics import Topic

_WAIT_S: Final = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """Holds all records at `[start, stop)`.

    Args:
        start: Offset asked for.
        stop: Where to go on.
        offsets: Of each record; shape (n,).
        times: Of each record, ms; shape (n,).
        keys: Bytes of each key; null where a record has none.
        values: Bytes of each value; null where a record deletes its key.
    """

    start: int
    stop: int
    offsets: Ints
    times: Ints
    keys: pa.BinaryArray
    values: pa.LargeBinaryArray


class Fetcher:
    """Fetches from one partition; not for several threads at once.

    Args:
        clients: Of the cluster.
        topic: The topic.
        partition: Number of the partition.
        clock: Says when to give up.
    """

    def __init__(self, clients: Clients, topic: Topic, partition: int, clock: Clock) -> None:
        self._clients, self._topic, self._partition, self._clock = clients, topic, partition, clock
        self._consumer: ColumnConsumer | None = None
        self._position = -1

    def fetch(self, offset: int, end: int, want: int) -> Fetched:
        """Return records from an offset on: at least what there is at once, at most `want`.

        Args:
            offset: Where to begin.
            end: An end of the partition, above `offset`: something is there to be read, or to be passed over.
            want: How many records are enough.

        Raises:
            LogBusyError: The cluster does not answer.
        """
        with self._clients.errors(self._topic.spec.name):
            consumer = self._at(offset)
            self._position = -1  # unless all goes well
            parts, stop = self._gathered(consumer, offset, end, want)
            self._position = stop
        return _fetched(parts, offset, stop)

    def close(self) -> None:
        """Let go of the consumer."""
        if self._consumer is not None:
            self._consumer.close()
            self._consumer = None
            self._position = -1

    def _at(self, offset: int) -> ColumnConsumer:
        """Return the consumer that stands at an offset; to move one takes longer than to make one."""
        if self._consumer is not None and offset != self._position:
            self.close()
        if self._consumer is None:
            self._consumer = self._clients.consumer()
            self._consumer.assign(self._topic.real, self._partition, offset)
        return self._consumer

    def _gathered(self, consumer: ColumnConsumer, offset: int, end: int, want: int) -> tuple[list[Consumed], int]:
        parts: list[Consumed] = []
        count, stop = 0, offset
        until = self._clock.monotonic() + self._clients.options.request_timeout_s
        while stop < end and count < want:
            # The last offset is mostly the end of a transaction, which is no record: waiting for it takes long.
            found = consumer.consume(max(min(want - count, end - stop - 1), 1), _WAIT_S)
            stop = max(stop, found.stop)
            if len(found.offsets):
                parts.append(found)
                count += len(found.offsets)
            if stop == end - 1 and parts and parts[-1].is_last and parts[-1].offsets[-1] == stop - 1:
                stop = end
            if not found.came and parts:
                break
            if not found.came and self._clock.monotonic() > until:
                raise self._silent()
        return parts, stop

    def _silent(self) -> LogBusyError:
        name = f"{self._topic.spec.name}/{self._partition}"
        return LogBusyError(
            f"Kafka at {self._clients.options.bootstrap} sends nothing of {name}",
            hint="check that its brokers run and can be reached",
            topic=self._topic.spec.name,
        )


def _fetched(parts: list[Consumed], start: int, stop: int) -> Fetched:
    return Fetched(
        start=start,
        stop=stop,
        offsets=np.concatenate([one.offsets for one in parts] or [np.empty(0, dtype=np.int64)]),
        times=np.concatenate([one.times for one in parts] or [np.empty(0, dtype=np.int64)]),
        keys=pa.concat_arrays([one.keys for one in parts] or [pa.array([], pa.binary())]),
        values=pa.concat_arrays([one.values for one in parts] or [pa.array([], pa.large_binary())]),
    )
