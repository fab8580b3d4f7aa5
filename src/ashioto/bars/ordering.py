"""The order of the keys, in which bars are looked up and written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from ashioto import keys

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ashioto.schedule.sessions import Ints

_START_BITS: Final = 44
_MOST_SERIES: Final = 1 << (63 - _START_BITS)
_SEPARATOR: Final = keys.SEPARATOR.encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyOrder:
    """Says how rows go into the order of their record keys.

    Args:
        order: The rows in that order; None where they are in it. Shape (n,).
        twins: Of the pair of rows with one key that is complete first, both rows; None where there is none.
    """

    order: Ints | None
    twins: tuple[int, int] | None


def key_order(series: Sequence[bytes], codes: Ints, start: Ints) -> KeyOrder:
    r"""Return the order of rows by record key.

    Args:
        series: Key bytes without the bucket start, each once.
        codes: Number of the series of each row; shape (n,).
        start: Bucket start of each row, ms; shape (n,).

    >>> found = key_order([b"1\x1fB", b"1\x1fA"], np.array([0, 1, 1]), np.array([5, 7, 6]))
    >>> found.order.tolist(), found.twins
    ([2, 1, 0], None)
    """
    ranks = np.empty(len(series), dtype=np.int64)
    ranks[sorted(range(len(series)), key=lambda n: series[n] + _SEPARATOR)] = np.arange(len(series))
    rank = ranks[codes]
    if len(series) > _MOST_SERIES:
        order = np.lexsort((start, rank))
        alike = (np.diff(rank[order]) == 0) & (np.diff(start[order]) == 0)
    else:
        whole = (rank << _START_BITS) | start
        if (whole[1:] > whole[:-1]).all():
            return KeyOrder(order=None, twins=None)
        order = np.argsort(whole, kind="stable")
        alike = np.diff(whole[order]) == 0
    pairs = np.flatnonzero(alike)
    if not pairs.size:
        return KeyOrder(order=order, twins=None)
    first = pairs[np.argmin(order[pairs + 1])]
    return KeyOrder(order=order, twins=(int(order[first]), int(order[first + 1])))
