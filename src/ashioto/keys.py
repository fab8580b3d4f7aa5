r"""The deterministic key: `1␟part␟part…`, the same bytes in every process and every engine.

␟ is U+001F and the leading `1` the version. Parts are text, integers, or times as 13-digit zero-padded epoch
milliseconds. A backslash or ␟ inside text is escaped as `\\` or `\u001f`, so no two different part lists give one key.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from ashioto.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable

SEPARATOR: Final = "\x1f"
VERSION: Final = "1"
TIME_DIGITS: Final = 13
_ESCAPE: Final = re.compile(r"\\(\\|u001f)")
_MAX_TIME: Final = 10**TIME_DIGITS - 1
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

Part = str | int | datetime


def escape(text: str) -> str:
    r"""Escape a text part.

    >>> escape("a\\b")
    'a\\\\b'
    """
    if "\\" in text or SEPARATOR in text:
        return text.replace("\\", "\\\\").replace(SEPARATOR, "\\u001f")
    return text


def shown(text: str) -> str:
    r"""Return text with separators that people can see; programs want it as it is.

    >>> shown("hb\x1fdev\x1flocal")
    'hb␟dev␟local'
    """
    return text.replace(SEPARATOR, "␟")


def time_part(ms: int) -> str:
    """Return epoch milliseconds as 13 digits.

    Raises:
        InputError: The time lies before 1970 or after 2286.

    >>> time_part(1735732800000)
    '1735732800000'
    """
    if not 0 <= ms <= _MAX_TIME:
        raise InputError(f"the time {ms} ms cannot stand in a key", hint="times in keys lie between 1970 and 2286")
    return f"{ms:0{TIME_DIGITS}d}"


def encode(parts: Iterable[Part]) -> bytes:
    r"""Return the key of these parts.

    Args:
        parts: Text, integers, or aware datetimes (cut to the millisecond), in the order of the key columns.

    Raises:
        InputError: A part is of another type, a datetime has no time zone, or text holds half a character.

    >>> encode(["FX", "USDJPY"])
    b'1\x1fFX\x1fUSDJPY'
    """
    text = SEPARATOR.join([VERSION, *map(_part, parts)])
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise InputError(f"{text!r} cannot be a key", hint="it holds half a character (a lone surrogate)") from error


def decode(key: bytes) -> list[str]:
    r"""Return the parts of a key as text.

    Raises:
        InputError: The bytes are no key of this version.

    >>> decode(b"1\x1fFX\x1fUSDJPY")
    ['FX', 'USDJPY']
    """
    try:
        version, *parts = key.decode().split(SEPARATOR)
    except UnicodeDecodeError as error:
        raise InputError(f"{key!r} is no key", hint="keys are UTF-8 text") from error
    if version != VERSION:
        raise InputError(f"{key!r} is a key of version {version!r}", hint=f"this ashioto reads version {VERSION}")
    return [_ESCAPE.sub(lambda m: "\\" if m[1] == "\\" else SEPARATOR, part) for part in parts]


def _part(part: Part) -> str:
    if isinstance(part, str):
        return escape(part)
    if isinstance(part, bool) or not isinstance(part, int | datetime):
        raise InputError(f"{part!r} cannot be part of a key", hint="key parts are text, integers or times")
    if isinstance(part, int):
        return str(part)
    if part.utcoffset() is None:
        raise InputError(f"{part!r} has no time zone", hint="use aware datetimes, e.g. datetime.now(timezone.utc)")
    return time_part((part - _EPOCH) // timedelta(milliseconds=1))
