"""Processes that tests of the embedded log start: `python log_processes.py <what> <file> <arguments>`."""

from __future__ import annotations

import json
import resource
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from ashioto.errors import LogError, LogFullError
from ashioto.log.base import Batch, TopicSpec
from ashioto.log.embedded import EmbeddedLog, index
from ashioto.log.embedded import log as embedded
from ashioto.log.embedded.index import Bounds

if TYPE_CHECKING:
    from collections.abc import Callable

SCHEMA = pa.schema({"writer": pa.int64(), "x": pa.int64()})
TICKS = TopicSpec(name="t.ticks", schema=SCHEMA)
STATE = TopicSpec(name="t.state", cleanup="compact", schema=SCHEMA)
KEYED_ROWS = 50
ALL = Bounds(rows=0, batches=0, age_ms=-1)
_MOST = 500


def rows_of(x: int) -> int:
    """Return how many ticks append number x has."""
    return 500 + 700 * (x % 3)


def batches(writer: int, x: int) -> list[Batch]:
    """Make append number x of a writer: ticks that all say so, and one record of state."""
    return [_batch("t.ticks", writer, x, rows_of(x), b"tick"), _batch("t.state", writer, x, 1, b"k%d" % (x % 7))]


def keys_of(writer: int, x: int) -> list[bytes]:
    """Return the keys that append number x of a writer writes anew."""
    return [b"k%03d" % ((writer * 31 + x * 7 + n) % 150) for n in range(KEYED_ROWS)]


def keyed(writer: int, x: int) -> Batch:
    """Make a batch that is too large to go into the key index at once."""
    data = pa.RecordBatch.from_pydict({"writer": np.full(KEYED_ROWS, writer), "x": np.full(KEYED_ROWS, x)})
    keys, times = pa.array(keys_of(writer, x)), np.full(KEYED_ROWS, x)
    return Batch(topic="t.state", partition=0, keys=keys, timestamps=times, data=data)


def _batch(topic: str, writer: int, x: int, rows: int, key: bytes) -> Batch:
    data = pa.RecordBatch.from_pydict({"writer": np.full(rows, writer), "x": np.full(rows, x)})
    return Batch(topic=topic, partition=0, keys=pa.array([key] * rows), timestamps=np.full(rows, x), data=data)


def _say(*words: object) -> None:
    print(*words, flush=True)  # noqa: T201


def append_some(file: str, writer: str, count: str) -> None:
    """Open the log when told to, together with others, and append."""
    _say("ready")
    sys.stdin.readline()
    with EmbeddedLog(Path(file), busy_timeout_ms=60_000) as log:
        log.create([TICKS, STATE])
        for x in range(int(count)):
            done = log.append(batches(int(writer), x))
            _say("ack", x, done[0].base_offset)


def append_until_killed(file: str) -> None:
    """Append from where the log ends, saying what happens, until killed; give up when nobody does."""
    inner: Callable[..., Any] = vars(embedded)["write"]

    def spoken(*arguments: Any) -> Any:
        done = inner(*arguments)
        _say("written")
        return done

    def committing() -> bool:
        _say("commit")
        return False

    vars(embedded)["write"] = spoken
    log = EmbeddedLog(Path(file))
    log.create([TICKS, STATE])
    log._writer.set_commit_hook(committing)
    first = log.end_offsets("t.state")[0]
    for x in range(first, first + _MOST):
        _say("begin")
        log.append(batches(0, x))
        _say("ack", x)


def index_until_killed(file: str) -> None:
    """Append from where the log ends, and index every other time, saying what happens, until killed."""
    vars(index).update(_FIRST_CHUNK=8, _LEAST_CHUNK=8, _MOST_CHUNK=8)
    log = EmbeddedLog(Path(file), background=False)
    log.create([TICKS, STATE])
    first = log.end_offsets("t.state")[0] // KEYED_ROWS
    for x in range(first, first + _MOST):
        log.append([keyed(0, x)])
        _say("ack", x)
        for _ in log._indexer.steps("t.state", ALL) if x % 2 else ():
            _say("step", x)


def index_together(file: str, writer: str, count: str) -> None:
    """Append and index when told to, together with others that do."""
    vars(index).update(_FIRST_CHUNK=8, _LEAST_CHUNK=8, _MOST_CHUNK=8)
    with EmbeddedLog(Path(file), busy_timeout_ms=60_000, background=False) as log:
        log.create([TICKS, STATE])
        _say("ready")
        sys.stdin.readline()
        for x in range(int(count)):
            done = log.append([keyed(int(writer), x)])
            _say("ack", x, done[0].base_offset)
            with suppress(LogError):
                list(log._indexer.steps("t.state", ALL))


def fill(file: str, limit: str) -> None:
    """Append until files may not grow, then once more after they may again."""
    with EmbeddedLog(Path(file)) as log:
        log.create([TICKS, STATE])
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit), resource.RLIM_INFINITY))
        kept, message = 0, ""
        while not message:
            try:
                log.append(_noise(kept))
                kept += 1
            except LogFullError as error:
                message = str(error)
        ends = [log.end_offsets("t.ticks")[0], log.end_offsets("t.state")[0]]
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        log.append(_noise(kept))
        after = [log.end_offsets("t.ticks")[0], log.end_offsets("t.state")[0]]
    _say(json.dumps({"kept": kept, "message": message, "ends": ends, "after": after}))


def _noise(x: int) -> list[Batch]:
    found = batches(0, x)
    data = pa.RecordBatch.from_arrays(
        [pa.array(np.random.default_rng(x).integers(0, 2**62, 5000)), pa.array(np.full(5000, x))], schema=SCHEMA
    )
    keys, times = pa.array([b"tick"] * 5000), np.full(5000, x)
    return [Batch(topic="t.ticks", partition=0, keys=keys, timestamps=times, data=data), found[1]]


if __name__ == "__main__":
    COMMANDS: dict[str, Callable[..., None]] = {"some": append_some, "killed": append_until_killed, "fill": fill}
    COMMANDS |= {"index": index_until_killed, "together": index_together}
    COMMANDS[sys.argv[1]](*sys.argv[2:])
