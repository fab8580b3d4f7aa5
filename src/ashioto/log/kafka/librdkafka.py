"""Reaches librdkafka through its public C interface, in the very library that Confluent's client is linked with."""

from __future__ import annotations

import ctypes
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from confluent_kafka import KafkaError, KafkaException, cimpl

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

PRODUCER: Final = 0
CONSUMER: Final = 1
DELIVERIES: Final = 1
"""The event that tells what became of records that were sent."""
Pointer = ctypes.c_void_p
_LIBRARY: Final = ctypes.CDLL(cimpl.__file__)
_TEXT_BYTES: Final = 512
_ErrorCallback = ctypes.CFUNCTYPE(None, Pointer, ctypes.c_int, ctypes.c_char_p, Pointer)
_StatsCallback = ctypes.CFUNCTYPE(ctypes.c_int, Pointer, Pointer, ctypes.c_size_t, Pointer)


def function(name: str, result: Any, *arguments: Any) -> Any:
    """Return a function of librdkafka.

    Args:
        name: Its name.
        result: Type of what it returns; None for nothing.
        arguments: Types of its arguments.

    >>> function("rd_kafka_version_str", ctypes.c_char_p)().count(b".") >= 2
    True
    """
    found = _LIBRARY[name]  # another object than that of anybody else who calls it
    found.restype, found.argtypes = result, arguments
    return found


def address_of(name: str) -> int:
    """Return where a function of librdkafka is.

    >>> address_of("rd_kafka_version") > 0
    True
    """
    found: int | None = ctypes.cast(_LIBRARY[name], Pointer).value
    return found or 0


_conf_new = function("rd_kafka_conf_new", Pointer)
_conf_destroy = function("rd_kafka_conf_destroy", None, Pointer)
_conf_set = function(
    "rd_kafka_conf_set", ctypes.c_int, Pointer, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_size_t
)
_conf_set_log = function("rd_kafka_conf_set_log_cb", None, Pointer, Pointer)
_conf_set_error = function("rd_kafka_conf_set_error_cb", None, Pointer, _ErrorCallback)
_conf_set_stats = function("rd_kafka_conf_set_stats_cb", None, Pointer, _StatsCallback)
_conf_set_events = function("rd_kafka_conf_set_events", None, Pointer, ctypes.c_int)
_new = function("rd_kafka_new", Pointer, ctypes.c_int, Pointer, ctypes.c_char_p, ctypes.c_size_t)
_destroy = function("rd_kafka_destroy", None, Pointer)
queue_destroy = function("rd_kafka_queue_destroy", None, Pointer)
_error_text = function("rd_kafka_err2str", ctypes.c_char_p, ctypes.c_int)
_error_code = function("rd_kafka_error_code", ctypes.c_int, Pointer)
_error_string = function("rd_kafka_error_string", ctypes.c_char_p, Pointer)
_error_is_fatal = function("rd_kafka_error_is_fatal", ctypes.c_int, Pointer)
_error_is_retriable = function("rd_kafka_error_is_retriable", ctypes.c_int, Pointer)
_error_must_abort = function("rd_kafka_error_txn_requires_abort", ctypes.c_int, Pointer)
_error_destroy = function("rd_kafka_error_destroy", None, Pointer)


class Handle:
    """Holds a client of librdkafka, and what it calls.

    Args:
        kind: PRODUCER or CONSUMER.
        settings: As Confluent's clients take them: by librdkafka's names, with `error_cb` and `stats_cb`.
        events: Events that are fetched, and not told by a callback.

    Raises:
        KafkaException: A setting is refused.
    """

    def __init__(self, kind: int, settings: Mapping[str, Any], *, events: int = 0) -> None:
        self._pointer: int | None = None
        self._owned: list[tuple[Callable[[int], object], int]] = []
        given = dict(settings)
        given.pop("logger", None)
        self._on_error = _ErrorCallback(_error_teller(given.pop("error_cb", None)))
        self._on_stats = _StatsCallback(_stats_teller(given.pop("stats_cb", None)))
        conf, text = _conf_new(), ctypes.create_string_buffer(_TEXT_BYTES)
        for name, value in given.items():
            plain = str(value).lower() if isinstance(value, bool) else str(value)
            if _conf_set(conf, name.encode(), plain.encode(), text, _TEXT_BYTES):
                raise _refused(conf, text.value)
        _conf_set_log(conf, None)
        _conf_set_error(conf, self._on_error)
        _conf_set_stats(conf, self._on_stats)
        _conf_set_events(conf, events)
        made: int | None = _new(kind, conf, text, _TEXT_BYTES)
        if made is None:
            raise _refused(conf, text.value)
        self._pointer = made

    @property
    def pointer(self) -> int:
        """What functions of librdkafka know it by.

        Raises:
            KafkaException: It is closed.
        """
        if self._pointer is None:
            raise exception(KafkaError._DESTROY)  # noqa: SLF001
        return self._pointer

    def own(self, pointer: int, release: Callable[[int], object]) -> int:
        """Have something of the client released before it, what came last first; returns it.

        Args:
            pointer: What it is known by.
            release: Releases it.
        """
        self._owned.append((release, pointer))
        return pointer

    def close(self) -> None:
        """Let go of it; a second time does nothing."""
        pointer, self._pointer = self._pointer, None
        if pointer is not None:
            for release, owned in reversed(self._owned):
                release(owned)
            _destroy(pointer)

    def __del__(self) -> None:
        """Let go of it, where nobody has done so."""
        with suppress(AttributeError, TypeError):  # at the end of the interpreter
            self.close()


def exception(code: int) -> KafkaException:
    """Return an error of librdkafka as its Python client raises it.

    >>> exception(-185).args[0].name()
    '_TIMED_OUT'
    """
    return KafkaException(KafkaError(code, _error_text(code).decode()))


def raised(error: int | None) -> None:
    """Raise what a function returned, if that is an error.

    Args:
        error: A `rd_kafka_error_t`, which is given back; None or 0 is none.

    Raises:
        KafkaException: It is one.
    """
    if error:
        raise KafkaException(taken_error(error))


def taken_error(error: int) -> KafkaError:
    """Return a `rd_kafka_error_t` as an error of Python, and give it back."""
    try:
        return KafkaError(
            _error_code(error),
            _error_string(error).decode(errors="replace"),
            fatal=bool(_error_is_fatal(error)),
            retriable=bool(_error_is_retriable(error)),
            txn_requires_abort=bool(_error_must_abort(error)),
        )
    finally:
        _error_destroy(error)


def _refused(conf: int, text: bytes) -> KafkaException:
    _conf_destroy(conf)
    return KafkaException(KafkaError(KafkaError._INVALID_ARG, text.decode(errors="replace")))  # noqa: SLF001


def _error_teller(tell: Callable[[KafkaError], None] | None) -> Callable[[int, int, bytes | None, int], None]:
    def told(_handle: int, code: int, reason: bytes | None, _opaque: int) -> None:
        if tell is not None:
            tell(KafkaError(code, (reason or b"").decode(errors="replace")))

    return told


def _stats_teller(tell: Callable[[str], None] | None) -> Callable[[int, int, int, int], int]:
    def told(_handle: int, text: int, size: int, _opaque: int) -> int:
        if tell is not None:
            tell(ctypes.string_at(text, size).decode(errors="replace"))
        return 0

    return told
