"""Consumes one partition as columns, through the public C interface of the librdkafka that Confluent's client brings.

Confluent's own consumer makes an object of each record, with its topic, key, value, time and headers: that takes five
times as long as all the rest from a tick to its bar (`bench/kafka_stream.py` shows both).
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
from confluent_kafka import KafkaError

from ashioto.log.kafka.gather import ERROR, KEY, MOST, OFFSET, TIME, VALUE, Inbox, copied, freed
from ashioto.log.kafka.librdkafka import CONSUMER, Handle, Pointer, exception, function, queue_destroy

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ashioto.log.base import Ints

LAST: Final = "ashioto-last"
"""Header of the last record that an append writes to a partition: behind it comes the end of the transaction."""
AT: Final = "ashioto-at"
"""Header with the time of a record that Kafka cannot be told: the first millisecond of 1970, and all before."""
STAND_IN_MS: Final = 1
"""Kafka's time of such a record."""
_LOGGED_ONLY: Final = {KafkaError.GROUP_AUTHORIZATION_FAILED}
"""Readers join no group, so they need no rights to one."""
_forward = function("rd_kafka_poll_set_consumer", ctypes.c_int, Pointer)
_close = function("rd_kafka_consumer_close", ctypes.c_int, Pointer)
_queue_of = function("rd_kafka_queue_get_consumer", Pointer, Pointer)
_consume = function("rd_kafka_consume_batch_queue", ctypes.c_ssize_t, Pointer, ctypes.c_int, Pointer, ctypes.c_size_t)
_list_new = function("rd_kafka_topic_partition_list_new", Pointer, ctypes.c_int)
_list_destroy = function("rd_kafka_topic_partition_list_destroy", None, Pointer)
_list_add = function("rd_kafka_topic_partition_list_add", Pointer, Pointer, ctypes.c_char_p, ctypes.c_int32)
_list_offset = function(
    "rd_kafka_topic_partition_list_set_offset",
    ctypes.c_int, Pointer, ctypes.c_char_p, ctypes.c_int32, ctypes.c_int64,
)  # fmt: skip
_assign = function("rd_kafka_assign", ctypes.c_int, Pointer, Pointer)
_last_error = function("rd_kafka_last_error", ctypes.c_int)
_headers = function("rd_kafka_message_headers", ctypes.c_int, Pointer, ctypes.POINTER(Pointer))
_header_last = function(
    "rd_kafka_header_get_last",
    ctypes.c_int, Pointer, ctypes.c_char_p, ctypes.POINTER(Pointer), ctypes.POINTER(ctypes.c_size_t),
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Consumed:
    """Holds records as they came.

    Args:
        offsets: Of each record; shape (n,).
        times: Of each record, ms; shape (n,).
        keys: Bytes of each key; null where a record has none.
        values: Bytes of each value; null where a record deletes its key.
        stop: Behind the last record, or the end of the partition where that was met; 0 where nothing came.
        is_last: Whether the last record is the last of an append to the partition.
        came: How many records and other news came.
    """

    offsets: Ints
    times: Ints
    keys: pa.BinaryArray
    values: pa.LargeBinaryArray
    stop: int
    is_last: bool
    came: int


class ColumnConsumer:
    """Consumes one partition; not for several threads at once.

    Args:
        settings: As Confluent's clients take them: by librdkafka's names, with `error_cb` and `stats_cb`.

    Raises:
        KafkaException: A setting is refused.

    >>> consumer = ColumnConsumer({"bootstrap.servers": "127.0.0.1:1", "group.id": "none"})
    >>> consumer.assign("ticks", 0, 0)
    >>> len(consumer.consume(10, 0.0).offsets)
    0
    >>> consumer.close()
    """

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self._client = Handle(CONSUMER, settings)
        self._inbox = Inbox()
        _forward(self._client.pointer)
        self._queue = self._client.own(_queue_of(self._client.pointer), queue_destroy)
        self._client.own(self._client.pointer, _close)

    def assign(self, topic: str, partition: int, offset: int) -> None:
        """Stand at an offset of a partition.

        Raises:
            KafkaException: That is refused.
        """
        wanted = _list_new(1)
        try:
            _list_add(wanted, topic.encode(), partition)
            code = _list_offset(wanted, topic.encode(), partition, offset) or _assign(self._client.pointer, wanted)
        finally:
            _list_destroy(wanted)
        if code:
            raise exception(code)

    def consume(self, most: int, wait_s: float) -> Consumed:
        """Return the next records.

        Args:
            most: At most so many.
            wait_s: How long to wait until there are as many, seconds.

        Raises:
            KafkaException: The cluster refuses to send them.
        """
        count = _consume(self._queue, round(wait_s * 1000), self._inbox.address, min(most, MOST))
        if count < 0:
            raise exception(_last_error())
        try:
            return self._taken(count)
        finally:
            freed(self._inbox.messages, count)

    def close(self) -> None:
        """Let go of the cluster."""
        self._client.close()

    def _taken(self, count: int) -> Consumed:
        facts, messages = self._inbox.facts(count), self._inbox.messages[:count]
        stop = 0
        if facts[:, ERROR].any():
            stop = _end_met(facts)
            good = facts[:, ERROR] == 0
            facts, messages = facts[good], messages[good]
        times = facts[:, TIME].copy()
        for row in np.flatnonzero(times == STAND_IN_MS).tolist():
            times[row] = _told(int(messages[row]))
        if facts.size:
            stop = max(stop, int(facts[-1, OFFSET]) + 1)
        return Consumed(
            offsets=facts[:, OFFSET].copy(), times=times, keys=_column(facts, KEY, pa.binary()),
            values=_column(facts, VALUE, pa.large_binary()), stop=stop, came=count,
            is_last=bool(facts.size) and _header(int(messages[-1]), LAST) is not None,
        )  # fmt: skip


def _end_met(facts: Ints) -> int:
    """Return the end of the partition if it was met, else 0; raises what is an error."""
    stop = 0
    for code, offset in facts[facts[:, ERROR] != 0][:, [ERROR, OFFSET]].tolist():
        if code == KafkaError._PARTITION_EOF:  # noqa: SLF001
            stop = max(stop, offset)
        elif code not in _LOGGED_ONLY:
            raise exception(code)
    return stop


def _column(facts: Ints, column: int, kind: pa.DataType) -> pa.Array:
    """Return keys or values, null where there is none."""
    there = facts[:, column] != 0
    bounds = np.zeros(len(facts) + 1, dtype=np.int32 if kind == pa.binary() else np.int64)
    np.cumsum(np.where(there, facts[:, column + 1], 0), out=bounds[1:])
    content = np.empty(int(bounds[-1]), dtype=np.uint8)
    copied(facts, column, content.ctypes.data)
    valid = None if there.all() else pa.py_buffer(np.packbits(there, bitorder="little"))
    return pa.Array.from_buffers(kind, len(facts), [valid, pa.py_buffer(bounds), pa.py_buffer(content)])


def _told(message: int) -> int:
    """Return the time that a header tells."""
    told = _header(message, AT) or b""
    return int(told) if told.removeprefix(b"-").isdigit() else STAND_IN_MS


def _header(message: int, name: str) -> bytes | None:
    """Return the last header of a name."""
    found, value, size = Pointer(), Pointer(), ctypes.c_size_t()
    if _headers(message, ctypes.byref(found)):
        return None
    if _header_last(found, name.encode(), ctypes.byref(value), ctypes.byref(size)):
        return None
    return ctypes.string_at(value, size.value) if value.value else b""
