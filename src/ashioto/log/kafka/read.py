"""Fetches the records of a partition: a consumer that is assigned by hand and goes on where it stopped."""

from __future__ import annotations

from dataclasses import dataclass
from operator import itemgetter
from typing import TYPE_CHECKING, Final, cast

import numpy as np
from confluent_kafka import KafkaError, KafkaException, Message, TopicPartition

from ashioto.errors import LogBusyError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from confluent_kafka import Consumer

    from ashioto.clock import Clock
    from ashioto.log.base import Ints
    from ashioto.log.kafka.client import Clients
    from ashioto.log.kafka.topics import Topic

LAST: Final = "ashioto-last"
"""Header of the last record that an append writes to a partition: behind it comes the end of the transaction."""
AT: Final = "ashioto-at"
"""Header with the time of a record that Kafka cannot be told: the first millisecond of 1970, and all before."""
STAND_IN_MS: Final = 1
"""Kafka's time of such a record."""
_WAIT_S: Final = 0.01
_LOGGED_ONLY: Final = {KafkaError.GROUP_AUTHORIZATION_FAILED}
"""Readers join no group, so they need no rights to one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """Holds all records at `[start, stop)`.

    Args:
        start: Offset asked for.
        stop: Where to go on.
        offsets: Of each record; shape (n,).
        times: Of each record, ms; shape (n,).
        keys: Of each record; None where it has none.
        values: Of each record; None where it deletes its key.
    """

    start: int
    stop: int
    offsets: Ints
    times: Ints
    keys: list[bytes | None]
    values: list[bytes | None]


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
        self._consumer: Consumer | None = None
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
            messages, stop = self._gathered(consumer, offset, end, want)
            self._position = stop
        return _fetched(messages, offset, stop)

    def close(self) -> None:
        """Let go of the consumer."""
        if self._consumer is not None:
            self._consumer.close()
            self._consumer = None
            self._position = -1

    def _at(self, offset: int) -> Consumer:
        """Return the consumer that stands at an offset; to move one takes longer than to make one."""
        if self._consumer is not None and offset != self._position:
            self.close()
        if self._consumer is None:
            self._consumer = self._clients.consumer()
            self._consumer.assign([TopicPartition(self._topic.real, self._partition, offset)])
        return self._consumer

    def _gathered(self, consumer: Consumer, offset: int, end: int, want: int) -> tuple[list[Message], int]:
        messages: list[Message] = []
        stop = offset
        until = self._clock.monotonic() + self._clients.options.request_timeout_s
        while stop < end and len(messages) < want:
            # The last offset is mostly the end of a transaction, which is no message: waiting for it takes long.
            found = consumer.consume(max(min(want - len(messages), end - stop - 1), 1), _WAIT_S)
            stop = max(stop, self._sort(found, messages))
            if stop == end - 1 and messages and messages[-1].offset() == stop - 1 and _is_last(messages[-1]):
                stop = end
            if not found and messages:
                break
            if not found and self._clock.monotonic() > until:
                raise self._silent()
        return messages, stop

    @staticmethod
    def _sort(found: list[Message], messages: list[Message]) -> int:
        """Keep the records; returns how far they, or an end that was met, reach."""
        errors = list(map(Message.error, found))
        if found and not any(errors):
            messages += found
            return (found[-1].offset() or 0) + 1
        stop = 0
        for one, error in zip(found, errors, strict=True):
            if error is None:
                messages.append(one)
                stop = (one.offset() or 0) + 1
            elif error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001
                stop = max(stop, one.offset() or 0)
            elif error.code() not in _LOGGED_ONLY and (error.fatal() or not error.retriable()):
                raise KafkaException(error)
        return stop

    def _silent(self) -> LogBusyError:
        name = f"{self._topic.spec.name}/{self._partition}"
        return LogBusyError(
            f"Kafka at {self._clients.options.bootstrap} sends nothing of {name}",
            hint="check that its brokers run and can be reached",
            topic=self._topic.spec.name,
        )


def _is_last(message: Message) -> bool:
    return LAST in _headers(message)


def _fetched(messages: list[Message], start: int, stop: int) -> Fetched:
    """Return what was fetched as columns; a loop of Python would take longer than all the decoding."""
    count = len(messages)
    times = np.fromiter(map(itemgetter(1), map(Message.timestamp, messages)), np.int64, count)
    for row in np.flatnonzero(times == STAND_IN_MS).tolist():
        times[row] = _told(messages[row])
    return Fetched(
        start=start,
        stop=stop,
        offsets=np.fromiter(cast("Iterable[int]", map(Message.offset, messages)), np.int64, count),
        times=times,
        keys=cast("list[bytes | None]", list(map(Message.key, messages))),
        values=cast("list[bytes | None]", list(map(Message.value, messages))),
    )


def _told(message: Message) -> int:
    told = _headers(message).get(AT, b"")
    return int(told) if told.removeprefix(b"-").isdigit() else STAND_IN_MS


def _headers(message: Message) -> dict[str, bytes]:
    found = cast("Iterable[tuple[str, bytes | None]]", message.headers() or ())
    return {name: value or b"" for name, value in found}
