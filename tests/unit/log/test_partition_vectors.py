"""Hashes of hostile keys, made once by Kafka's own class; `test_kafka_partitions.py` asks Kafka again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from ashioto import keys
from ashioto.log.partition import murmur2, partitions_of

VECTORS = json.loads((Path(__file__).parents[2] / "golden" / "partitions.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("vector", VECTORS, ids=range(len(VECTORS)))
def test_a_key_has_the_hash_that_kafka_gives_it(vector: dict[str, Any]) -> None:
    assert murmur2(keys.encode(vector["parts"])) == vector["murmur2"]


@pytest.mark.parametrize("count", [2, 7, 64, 1000])
def test_all_keys_at_once_have_the_partitions_that_kafka_gives_them(count: int) -> None:
    column = pa.array([keys.encode(v["parts"]) for v in VECTORS], pa.binary())
    assert partitions_of(column, count).tolist() == [(v["murmur2"] & 0x7FFFFFFF) % count for v in VECTORS]


def test_no_two_vectors_are_of_one_key() -> None:
    assert len({keys.encode(v["parts"]) for v in VECTORS}) == len(VECTORS)
