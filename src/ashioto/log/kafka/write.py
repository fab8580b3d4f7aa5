"""Turns batches into records on their way to a cluster, and delivery reports into offsets."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa

from ashioto.errors import LogError
from ashioto.log.base import Appended
from ashioto.log.kafka.client import MAX_MESSAGE_BYTES
from ashioto.log.kafka.read import AT, LAST, STAND_IN_MS
from ashioto.log.records import checked

if TYPE_CHECKING:
    from collections.abc import Sequence

    from confluent_kafka import KafkaError, Message, Producer

    from ashioto.log.base import Batch
    from ashioto.log.kafka.topics import Topic
    from ashioto.log.kafka.values import Values
    from ashioto.log.kafka.view import Record

_OVERHEAD: Final = 512
"""What a record and the request around it take beside key and value, at most."""
_SERVE_ROWS: Final = 8192
_Header = tuple[str, str | bytes | None]


@dataclass(slots=True, kw_only=True)
class Outgoing:
    """Holds the records of a batch as they are sent, and then where they went.

    Args:
        topic: The topic.
        partition: Number of the partition.
        keys: Key of each record.
        values: Value of each record; None deletes the key.
        times: Of each record, ms.
        offsets: Of the records that have arrived, in order.
        failed: Why a record has not.
    """

    topic: Topic
    partition: int
    keys: list[bytes]
    values: list[bytes | None]
    times: list[int]
    offsets: list[int] = field(default_factory=list)
    failed: KafkaError | None = None

    def __call__(self, error: KafkaError | None, message: Message) -> None:
        """Take note of what became of a record."""
        if error is not None:
            self.failed = error
        else:
            self.offsets.append(message.offset() or 0)

    @property
    def arrived(self) -> bool:
        """Whether all records have arrived."""
        return self.failed is None and len(self.offsets) == len(self.keys)

    def records(self) -> list[Record]:
        """Return the records as views keep them, once they have arrived."""
        return list(zip(self.keys, self.offsets, self.times, self.values, strict=True))

    def again(self) -> Outgoing:
        """Return the same records, to be sent once more."""
        return Outgoing(
            topic=self.topic, partition=self.partition, keys=self.keys, values=self.values, times=self.times
        )  # fmt: skip


def prepared(topic: Topic, batch: Batch, values: Values, now_ms: int) -> Outgoing:
    """Return a batch as records.

    Args:
        topic: Its topic.
        batch: What to append.
        values: Encodes values.
        now_ms: The time: some topics take no records that are dated ahead of it.

    Raises:
        LogError: It does not fit the topic, or the cluster would refuse one of its records.
    """
    whole = checked(topic.spec, batch)
    made: list[bytes | None] = list(values.encode(topic, whole.data))
    for row in np.flatnonzero(whole.tombstones).tolist() if whole.tombstones is not None else ():
        made[row] = None
    keys = whole.keys.dictionary_decode() if pa.types.is_dictionary(whole.keys.type) else whole.keys
    found = Outgoing(
        topic=topic, partition=batch.partition, keys=keys.to_pylist(), values=made, times=whole.timestamps.tolist()
    )
    _check_sizes(found)
    _check_times(found, now_ms)
    return found


def _check_sizes(found: Outgoing) -> None:
    most = min(MAX_MESSAGE_BYTES, found.topic.max_bytes) - _OVERHEAD
    largest = max((len(value) for value in found.values if value is not None), default=0)
    if max(map(len, found.keys), default=0) + largest <= most:
        return
    for row, (key, value) in enumerate(zip(found.keys, found.values, strict=True)):
        size = len(key) + (0 if value is None else len(value))
        if size > most:
            raise LogError(
                f"record {row} of a batch for {found.topic.spec.name} has {size} bytes, and {most} are allowed",
                hint="make it smaller; nothing of the append was written",
                topic=found.topic.spec.name,
                row=row,
            )


def _check_times(found: Outgoing, now_ms: int) -> None:
    latest = now_ms + found.topic.ahead_ms
    if max(found.times, default=latest) <= latest:
        return
    for row, at in enumerate(found.times):
        if at > latest:
            raise LogError(
                f"record {row} of a batch for {found.topic.spec.name} is dated {at - now_ms} ms ahead of the clock, "
                f"and {found.topic.ahead_ms} are allowed",
                hint="check the clock of this machine; nothing of the append was written",
                topic=found.topic.spec.name,
                row=row,
            )


def send(producer: Producer, found: Sequence[Outgoing], *, in_transaction: bool) -> None:
    """Hand records to a producer, which sends them on its own threads.

    Args:
        producer: In a transaction, or one without.
        found: The records.
        in_transaction: Whether the last record of a partition says so: what stands behind it is no record then.
    """
    last = {(one.topic.real, one.partition): number for number, one in enumerate(found) if one.keys}
    for number, one in enumerate(found):
        is_last = in_transaction and last.get((one.topic.real, one.partition)) == number
        end = len(one.keys) - 1 if is_last else -1
        for row, (key, value, at) in enumerate(zip(one.keys, one.values, one.times, strict=True)):
            if at > STAND_IN_MS and row != end:
                _produce(producer, one, key, value, at, None)
            else:
                headers: list[_Header] = [(AT, str(at))] if at <= STAND_IN_MS else []
                if row == end:
                    headers.append((LAST, ""))
                _produce(producer, one, key, value, max(at, STAND_IN_MS), headers)
            if row % _SERVE_ROWS == 0:
                producer.poll(0)


def _produce(
    producer: Producer, one: Outgoing, key: bytes, value: bytes | None, at: int,
    headers: list[_Header] | None,
) -> None:  # fmt: skip
    while True:
        try:
            producer.produce(
                one.topic.real, value, key, one.partition, on_delivery=one, timestamp=at, headers=headers or []
            )
        except BufferError:
            producer.poll(0.1)
        else:
            return


def appended(found: Outgoing, end: int, *, in_transaction: bool) -> list[Appended]:
    """Return where a batch went, run by run.

    Args:
        found: The records, arrived.
        end: The end of the partition as it was seen last.
        in_transaction: Whether the end of a transaction stands behind the last record.
    """
    topic, partition = found.topic.spec.name, found.partition
    if not found.offsets:
        return [Appended(topic=topic, partition=partition, base_offset=end, count=0, next_offset=end)]
    offsets = np.array(found.offsets, dtype=np.int64)
    stops = [*(np.flatnonzero(np.diff(offsets) != 1) + 1).tolist(), len(offsets)]
    runs: list[Appended] = []
    for start, stop in zip([0, *stops[:-1]], stops, strict=True):
        base, after = int(offsets[start]), int(offsets[stop - 1]) + 1
        if in_transaction and after + 1 == end:
            after = end
        runs.append(
            Appended(topic=topic, partition=partition, base_offset=base, count=stop - start, next_offset=after)
        )  # fmt: skip
    return runs
