"""Turns batches into records on their way to a cluster, and delivery reports into offsets."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ashioto.errors import LogError
from ashioto.log.base import Appended, Ints, Mask
from ashioto.log.kafka.client import MAX_MESSAGE_BYTES
from ashioto.log.kafka.consumer import AT, LAST, STAND_IN_MS
from ashioto.log.records import checked

if TYPE_CHECKING:
    from collections.abc import Sequence

    from confluent_kafka import KafkaError

    from ashioto.log.base import Batch
    from ashioto.log.kafka.producer import ColumnProducer, Header
    from ashioto.log.kafka.topics import Topic
    from ashioto.log.kafka.values import Values
    from ashioto.log.kafka.view import Record

Bytes = npt.NDArray[np.uint8]
_OVERHEAD: Final = 512
"""What a record and the request around it take beside key and value, at most."""
_NO_OFFSETS: Final[Ints] = np.empty(0, dtype=np.int64)


@dataclass(frozen=True, slots=True, kw_only=True)
class Raw:
    """Holds records as a producer takes them.

    Args:
        keys: Where each key begins, and the last one ends; shape (n + 1,).
        key_bytes: What it begins in.
        values: Where each value begins, and the last one ends; shape (n + 1,).
        value_bytes: What it begins in.
        dead: Where the record deletes its key; shape (n,).
        times: Of each record as Kafka is told, ms; shape (n,).
    """

    keys: Ints
    key_bytes: Bytes
    values: Ints
    value_bytes: Bytes
    dead: Mask
    times: Ints


@dataclass(slots=True, kw_only=True)
class Outgoing:
    """Holds the records of a batch as they are sent, and then where they went.

    Args:
        topic: The topic.
        partition: Number of the partition.
        keys: Key of each record.
        values: Value of each record; null deletes the key.
        times: Of each record, ms; shape (n,).
        offsets: Of the records that have arrived, in order.
        dated: The times of those by Kafka, ms: those of the broker where the topic takes them.
        failed: Why a record has not.
    """

    topic: Topic
    partition: int
    keys: pa.BinaryArray
    values: pa.LargeBinaryArray
    times: Ints
    offsets: Ints = field(default_factory=_NO_OFFSETS.copy)
    dated: Ints = field(default_factory=_NO_OFFSETS.copy)
    failed: KafkaError | None = None

    def take(self, offsets: Ints, dated: Ints) -> None:
        """Take note of where records have arrived, and of their times."""
        self.offsets, self.dated = np.concatenate([self.offsets, offsets]), np.concatenate([self.dated, dated])

    @property
    def arrived(self) -> bool:
        """Whether all records have arrived."""
        return self.failed is None and len(self.offsets) == len(self.keys)

    def records(self) -> list[Record]:
        """Return the records as views keep them, once they have arrived."""
        columns = self.keys.to_pylist(), self.offsets.tolist(), self.times.tolist(), self.values.to_pylist()
        return list(zip(*columns, strict=True))

    def again(self) -> Outgoing:
        """Return the same records, to be sent once more."""
        return Outgoing(
            topic=self.topic, partition=self.partition, keys=self.keys, values=self.values, times=self.times
        )  # fmt: skip

    def raw(self) -> Raw:
        """Return the records as a producer takes them."""
        keys, key_bytes = _bounds(self.keys, np.int32)
        values, value_bytes = _bounds(self.values, np.int64)
        return Raw(
            keys=keys, key_bytes=key_bytes, values=values, value_bytes=value_bytes,
            dead=np.array(self.values.is_null()), times=np.maximum(self.times, STAND_IN_MS),
        )  # fmt: skip


def _bounds(array: pa.Array, kind: type[np.int32 | np.int64]) -> tuple[Ints, Bytes]:
    _, bounds, content = array.buffers()
    held = np.frombuffer(bounds, dtype=kind)[array.offset : array.offset + len(array) + 1]
    return held.astype(np.int64), np.frombuffer(content or b"\0", dtype=np.uint8)


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
    keys = whole.keys.dictionary_decode() if pa.types.is_dictionary(whole.keys.type) else whole.keys
    found = Outgoing(
        topic=topic, partition=batch.partition, keys=keys, values=values.encode(topic, whole.data, whole.tombstones),
        times=whole.timestamps,
    )  # fmt: skip
    _check_sizes(found)
    _check_times(found, now_ms)
    return found


def _check_sizes(found: Outgoing) -> None:
    most = min(MAX_MESSAGE_BYTES, found.topic.max_bytes) - _OVERHEAD
    sizes = np.asarray(pc.add(pc.binary_length(found.keys), pc.fill_null(pc.binary_length(found.values), 0)))
    for row in np.flatnonzero(sizes > most).tolist():
        raise LogError(
            f"record {row} of a batch for {found.topic.spec.name} has {sizes[row]} bytes, and {most} are allowed",
            hint="make it smaller; nothing of the append was written",
            topic=found.topic.spec.name,
            row=row,
        )


def _check_times(found: Outgoing, now_ms: int) -> None:
    latest = now_ms + found.topic.ahead_ms
    for row in np.flatnonzero(found.times > latest).tolist():
        raise LogError(
            f"record {row} of a batch for {found.topic.spec.name} is dated {found.times[row] - now_ms} ms ahead of the "
            f"clock, and {found.topic.ahead_ms} are allowed",
            hint="check the clock of this machine; nothing of the append was written",
            topic=found.topic.spec.name,
            row=row,
        )


def send(producer: ColumnProducer, found: Sequence[Outgoing], *, in_transaction: bool) -> None:
    """Hand records to a producer, which sends them on its own threads.

    Args:
        producer: In a transaction, or one without.
        found: The records.
        in_transaction: Whether the last record of a partition says so: what stands behind it is no record then.
    """
    last = {(one.topic.real, one.partition): number for number, one in enumerate(found) if len(one.keys)}
    for number, one in enumerate(found):
        old = np.flatnonzero(one.times <= STAND_IN_MS).tolist()
        special: dict[int, list[Header]] = {row: [(AT.encode(), str(one.times[row]).encode())] for row in old}
        if in_transaction and last.get((one.topic.real, one.partition)) == number:
            special.setdefault(len(one.keys) - 1, []).append((LAST.encode(), b""))
        producer.send(one, special)


def appended(found: Outgoing, end: int, *, in_transaction: bool) -> list[Appended]:
    """Return where a batch went, run by run.

    Args:
        found: The records, arrived.
        end: The end of the partition as it was seen last.
        in_transaction: Whether the end of a transaction stands behind the last record.
    """
    topic, partition = found.topic.spec.name, found.partition
    offsets = found.offsets
    if not len(offsets):
        return [Appended(topic=topic, partition=partition, base_offset=end, count=0, next_offset=end)]
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
