"""The embedded log against the log in memory, while its key index is anywhere behind."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import mock

import numpy as np
import pyarrow as pa
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from ashioto.clock import ManualClock
from ashioto.log.base import Batch, TopicSpec, ViewPage
from ashioto.log.embedded import EmbeddedLog, index
from ashioto.log.embedded import write as sqlite_write
from ashioto.log.embedded.file import transaction
from ashioto.log.embedded.index import Bounds
from ashioto.testing.memory_log import MemoryLog

if TYPE_CHECKING:
    from collections.abc import Iterator

TYPES = {"x": pa.int64(), "s": pa.dictionary(pa.int32(), pa.string()), "t": pa.string(), "l": pa.list_(pa.string())}
VALUES: dict[str, Any] = {"s": "é", "t": "", "l": ["a", None]}
SPEC = TopicSpec(name="t", partitions=2, cleanup="compact", schema=pa.schema({"x": TYPES["x"], "s": TYPES["s"]}))
KEYS = st.sampled_from([b"", b"a", b"ab", b"b", b"b\x00", b"c", b"\xff"])
ROWS = st.lists(st.tuples(KEYS, st.booleans()), min_size=1, max_size=6)
ALL = Bounds(rows=0, batches=0, age_ms=-1)
LEAVES = [ALL, Bounds(rows=8, batches=100, age_ms=10**9), Bounds(rows=10**9, batches=4, age_ms=10**9)]


def as_rows(page: ViewPage) -> list[tuple[bytes, int, int, dict[str, Any]]]:
    return list(zip(page.keys, page.offsets.tolist(), page.timestamps.tolist(), page.data.to_pylist(), strict=True))


class KeyIndexMachine(RuleBasedStateMachine):
    """Two logs open one file, as two processes do; the indexing of each stops after any transaction."""

    def __init__(self) -> None:
        super().__init__()
        self.stack = ExitStack()
        self.file = Path(self.stack.enter_context(tempfile.TemporaryDirectory()), "log.db")
        self.stack.enter_context(mock.patch.object(sqlite_write, "INLINE_ROWS", 2))
        self.stack.enter_context(mock.patch.object(index, "_MOST_CHUNK", 2))
        self.stack.enter_context(mock.patch.object(index, "_FIRST_CHUNK", 2))
        self.model = MemoryLog()
        self.logs = [self.opened(), self.opened()]
        self.steps: list[Iterator[int]] = [iter(()), iter(())]
        self.spec, self.number = SPEC, 0

    def opened(self) -> EmbeddedLog:
        return EmbeddedLog(self.file, clock=ManualClock(1_000), background=False)

    @initialize()
    def create(self) -> None:
        self.model.create([SPEC])
        self.logs[0].create([SPEC])

    @rule(which=st.integers(0, 1), partition=st.integers(0, 1), parts=st.lists(ROWS, min_size=1, max_size=2))
    def append(self, which: int, partition: int, parts: list[list[tuple[bytes, bool]]]) -> None:
        batches = [self.batch((partition + at) % 2, rows) for at, rows in enumerate(parts)]
        assert self.logs[which].append(batches) == self.model.append(batches)

    def batch(self, partition: int, rows: list[tuple[bytes, bool]]) -> Batch:
        xs = range(self.number, self.number + len(rows))
        self.number += len(rows)
        given = [{"x": x} | VALUES for x in xs]
        return Batch(
            topic="t",
            partition=partition,
            keys=pa.array([key for key, _ in rows], pa.binary()),
            timestamps=np.array(xs, dtype=np.int64),
            data=pa.RecordBatch.from_pylist(
                [{name: row[name] for name in self.spec.schema.names} for row in given], schema=self.spec.schema
            ),
            tombstones=np.array([dead for _, dead in rows], dtype=np.bool_),
        )

    @rule(
        which=st.integers(0, 1),
        start=st.none() | KEYS,
        stop=st.none() | KEYS,
        limit=st.none() | st.integers(0, 4),
        reverse=st.booleans(),
    )
    def view(self, which: int, **span: Any) -> None:
        assert as_rows(self.logs[which].view("t", **span)) == as_rows(self.model.view("t", **span))

    @rule(which=st.integers(0, 1), bounds=st.sampled_from(LEAVES))
    def begin_to_index(self, which: int, bounds: Bounds) -> None:
        self.steps[which] = self.logs[which]._indexer.steps("t", bounds)
        next(self.steps[which], None)

    @rule(which=st.integers(0, 1), times=st.integers(1, 4))
    def index_on(self, which: int, times: int) -> None:
        for _ in range(times):
            next(self.steps[which], None)

    @rule(which=st.integers(0, 1))
    def open_again(self, which: int) -> None:
        self.logs[which].close()
        self.logs[which], self.steps[which] = self.opened(), iter(())

    @rule(which=st.integers(0, 1), names=st.lists(st.sampled_from(sorted(TYPES)), unique=True, min_size=1))
    def alter(self, which: int, names: list[str]) -> None:
        self.spec = replace(SPEC, schema=pa.schema({name: TYPES[name] for name in names}))
        for log in (self.model, self.logs[which]):
            log.alter(self.spec)

    @precondition(lambda self: self.number > 20)
    @rule(which=st.integers(0, 1))
    def make_anew(self, which: int) -> None:
        self.spec = SPEC
        for log in (self.model, self.logs[which]):
            log.delete(["t"])
            log.create([SPEC])

    @rule(which=st.integers(0, 1))
    def old_batches_go(self, which: int) -> None:
        with transaction(self.logs[which]._writer) as _:
            sqlite_write.trim(
                self.logs[which]._writer, sqlite_write.Retention(now_ms=10**12, compact_keep_ms=0)
            )  # fmt: skip

    @invariant()
    def all_is_as_in_memory(self) -> None:
        expected = as_rows(self.model.view("t"))
        for log in self.logs:
            assert as_rows(log.view("t")) == expected

    def teardown(self) -> None:
        for log in self.logs:
            log.close()
        self.stack.close()


KeyIndexMachine.TestCase.settings = settings(max_examples=50, stateful_step_count=40, deadline=None)
TestKeyIndex = KeyIndexMachine.TestCase
