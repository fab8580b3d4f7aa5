from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ashioto.log.partition import murmur2, partition_of, partitions_of


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        (b"21", -973932308),
        (b"foobar", -790332482),
        (b"abc", 479470107),
        (b"a-little-bit-long-string", -985981536),
        (b"a-little-bit-longer-string", -1486304829),
        (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
    ],
)
def test_hash_is_that_of_kafka(key: bytes, expected: int) -> None:
    assert murmur2(key) == expected


def test_partition_is_the_positive_hash_modulo_the_number_of_partitions() -> None:
    assert partition_of(b"foobar", 1000) == (-790332482 & 0x7FFFFFFF) % 1000


@given(keys=st.lists(st.binary(max_size=12), max_size=60), n=st.integers(1, 64), coded=st.booleans())
def test_columns_give_the_partition_of_each_key(keys: list[bytes], n: int, *, coded: bool) -> None:
    column = pa.array(keys, pa.binary())
    found = partitions_of(column.dictionary_encode() if coded else column, n)
    assert found.dtype.name == "int32"
    assert found.tolist() == [partition_of(key, n) for key in keys]
