"""Sends columns through the public C interface of the librdkafka that Confluent's client brings."""

from __future__ import annotations

import ctypes
import itertools
import threading
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from confluent_kafka import KafkaError, KafkaException

from ashioto.clock import SystemClock
from ashioto.log.kafka.gather import ERROR, MOST, OFFSET, PRIVATE, TIME, Inbox, produced
from ashioto.log.kafka.librdkafka import (
    DELIVERIES,
    PRODUCER,
    Handle,
    Pointer,
    exception,
    function,
    queue_destroy,
    raised,
    taken_error,
)  # fmt: skip

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ashioto.clock import Clock
    from ashioto.log.base import Ints
    from ashioto.log.kafka.write import Outgoing, Raw

Header = tuple[bytes, bytes]
_SERVE_ROWS: Final = 16_384
_FULL_S: Final = 0.1
_SLICE_S: Final = 0.1
_PURGE_ALL: Final = 3
_TEXT_BYTES: Final = 512
_COPY: Final = 2
_RKT, _PARTITION, _VALUE, _KEY, _OPAQUE, _FLAGS, _TIMESTAMP, _HEADER = range(2, 10)
"""What a part of what the producer is told says, as librdkafka numbers it."""


class _Bytes(ctypes.Structure):
    _fields_ = (("at", ctypes.c_int64), ("size", ctypes.c_int64))


class _Named(ctypes.Structure):
    _fields_ = (("name", ctypes.c_char_p), ("at", ctypes.c_char_p), ("size", ctypes.c_int64))


class _Said(ctypes.Union):
    _fields_ = (
        ("pointer", Pointer), ("int32", ctypes.c_int32), ("int64", ctypes.c_int64), ("bytes", _Bytes),
        ("named", _Named), ("room", ctypes.c_char * 64),
    )  # fmt: skip


class _Part(ctypes.Structure):
    _fields_ = (("kind", ctypes.c_int), ("said", _Said))


_timed = (Pointer, ctypes.c_int)
_init = function("rd_kafka_init_transactions", Pointer, *_timed)
_begin = function("rd_kafka_begin_transaction", Pointer, Pointer)
_commit = function("rd_kafka_commit_transaction", Pointer, *_timed)
_abort = function("rd_kafka_abort_transaction", Pointer, *_timed)
_flush = function("rd_kafka_flush", ctypes.c_int, *_timed)
_purge = function("rd_kafka_purge", ctypes.c_int, *_timed)
_fatal = function("rd_kafka_fatal_error", ctypes.c_int, Pointer, ctypes.c_char_p, ctypes.c_size_t)
_topic_new = function("rd_kafka_topic_new", Pointer, Pointer, ctypes.c_char_p, Pointer)
_topic_destroy = function("rd_kafka_topic_destroy", None, Pointer)
_queue_main = function("rd_kafka_queue_get_main", Pointer, Pointer)
_queue_poll = function("rd_kafka_queue_poll", Pointer, *_timed)
_event_type = function("rd_kafka_event_type", ctypes.c_int, Pointer)
_event_messages = function("rd_kafka_event_message_array", ctypes.c_size_t, Pointer, Pointer, ctypes.c_size_t)
_event_destroy = function("rd_kafka_event_destroy", None, Pointer)
_last_error = function("rd_kafka_last_error", ctypes.c_int)


class ColumnProducer:
    """Sends records, in transactions or without; transactions are not for several threads at once.

    Its methods are those of Confluent's producer, but for `send`.

    Args:
        settings: As Confluent's clients take them: by librdkafka's names, with `error_cb` and `stats_cb`.
        clock: Says when to give up.

    Raises:
        KafkaException: A setting is refused.

    >>> producer = ColumnProducer({"bootstrap.servers": "127.0.0.1:1"})
    >>> producer.flush(0.0)
    0
    >>> producer.close()
    """

    def __init__(self, settings: Mapping[str, Any], *, clock: Clock | None = None) -> None:
        self._clock = SystemClock() if clock is None else clock
        self._client = Handle(PRODUCER, settings, events=DELIVERIES)
        self._queue = self._client.own(_queue_main(self._client.pointer), queue_destroy)
        self._lock = threading.Lock()
        self._topics: dict[str, int] = {}
        self._numbers = itertools.count(1)
        self._flying: dict[int, tuple[Outgoing, int]] = {}
        self._inbox = Inbox()

    def init_transactions(self, timeout_s: float) -> None:
        """Become the one producer of the transactional id."""
        raised(_init(self._client.pointer, _ms(timeout_s)))

    def begin_transaction(self) -> None:
        """Begin a transaction."""
        raised(_begin(self._client.pointer))

    def commit_transaction(self, timeout_s: float) -> None:
        """Commit what was sent; all of it must have arrived."""
        raised(_commit(self._client.pointer, _ms(timeout_s)))

    def abort_transaction(self, timeout_s: float) -> None:
        """Abort what was sent."""
        raised(_abort(self._client.pointer, _ms(timeout_s)))

    def send(self, one: Outgoing, special: Mapping[int, Sequence[Header]]) -> None:
        """Hand records over; what becomes of them is told to `one` by `poll` and `flush`.

        Args:
            one: The records.
            special: Headers of some of its records, by row.

        Raises:
            KafkaException: The producer does not take them.
        """
        rows = len(one.keys)
        if not rows:
            return
        with self._lock:
            number = next(self._numbers)
            self._flying[number] = one, rows
        try:
            at, held = 0, one.raw()
            for row in sorted(special):
                self._hand_over(self._parts(one, number, ()), held, at, row)
                self._hand_over(self._parts(one, number, special[row]), held, row, row + 1)
                at = row + 1
            self._hand_over(self._parts(one, number, ()), held, at, rows)
        except KafkaException:
            with self._lock:
                self._flying.pop(number, None)
            raise

    def flush(self, timeout_s: float) -> int:
        """Wait until what became of all records is known; returns of how many it is not."""
        until = self._clock.monotonic() + timeout_s
        while self._flying:
            left = until - self._clock.monotonic()
            _flush(self._client.pointer, 1)  # sends at once what waits for more
            self.poll(max(min(left, _SLICE_S), 0.0))
            if left <= 0:
                break
        with self._lock:
            return sum(rows for _, rows in self._flying.values())

    def poll(self, timeout_s: float) -> None:
        """Take note of what became of records, and of what the client tells; waits until there is something."""
        wait = _ms(timeout_s)
        while event := _queue_poll(self._queue, wait):
            try:
                if _event_type(event) == DELIVERIES:
                    with self._lock:
                        self._take(event)
            finally:
                _event_destroy(event)
            wait = 0

    @property
    def fatal(self) -> KafkaError | None:
        """What ended the producer, e.g. that another one has begun."""
        text = ctypes.create_string_buffer(_TEXT_BYTES)
        code = _fatal(self._client.pointer, text, _TEXT_BYTES)
        return KafkaError(code, text.value.decode(errors="replace"), fatal=True) if code else None

    @property
    def spoilt(self) -> KafkaError | None:
        """Why the transaction that has begun can only be aborted; its records then fail for no reason of their own."""
        found = self.fatal
        if found is not None:
            return found
        error = _begin(self._client.pointer)  # which never succeeds in a transaction, and tells why
        found = taken_error(error) if error else None
        return None if found is None or found.code() == KafkaError._STATE else found  # noqa: SLF001

    def purge(self) -> None:
        """Give up what has not arrived."""
        code = _purge(self._client.pointer, _PURGE_ALL)
        if code:
            raise exception(code)

    def close(self) -> None:
        """Let go of the cluster, whatever has not arrived."""
        self._client.close()

    def _hand_over(self, parts: ctypes.Array[_Part], held: Raw, start: int, stop: int) -> None:
        at = {part.kind: ctypes.addressof(part.said) for part in parts}
        places = np.array([
            self._client.pointer, ctypes.addressof(parts), len(parts), at[_KEY], at[_VALUE], at[_TIMESTAMP],
            held.key_bytes.ctypes.data, held.value_bytes.ctypes.data,
        ], dtype=np.int64)  # fmt: skip
        while start < stop:
            until = min(start + _SERVE_ROWS, stop)
            start, error = produced(places, held.keys, held.values, held.dead, held.times, start, until)
            full = False
            if error:
                said = taken_error(error)
                full = said.code() == KafkaError._QUEUE_FULL  # noqa: SLF001
                if not full:
                    raise KafkaException(said)
            self.poll(_FULL_S if full else 0.0)

    def _parts(self, one: Outgoing, number: int, headers: Sequence[Header]) -> ctypes.Array[_Part]:
        """Return what the producer is told of each record; key, value and time are written over for each."""
        parts = (_Part * (7 + len(headers)))()
        kinds = (_RKT, _PARTITION, _FLAGS, _OPAQUE, _KEY, _VALUE, _TIMESTAMP)
        for part, kind in zip(parts, (*kinds, *([_HEADER] * len(headers))), strict=True):
            part.kind = kind
        parts[0].said.pointer = self._topic(one.topic.real)
        parts[1].said.int32 = one.partition
        parts[2].said.int32 = _COPY
        parts[3].said.pointer = number
        for part, (name, value) in zip(parts[7:], headers, strict=True):
            part.said.named.name, part.said.named.at, part.said.named.size = name, value, len(value)
        return parts

    def _topic(self, name: str) -> int:
        with self._lock:
            found = self._topics.get(name)
            if found is None:
                made = _topic_new(self._client.pointer, name.encode(), None)
                if made is None:
                    raise exception(_last_error())
                found = self._topics[name] = self._client.own(made, _topic_destroy)
            return found

    def _take(self, event: int) -> None:
        """Tell each batch what became of its records; messages of an event are given back with it."""
        while count := _event_messages(event, self._inbox.address, MOST):
            facts = self._inbox.facts(count)
            for number in np.unique(facts[:, PRIVATE]).tolist():
                self._tell(number, facts[facts[:, PRIVATE] == number])

    def _tell(self, number: int, facts: Ints) -> None:
        one, left = self._flying.pop(number, (None, 0))
        if one is None:
            return
        if left > len(facts):
            self._flying[number] = one, left - len(facts)
        wrong = facts[:, ERROR] != 0
        if wrong.any():
            one.failed = exception(int(facts[wrong][0, ERROR])).args[0]
        one.take(facts[~wrong, OFFSET], facts[~wrong, TIME])


def _ms(seconds: float) -> int:
    return round(seconds * 1000)
