"""Which partition a key belongs to: the same number that Kafka's `murmur2_random` gives."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

_M = 0x5BD1E995
_SEED = 0x9747B28C
_LOW = 0xFFFFFFFF


def murmur2(key: bytes) -> int:
    """Return Kafka's murmur2 hash of a key as a signed 32-bit integer.

    >>> murmur2(b"foobar")
    -790332482
    """
    end = len(key) & ~3
    h = _SEED ^ len(key)
    for at in range(0, end, 4):
        k = int.from_bytes(key[at : at + 4], "little") * _M & _LOW
        h = h * _M & _LOW ^ (k ^ k >> 24) * _M & _LOW
    if end < len(key):
        h = (h ^ int.from_bytes(key[end:], "little")) * _M & _LOW
    h = (h ^ h >> 13) * _M & _LOW
    h ^= h >> 15
    return h - (1 << 32) if h >> 31 else h


def partition_of(key: bytes, n: int) -> int:
    """Return the partition of a key, in `[0, n)`.

    Args:
        key: The key bytes.
        n: How many partitions the topic has, >= 1.

    >>> partition_of(b"21", 4)
    0
    """
    return (murmur2(key) & 0x7FFFFFFF) % n


def partitions_of(keys: pa.Array, n: int) -> npt.NDArray[np.int32]:
    """Return the partition of each key; a key that occurs often is hashed once.

    Args:
        keys: Key bytes, binary or dictionary of binary, without nulls; shape (rows,).
        n: How many partitions the topic has, >= 1.

    >>> partitions_of(pa.array([b"21", b"21"]), 4).tolist()
    [0, 0]
    """
    if n == 1 or not len(keys):
        return np.zeros(len(keys), dtype=np.int32)
    coded = keys if pa.types.is_dictionary(keys.type) else keys.dictionary_encode()
    by_key = [partition_of(key, n) for key in coded.dictionary.to_pylist()]
    found: npt.NDArray[np.int32] = np.array(by_key, dtype=np.int32)[coded.indices.to_numpy(zero_copy_only=False)]
    return found
