from __future__ import annotations

import numpy as np
import pyarrow as pa

from ashioto.log.base import Batch, TopicSpec
from ashioto.migration.dry import DryLog
from ashioto.testing import MemoryLog

SCHEMA = pa.schema([("n", pa.int64())])


def batch(*values: int) -> Batch:
    data = pa.RecordBatch.from_pylist([{"n": value} for value in values], schema=SCHEMA)
    keys = pa.array([str(value).encode() for value in values], pa.binary())
    return Batch(topic="t", partition=0, keys=keys, timestamps=np.zeros(len(values), dtype=np.int64), data=data)


def test_everything_is_read_and_nothing_is_written() -> None:
    log = MemoryLog()
    log.create([TopicSpec(name="t", schema=SCHEMA, cleanup="compact")])
    log.append([batch(1, 2)])
    dry = DryLog(log)
    assert [(a.base_offset, a.count) for a in dry.append([batch(3)])] == [(2, 1)]
    assert dry.create([TopicSpec(name="other", schema=SCHEMA)]) == []
    assert dry.end_offsets("t") == log.end_offsets("t") == {0: 2}
    assert dry.describe("t").end_offsets == {0: 2}
    assert dry.view("t").data.to_pylist() == [{"n": 1}, {"n": 2}]
    found = dry.read("t", 0, 1)
    assert found is not None
    assert found.data.to_pylist() == [{"n": 2}]
