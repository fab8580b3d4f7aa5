"""Copies columns into librdkafka and what it hands over into columns: no object a record.

The functions of librdkafka that are called from here are made known by name, so that what was compiled can be kept on
disk and is linked anew in every process.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import llvmlite.binding as llvm  # type: ignore[import-untyped]  # has no types
import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from ashioto.log.kafka.librdkafka import address_of
from ashioto.schema.avrokernel import compiled

if TYPE_CHECKING:
    import numpy.typing as npt

    Addresses = npt.NDArray[np.uintp]
    Facts = npt.NDArray[np.int64]
    Ints = npt.NDArray[np.int64]
    Mask = npt.NDArray[np.bool_]

MOST: Final = 65_536
"""So many messages are handed over at once."""
ERROR: Final = 0
OFFSET: Final = 1
VALUE: Final = 2
VALUE_SIZE: Final = 3
KEY: Final = 4
KEY_SIZE: Final = 5
TIME: Final = 6
PRIVATE: Final = 7
WIDTH: Final = 8
"""How many numbers are told of a message: values and keys by address and size, times in ms, and what was sent along."""
_PAYLOAD_AT: Final = 24
_SIZE_AT: Final = 32
_KEY_AT: Final = 40
_KEY_SIZE_AT: Final = 48
_OFFSET_AT: Final = 56
_PRIVATE_AT: Final = 64
"""Where the fields of a `rd_kafka_message_t` are, whose layout is part of librdkafka's interface."""


def _linked(name: str, signature: Any) -> Any:
    llvm.add_symbol(name, address_of(name))
    return types.ExternalFunction(name, signature)


_time_of = _linked("rd_kafka_message_timestamp", types.int64(types.uintp, types.uintp))
_destroy = _linked("rd_kafka_message_destroy", types.void(types.uintp))
_produce = _linked("rd_kafka_produceva", types.uintp(types.uintp, types.uintp, types.uintp))


def _loading(kind: Any) -> Any:
    """Return what loads a number from an address."""

    def load(_: Any, _address: Any) -> Any:
        def code(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
            return builder.load(builder.inttoptr(args[0], ir.IntType(kind.bitwidth).as_pointer()))

        return kind(types.uintp), code

    return intrinsic(load)


def _storing() -> Any:
    """Return what stores a number at an address."""

    def store(_: Any, _address: Any, _value: Any) -> Any:
        def code(context: Any, builder: Any, _signature: Any, args: Any) -> Any:
            builder.store(args[1], builder.inttoptr(args[0], ir.IntType(64).as_pointer()))
            return context.get_dummy_value()

        return types.void(types.uintp, types.int64), code

    return intrinsic(store)


def _copying() -> Any:
    """Return what copies bytes from one address to another."""

    def copy(_: Any, _into: Any, _source: Any, _size: Any) -> Any:
        def code(context: Any, builder: Any, _signature: Any, args: Any) -> Any:
            into, source = (builder.inttoptr(one, cgutils.voidptr_t) for one in args[:2])
            cgutils.raw_memcpy(builder, into, source, args[2], 1)  # type: ignore[no-untyped-call]  # numba has no types
            return context.get_dummy_value()

        return types.void(types.uintp, types.uintp, types.intp), code

    return intrinsic(copy)


_load32, _load64, _store64, _copy = _loading(types.int32), _loading(types.int64), _storing(), _copying()


@compiled
def look(messages: Addresses, count: int, kind: int, facts: Facts) -> None:
    """Note what is told of each message.

    Args:
        messages: Their addresses; shape (at least count,).
        count: How many there are.
        kind: Address of a number that is written over.
        facts: Gets what is told; shape (at least count, WIDTH).
    """
    for row in range(count):
        at = messages[row]
        facts[row, ERROR] = _load32(at)
        facts[row, OFFSET] = _load64(at + types.uintp(_OFFSET_AT))
        facts[row, VALUE] = _load64(at + types.uintp(_PAYLOAD_AT))
        facts[row, VALUE_SIZE] = _load64(at + types.uintp(_SIZE_AT))
        facts[row, KEY] = _load64(at + types.uintp(_KEY_AT))
        facts[row, KEY_SIZE] = _load64(at + types.uintp(_KEY_SIZE_AT))
        facts[row, PRIVATE] = _load64(at + types.uintp(_PRIVATE_AT))
        facts[row, TIME] = _time_of(at, types.uintp(kind))


class Inbox:
    """Room for messages of librdkafka, and for what is told of them."""

    def __init__(self) -> None:
        self.messages: Addresses = np.zeros(MOST, dtype=np.uintp)
        self._facts: Facts = np.zeros((MOST, WIDTH), dtype=np.int64)
        self._kind = np.zeros(1, dtype=np.int64)

    @property
    def address(self) -> int:
        """Where librdkafka writes the addresses of at most MOST messages."""
        return self.messages.ctypes.data

    def facts(self, count: int) -> Facts:
        """Return what is told of messages that were written there; overwritten by the next call.

        Args:
            count: How many there are.
        """
        look(self.messages, count, self._kind.ctypes.data, self._facts)
        return self._facts[:count]


@compiled
def copied(facts: Facts, column: int, into: int) -> None:
    """Copy the bytes of keys or values behind each other.

    Args:
        facts: As `look` notes them; shape (n, WIDTH).
        column: VALUE or KEY.
        into: Address of a buffer for all of them.
    """
    at = types.uintp(into)
    for row in range(facts.shape[0]):
        size = facts[row, column + 1]
        if facts[row, column] != 0 and size > 0:
            _copy(at, types.uintp(facts[row, column]), types.intp(size))
            at += types.uintp(size)


@compiled
def freed(messages: Addresses, count: int) -> None:
    """Give messages back to librdkafka.

    Args:
        messages: Their addresses; shape (at least count,).
        count: How many there are.
    """
    for row in range(count):
        _destroy(messages[row])


@compiled
def produced(places: Ints, keys: Ints, values: Ints, dead: Mask, times: Ints, start: int, stop: int) -> tuple[int, int]:
    """Hand records to a producer; returns the row behind the last one that it took, and the address of an error or 0.

    Args:
        places: Addresses: of the producer, of what it is told, how much that is, of the parts of that with key, value
            and time, of the bytes of the keys and of those of the values; shape (8,).
        keys: Where each key begins, and the last one ends; shape (n + 1,).
        values: The same of values.
        dead: Where there is no value; shape (n,).
        times: Of each record, ms; shape (n,).
        start: The first row.
        stop: The row behind the last.
    """
    handle, told, count = types.uintp(places[0]), types.uintp(places[1]), types.uintp(places[2])
    key_at, value_at, time_at = types.uintp(places[3]), types.uintp(places[4]), types.uintp(places[5])
    for row in range(start, stop):
        _store64(key_at, places[6] + keys[row])
        _store64(key_at + types.uintp(8), keys[row + 1] - keys[row])
        _store64(value_at, 0 if dead[row] else places[7] + values[row])
        _store64(value_at + types.uintp(8), values[row + 1] - values[row])
        _store64(time_at, times[row])
        error = _produce(handle, told, count)
        if error != 0:
            return row, types.int64(error)
    return stop, 0
