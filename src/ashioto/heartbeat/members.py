"""Who gets the markers of a schedule: its keys, laid out by partition once, however many markers are sent to them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa

from ashioto import keys
from ashioto.log.partition import partition_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from ashioto.schedule.sessions import Sessions

Key = tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Part:
    """Holds the keys of one partition.

    Args:
        keys: Key bytes; shape (n,).
        columns: Their grouping columns, texts; each of shape (n,).
    """

    keys: pa.Array
    columns: tuple[pa.Array, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Members:
    """Holds keys that follow one schedule.

    Args:
        sessions: The schedule.
        keys: The keys, in order.
        parts: The same by partition.
    """

    sessions: Sessions
    keys: Sequence[Key]
    parts: Mapping[int, Part]

    @property
    def size(self) -> int:
        """How many keys there are."""
        return len(self.keys)


class Layout:
    r"""Lays keys out by partition, and remembers where each goes.

    Args:
        partitions: How many partitions the topic of the heartbeats has.

    >>> import numpy as np
    >>> from ashioto.schedule.sessions import Sessions
    >>> day = Sessions.build(np.array([0]), np.array([9]), np.array([0]))
    >>> Layout(1).members(day, [("FX", "EURUSD")]).parts[0].keys.to_pylist()
    [b'1\x1fFX\x1fEURUSD']
    """

    def __init__(self, partitions: int) -> None:
        self._partitions = partitions
        self._places: dict[Key, tuple[bytes, int]] = {}

    def members(self, sessions: Sessions, found: Iterable[Key]) -> Members:
        """Return these keys, in order, as followers of a schedule."""
        members = sorted(found)
        split: dict[int, list[tuple[bytes, Key]]] = {}
        for key in members:
            record, partition = self._place(key)
            split.setdefault(partition, []).append((record, key))
        return Members(
            sessions=sessions,
            keys=members,
            parts={partition: _part(rows) for partition, rows in sorted(split.items())},
        )

    def _place(self, key: Key) -> tuple[bytes, int]:
        known = self._places.get(key)
        if known is None:
            record = keys.encode(key)
            known = self._places[key] = record, partition_of(record, self._partitions)
        return known


def _part(rows: list[tuple[bytes, Key]]) -> Part:
    columns = zip(*(key for _, key in rows), strict=True)
    return Part(
        keys=pa.array([record for record, _ in rows], pa.binary()),
        columns=tuple(pa.array(column, pa.string()) for column in columns),
    )
