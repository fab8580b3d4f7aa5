"""How values carry the number of their schema: a zero byte, four bytes of the number, and then the value."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from ashioto.errors import SchemaError

Bytes = npt.NDArray[np.uint8]
Ints = npt.NDArray[np.int64]

PREFIX_BYTES: Final = 5
_MAGIC: Final = 0
_IDS: Final = 2**32
_TOO_SHORT: Final = "the value has fewer than 5 bytes, so it names no schema"
_OUTSIDE: Final = "the value lies outside the buffer"


@dataclass(frozen=True, slots=True, kw_only=True)
class Frames:
    """Says which values have which schema.

    Args:
        rows: The values of each schema, by its number, in order.
        reasons: Why a value names no schema, by row.
    """

    rows: dict[int, Ints]
    reasons: dict[int, str]


def frame_prefix(schema_id: int) -> bytes:
    r"""Return the five bytes that stand before a value.

    Args:
        schema_id: The number that the registry gave the schema.

    Raises:
        SchemaError: It does not fit four bytes.

    >>> frame_prefix(258)
    b'\x00\x00\x00\x01\x02'
    """
    if not 0 <= schema_id < _IDS:
        raise SchemaError(f"a schema cannot have the number {schema_id}")
    return struct.pack(">bI", _MAGIC, schema_id)


def split_frames(buffer: Bytes, starts: Ints, stops: Ints) -> Frames:
    """Group values by the schema that they name; what they hold begins `PREFIX_BYTES` after their start.

    Args:
        buffer: The bytes of all values.
        starts: Where each begins; shape (n,).
        stops: Where each ends; shape (n,).

    >>> data = np.frombuffer(frame_prefix(7) + b"x" + b"no", np.uint8)
    >>> found = split_frames(data, np.array([0, 6]), np.array([6, 8]))
    >>> found.rows, found.reasons
    ({7: array([0])}, {1: 'the value has fewer than 5 bytes, so it names no schema'})
    """
    inside = (starts >= 0) & (starts <= stops) & (stops <= len(buffer))
    whole = np.flatnonzero(inside & (stops - starts >= PREFIX_BYTES))
    at = starts[whole]
    magic = buffer[at] if len(whole) else np.zeros(0, dtype=np.uint8)
    reasons = dict.fromkeys(np.flatnonzero(~inside).tolist(), _OUTSIDE)
    reasons |= dict.fromkeys(np.flatnonzero(inside & (stops - starts < PREFIX_BYTES)).tolist(), _TOO_SHORT)
    for row, byte in zip(whole[magic != _MAGIC].tolist(), magic[magic != _MAGIC].tolist(), strict=True):
        reasons[row] = f"the value begins with the byte {byte}, not 0, so it names no schema"
    framed = whole[magic == _MAGIC]
    return Frames(rows=_grouped(_ids(buffer, starts[framed]), framed), reasons=dict(sorted(reasons.items())))


def _ids(buffer: Bytes, starts: Ints) -> Ints:
    ids = np.zeros(len(starts), dtype=np.int64)
    if len(starts):
        for n in range(1, PREFIX_BYTES):
            ids = (ids << 8) | buffer[starts + n]
    return ids


def _grouped(ids: Ints, rows: Ints) -> dict[int, Ints]:
    if not len(ids):
        return {}
    if (ids == ids[0]).all():
        return {int(ids[0]): rows}
    order = np.argsort(ids, kind="stable")
    found, firsts = np.unique(ids[order], return_index=True)
    return dict(zip(found.tolist(), np.split(rows[order], firsts[1:]), strict=True))
