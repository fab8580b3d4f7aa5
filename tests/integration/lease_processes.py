"""A process that leads, for tests of taking over: `python lease_processes.py <file> <what>`, then a line a step."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pyarrow as pa

from ashioto.clock import SystemClock
from ashioto.control.election import LeaseElection, LeaseOptions
from ashioto.control.processes import this_process
from ashioto.errors import LeaseLostError, StaleEpochError
from ashioto.log.base import Batch, Fence, TopicSpec
from ashioto.log.embedded import EmbeddedLog

ROLE = "hb\x1ftrading"
OPTIONS = LeaseOptions(renew_s=0.05, expire_s=0.3)
SCHEMA = pa.schema({"x": pa.int64()})
MARKERS = TopicSpec(name="t.markers", schema=SCHEMA)


def election_of(log: EmbeddedLog) -> LeaseElection:
    """Return this process as a candidate."""
    return LeaseElection(log, ROLE, holder=this_process("hb"), clock=SystemClock(), options=OPTIONS)


def marker(x: int) -> Batch:
    """Return a batch of one record."""
    data = pa.RecordBatch.from_pydict({"x": [x]}, schema=SCHEMA)
    return Batch(topic="t.markers", partition=0, keys=pa.array([b"k"]), timestamps=np.array([x]), data=data)


def _say(*words: object) -> None:
    print(*words, flush=True)  # noqa: T201


def lead(file: str, what: str) -> None:
    """Get the role and write once; `holding` the log from then on, or `writing` again when told to."""
    with EmbeddedLog(Path(file)) as log:
        log.create([MARKERS])
        election = election_of(log)
        epoch = election.campaign() or 0
        log.append([marker(1)], fence=Fence(name=ROLE, epoch=epoch))
        if what == "holding":
            log._writer.execute("BEGIN IMMEDIATE")
            log._writer.execute("UPDATE leases SET epoch = 1000; UPDATE partitions SET end_offset = 1000")
        _say("leads", epoch)
        sys.stdin.readline()
        try:
            log.append([marker(2)], fence=Fence(name=ROLE, epoch=epoch))
        except StaleEpochError as error:
            _say("refused", error.exit_code)
        try:
            election.renew()
        except LeaseLostError as error:
            _say("lost", error.exit_code)


if __name__ == "__main__":
    lead(*sys.argv[1:])
