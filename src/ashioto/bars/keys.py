"""The keys of bars: `1␟key…␟bucket start`, so that the bars of a key sort by time."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ashioto import keys
from ashioto.schema.arrow import key_column

if TYPE_CHECKING:
    from collections.abc import Sequence


_PADDED_MS: Final = 10 ** (keys.TIME_DIGITS - 1)
_MOST_MIXED: Final = 2**62


def bar_keys(data: pa.RecordBatch, group_by: Sequence[str]) -> pa.Array:
    r"""Return the key bytes of bars; shape (rows,).

    Args:
        data: Bars, with their grouping columns and `bucket_start`, none of them null.
        group_by: The grouping columns, in order.

    >>> bars = pa.record_batch({"symbol": ["A"], "bucket_start": pa.array([5], pa.timestamp("ms", tz="UTC"))})
    >>> bar_keys(bars, ["symbol"]).to_pylist()
    [b'1\x1fA\x1f0000000000005']
    """
    return record_keys(key_column(group_by, data), pc.cast(data.column("bucket_start"), pa.int64()))


def record_keys(series: pa.DictionaryArray, start: pa.Array) -> pa.Array:
    """Return the key bytes of bars; shape (rows,).

    Args:
        series: Key bytes without the bucket start; shape (rows,).
        start: Bucket start, int64 ms, between 1970 and 2286; shape (rows,).
    """
    text = pc.cast(start, pa.string())
    least = pc.min(start).as_py()
    if least is not None and least < _PADDED_MS:
        text = pc.utf8_lpad(text, keys.TIME_DIGITS, padding="0")
    prefix = pc.take(pc.cast(series.dictionary, pa.string()), series.indices)
    return pc.cast(pc.binary_join_element_wise(prefix, text, keys.SEPARATOR), pa.binary())


def series_keys(columns: Sequence[pa.DictionaryArray]) -> pa.DictionaryArray:
    r"""Return the key bytes of every row without a bucket start: as `key_column`, but each key is made once.

    Args:
        columns: The grouping columns, at least one, text without nulls; shape (rows,).

    >>> text = pa.array(["A", "B", "A"]).dictionary_encode()
    >>> series_keys([text, text]).dictionary.to_pylist()
    [b'1\x1fA\x1fA', b'1\x1fB\x1fB']
    """
    names = [str(at) for at in range(len(columns))]
    if prod(len(column.dictionary) for column in columns) > _MOST_MIXED:
        return key_column(names, pa.RecordBatch.from_arrays(columns, names=names))
    mixed = np.zeros(len(columns[0]), dtype=np.int64)
    for column in columns:
        mixed = mixed * len(column.dictionary) + np.asarray(column.indices)
    coded = pa.array(mixed).dictionary_encode()
    rest = np.asarray(coded.dictionary)
    parts = []
    for column in reversed(columns):
        rest, code = np.divmod(rest, max(len(column.dictionary), 1))
        parts.append(column.dictionary.take(pa.array(code)))
    once = key_column(names, pa.RecordBatch.from_arrays(parts[::-1], names=names))
    return pa.DictionaryArray.from_arrays(once.indices.take(coded.indices), once.dictionary)
