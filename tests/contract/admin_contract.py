"""What every log promises whose topics can be changed; a test class per log inherits it and says how to open one."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.contract.log_contract import STATE, TEXT, TICKS, VALUE, batch, rows_at, xs_of

from ashioto.errors import LogError, UnknownTopicError
from ashioto.log.admin import LogAdmin
from ashioto.log.base import Batch, Log, TopicSpec

if TYPE_CHECKING:
    from collections.abc import Sequence

WIDER = pa.schema({"n": pa.string(), "s": TEXT, "p": pa.decimal64(18, 5), "x": pa.int64(), "l": pa.list_(pa.string())})
NARROW = pa.schema({"s": TEXT})
TYPES = {"x": pa.int64(), "s": TEXT, "t": pa.string(), "f": pa.float64(), "b": pa.bool_()}
VALUES: dict[str, Any] = {"x": 7, "s": "é", "t": "", "f": 0.5, "b": True}
COLUMNS = st.lists(st.sampled_from(sorted(TYPES)), unique=True, min_size=1)


class AdminLog(Log, LogAdmin, Protocol):
    """A log whose topics can be changed."""


def rows_of(log: Log, topic: str) -> list[dict[str, Any]]:
    """Return all records in order, each with its key."""
    return [{k: v for k, v in row.items() if k not in {"@at", "@dead"}} for row in rows_at(log, topic).values()]


def viewed(log: Log, topic: str) -> list[dict[str, Any]]:
    """Return the newest record of each key, each with its key."""
    page = log.view(topic)
    return [{"@": k, **row} for k, row in zip(page.keys, page.data.to_pylist(), strict=True)]


def put(log: Log, topic: str, schema: pa.Schema, rows: Sequence[dict[str, Any]]) -> None:
    """Append rows whose keys are under `@`."""
    data = pa.RecordBatch.from_pylist([{n: row.get(n) for n in schema.names} for row in rows], schema=schema)
    keys = pa.array([row["@"] for row in rows], pa.binary())
    log.append([Batch(topic=topic, partition=0, keys=keys, timestamps=np.zeros(len(rows), np.int64), data=data)])


class AdminContract:
    """Runs against the log of the fixture `log`, which is empty and belongs to the test."""

    examples: ClassVar[int] = 25
    """How many ways of changing a topic are tried."""

    @pytest.fixture
    def topics(self, log: AdminLog) -> AdminLog:
        log.create([TICKS, STATE])
        return log

    def test_topics_are_listed_sorted(self, log: AdminLog) -> None:
        assert log.topics() == []
        log.create([TICKS, STATE])
        assert log.topics() == ["t.state", "t.ticks"]

    @pytest.mark.parametrize("spec", [TICKS, STATE])
    def test_records_are_read_in_the_new_columns(self, topics: AdminLog, spec: TopicSpec) -> None:
        topics.append([batch(spec.name, [("a", 1), ("b", 2)])])
        topics.alter(replace(spec, schema=WIDER))
        row: dict[str, Any] = {"@": b"c", "n": "new", "s": "c", "p": None, "x": 3, "l": ["q"]}
        put(topics, spec.name, WIDER, [row])
        before = [{"@": k.encode(), "n": None, "s": k, "p": None, "x": x, "l": None} for k, x in [("a", 1), ("b", 2)]]
        assert rows_of(topics, spec.name) == [*before, row]
        found = topics.read(spec.name, 0, 0)
        assert found is not None
        assert found.data.schema.equals(WIDER)
        assert topics.describe(spec.name).spec.schema.equals(WIDER)

    def test_the_view_has_the_new_columns(self, topics: AdminLog) -> None:
        topics.append([batch("t.state", [("", 0), ("a", 1), ("b", 2)])])
        topics.append([batch("t.state", [("b", 0)], dead=[True])])
        topics.alter(replace(STATE, schema=WIDER))
        assert topics.view("t.state").data.schema.equals(WIDER)
        assert [(r["@"], r["x"], r["n"]) for r in viewed(topics, "t.state")] == [(b"", 0, None), (b"a", 1, None)]
        put(topics, "t.state", WIDER, [{"@": b"a", "x": 5, "n": "new"}])
        assert [(r["@"], r["x"], r["n"]) for r in viewed(topics, "t.state")] == [(b"", 0, None), (b"a", 5, "new")]

    def test_tombstones_times_and_offsets_stay(self, topics: AdminLog) -> None:
        topics.append([batch("t.ticks", [("a", 1), ("b", 2)], dead=[False, True])])
        ends = topics.end_offsets("t.ticks")
        topics.alter(replace(TICKS, schema=NARROW))
        found = topics.read("t.ticks", 0, 1)
        assert found is not None
        assert (found.base_offset, found.timestamps.tolist(), found.keys.to_pylist()) == (1, [20], [b"b"])
        assert found.tombstones is not None
        assert found.tombstones.tolist() == [True]
        assert topics.end_offsets("t.ticks") == ends

    def test_batches_of_before_are_refused_afterwards(self, topics: AdminLog) -> None:
        topics.alter(replace(TICKS, schema=NARROW))
        with pytest.raises(LogError, match="has the columns x, s"):
            topics.append([batch("t.ticks", [("a", 1)])])
        assert topics.end_offsets("t.ticks") == {0: 0, 1: 0}

    @pytest.mark.parametrize("spec", [TICKS, STATE])
    def test_a_column_that_comes_back_is_a_new_one(self, topics: AdminLog, spec: TopicSpec) -> None:
        topics.append([batch(spec.name, [("a", 1)])])
        topics.alter(replace(spec, schema=NARROW))
        topics.alter(replace(spec, schema=pa.schema({"s": TEXT, "x": pa.string()})))
        put(topics, spec.name, pa.schema({"s": TEXT, "x": pa.string()}), [{"@": b"b", "s": "b", "x": "text"}])
        wanted: list[dict[str, Any]] = [{"@": b"a", "s": "a", "x": None}, {"@": b"b", "s": "b", "x": "text"}]
        assert rows_of(topics, spec.name) == wanted
        topics.alter(replace(spec, schema=NARROW))
        topics.alter(spec)
        assert rows_of(topics, spec.name) == [{"@": r["@"], "x": None, "s": r["s"]} for r in wanted]
        if spec is STATE:
            assert viewed(topics, spec.name) == rows_of(topics, spec.name)

    @pytest.mark.parametrize(
        ("changed", "said"),
        [
            ({"partitions": 3}, "partitions is 2, not 3"),
            ({"cleanup": "compact"}, "cleanup is 'delete', not 'compact'"),
            ({"schema": pa.schema({"x": pa.float64(), "s": TEXT})}, "x is int64, not double"),
            ({"schema": pa.schema({"new": TEXT, "x": pa.decimal64(18, 5)})}, r"x is int64, not decimal64\(18, 5\)"),
            ({"schema": pa.schema({"s": pa.string()})}, "s is dictionary.* not string"),
        ],
    )
    def test_what_must_stay_is_refused_and_nothing_changed(
        self, topics: AdminLog, changed: dict[str, Any], said: str
    ) -> None:
        topics.append([batch("t.ticks", [("a", 1)])])
        with pytest.raises(LogError, match=said) as caught:
            topics.alter(replace(TICKS, **changed))
        assert "new topic" in caught.value.hint
        assert topics.describe("t.ticks").spec == TICKS
        assert xs_of(topics, "t.ticks") == [1]

    def test_another_precision_of_a_decimal_is_another_type(self, log: AdminLog) -> None:
        spec = TopicSpec(name="t.p", schema=pa.schema({"p": pa.decimal64(18, 5)}))
        log.create([spec])
        for kind in (pa.decimal64(18, 4), pa.decimal64(17, 5)):
            with pytest.raises(LogError, match="p is decimal64"):
                log.alter(replace(spec, schema=pa.schema({"p": kind})))

    def test_retention_and_notes_may_change(self, topics: AdminLog) -> None:
        spec = replace(TICKS, schema=VALUE.with_metadata({"entity": "Rate"}), retention_ms=5)
        topics.alter(spec)
        found = topics.describe("t.ticks").spec
        assert (found, found.schema.metadata) == (spec, {b"entity": b"Rate"})
        assert topics.create([spec]) == []

    def test_a_topic_that_is_not_there_cannot_be_altered(self, log: AdminLog) -> None:
        with pytest.raises(UnknownTopicError, match=r"t\.ticks"):
            log.alter(TICKS)

    def test_a_deleted_topic_is_unknown_and_others_stay(self, topics: AdminLog) -> None:
        topics.append([batch("t.ticks", [("a", 1)]), batch("t.state", [("a", 2)])])
        topics.delete(["t.ticks", "t.never", "t.ticks"])
        assert topics.topics() == ["t.state"]
        for call in (topics.describe, topics.end_offsets, lambda name: topics.read(name, 0, 0)):
            with pytest.raises(UnknownTopicError):
                call("t.ticks")
        with pytest.raises(UnknownTopicError):
            topics.append([batch("t.state", [("b", 3)]), batch("t.ticks", [("a", 1)])])
        assert viewed(topics, "t.state") == [{"@": b"a", "x": 2, "s": "a"}]

    @pytest.mark.parametrize("spec", [TICKS, STATE])
    def test_a_topic_made_again_is_empty_and_starts_at_0(self, topics: AdminLog, spec: TopicSpec) -> None:
        topics.append([batch(spec.name, [("a", 1)])])
        topics.delete([spec.name])
        again = replace(spec, schema=WIDER, partitions=4)
        assert topics.create([again]) == [spec.name]
        assert topics.end_offsets(spec.name) == dict.fromkeys(range(4), 0)
        assert topics.read(spec.name, 0, 0) is None
        put(topics, spec.name, WIDER, [{"@": b"z", "x": 9}])
        assert [r["x"] for r in rows_of(topics, spec.name)] == [9]
        if spec is STATE:
            assert [r["@"] for r in viewed(topics, spec.name)] == [b"z"]

    def test_any_order_of_changes_keeps_what_stayed_all_along(self, log: AdminLog) -> None:
        @settings(max_examples=self.examples)
        @given(steps=st.lists(st.tuples(COLUMNS, st.lists(st.sampled_from([b"", b"a", b"b"]), max_size=3)), max_size=6))
        def check(steps: list[tuple[list[str], list[bytes]]]) -> None:
            log.delete(["t.any"])
            log.create([TopicSpec(name="t.any", cleanup="compact", schema=pa.schema({}))])
            rows: list[dict[str, Any]] = []
            for names, keys in steps:
                schema = pa.schema({name: TYPES[name] for name in names})
                log.alter(TopicSpec(name="t.any", cleanup="compact", schema=schema))
                added = [{"@": key, **{name: VALUES[name] for name in names}} for key in keys]
                put(log, "t.any", schema, added)
                rows = [{"@": row["@"], **{name: row.get(name) for name in names}} for row in [*rows, *added]]
                assert rows_of(log, "t.any") == rows
                newest = {row["@"]: row for row in rows}
                assert viewed(log, "t.any") == [newest[key] for key in sorted(newest)]

        check()
