"""A process that tests of the log on Kafka start, with bootstrap, registry, prefix, folder and mode as arguments."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from ashioto.errors import StaleEpochError
from ashioto.log.base import Batch, Fence, TopicSpec
from ashioto.log.kafka import KafkaLog, KafkaOptions, transactions

TICKS = TopicSpec(name="t.ticks", schema=pa.schema({"epoch": pa.int64(), "x": pa.int64()}))
STATE = TopicSpec(name="t.state", cleanup="compact", schema=TICKS.schema)
FENCE = "role\x1fone"
PAUSE_AT = 3


def batches(epoch: int, x: int) -> list[Batch]:
    """Make append number x under an epoch: three ticks and one record of state."""
    return [_batch(topic, rows, epoch, x) for topic, rows in (("t.ticks", 3), ("t.state", 1))]


def _batch(topic: str, rows: int, epoch: int, x: int) -> Batch:
    data = pa.RecordBatch.from_pydict({"epoch": [epoch] * rows, "x": [x] * rows}, schema=TICKS.schema)
    times = np.full(rows, 1_000 + x, dtype=np.int64)
    return Batch(topic=topic, partition=0, keys=pa.array([b"k"] * rows), timestamps=times, data=data)


def say(*words: object) -> None:
    """Tell the test."""
    print(*words, flush=True)  # noqa: T201


def main() -> None:
    """Append under epoch 1 until told that there is a newer writer; wait once where the mode says."""
    bootstrap, registry, prefix, folder, mode = sys.argv[1:]
    at = [0]
    if mode == "inside":
        inner = vars(transactions)["send"]

        def slow(*given: Any, **named: Any) -> None:
            inner(*given, **named)
            if at[0] == PAUSE_AT:
                given[0].flush(20)
                say("paused")
                sys.stdin.readline()

        vars(transactions)["send"] = slow
    options = KafkaOptions(bootstrap=bootstrap, registry=registry, cache=Path(folder), prefix=prefix, replication=1)
    with KafkaLog(options) as log:
        while True:
            if mode == "before" and at[0] == PAUSE_AT:
                say("paused")
                sys.stdin.readline()
            try:
                log.append(batches(1, at[0]), fence=Fence(name=FENCE, epoch=1))
            except StaleEpochError:
                say("stale", at[0])
                return
            say("ack", at[0])
            at[0] += 1


if __name__ == "__main__":
    main()
