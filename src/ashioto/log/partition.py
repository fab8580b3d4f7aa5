"""Which partition a key belongs to: the same number that Kafka's `murmur2_random` gives."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

_M = 0x5BD1E995
_SEED = 0x9747B28C
_LOW = 0xFFFFFFFF
_FEW: Final = 16
_AT_ONCE: Final = 65_536


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
    """Return the partition of each key; in a dictionary, a key that occurs often is hashed once.

    Args:
        keys: Key bytes, binary or dictionary of binary, without nulls; shape (rows,).
        n: How many partitions the topic has, >= 1.

    >>> partitions_of(pa.array([b"21", b"21"]), 4).tolist()
    [0, 0]
    """
    if n == 1 or not len(keys):
        return np.zeros(len(keys), dtype=np.int32)
    if not pa.types.is_dictionary(keys.type):
        return _places(keys, n)
    found: npt.NDArray[np.int32] = _places(keys.dictionary, n)[keys.indices.to_numpy(zero_copy_only=False)]
    return found


def _places(keys: pa.Array, n: int) -> npt.NDArray[np.int32]:
    if len(keys) <= _FEW:
        return np.array([partition_of(key, n) for key in keys.to_pylist()], dtype=np.int32)
    return ((_hashes(keys) & 0x7FFFFFFF) % n).astype(np.int32)


def _hashes(keys: pa.Array) -> npt.NDArray[np.uint32]:
    """Return the hash of each key, those of one length together; shape (n,)."""
    plain = keys.cast(pa.binary())
    bounds = np.frombuffer(plain.buffers()[1], dtype=np.int32)[plain.offset : plain.offset + len(plain) + 1]
    data = np.frombuffer(plain.buffers()[2] or b"", dtype=np.uint8)
    sizes = np.diff(bounds)
    found = np.empty(len(plain), dtype=np.uint32)
    for size in np.unique(sizes).tolist():
        rows = np.flatnonzero(sizes == size)
        for first in range(0, len(rows), _AT_ONCE):
            some = rows[first : first + _AT_ONCE]
            found[some] = _hashed(data[bounds[some].astype(np.int64)[:, None] + np.arange(size)])
    return found


def _hashed(letters: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint32]:
    """Return the hash of keys of one length; what `murmur2` does, for all of them at once.

    Args:
        letters: The bytes of the keys; shape (n, length).
    """
    size = letters.shape[1]
    end = size & ~3
    m = np.uint32(_M)
    h = np.full(letters.shape[0], _SEED ^ size, dtype=np.uint32)
    words = np.ascontiguousarray(letters[:, :end]).view("<u4").astype(np.uint32, copy=False)
    for at in range(end // 4):
        k = words[:, at] * m
        h = h * m ^ (k ^ k >> np.uint32(24)) * m
    if end < size:
        for at in range(end, size):
            h ^= letters[:, at].astype(np.uint32) << np.uint32(8 * (at - end))
        h *= m
    h = (h ^ h >> np.uint32(13)) * m
    return h ^ h >> np.uint32(15)
