"""What every log promises; a test class per log inherits it and says how to open one."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pyarrow as pa
import pytest

from ashioto.errors import LogError, StaleEpochError, UnknownTopicError
from ashioto.log.base import Batch, Fence, TopicSpec
from ashioto.schema.arrow import rows_type

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ashioto.log.base import Log, Slice

TEXT = pa.dictionary(pa.int32(), pa.string())
VALUE = pa.schema({"x": pa.int64(), "s": TEXT})
TICKS = TopicSpec(name="t.ticks", partitions=2, schema=VALUE)
STATE = TopicSpec(name="t.state", cleanup="compact", schema=VALUE)


def batch(
    topic: str,
    rows: Sequence[tuple[str, int]],
    *,
    partition: int = 0,
    dead: Sequence[bool] | None = None,
    coded: bool = False,
) -> Batch:
    """Make a batch of (key, x); the text is the key's, the time ten times x."""
    keys = pa.array([key.encode() for key, _ in rows], pa.binary())
    xs = [x for _, x in rows]
    data = pa.RecordBatch.from_arrays(
        [pa.array(xs, pa.int64()), pa.array([key for key, _ in rows], pa.string()).dictionary_encode()], schema=VALUE
    )
    return Batch(
        topic=topic,
        partition=partition,
        keys=keys.dictionary_encode() if coded else keys,
        timestamps=np.array(xs, dtype=np.int64) * 10,
        data=data,
        tombstones=None if dead is None else np.array(dead, dtype=np.bool_),
    )


def slices_of(log: Log, topic: str, partition: int = 0, offset: int = 0, **options: Any) -> list[Slice]:
    """Return all there is to read from an offset on, and check that each slice goes on where the one before ends."""
    found: list[Slice] = []
    while (part := log.read(topic, partition, offset, **options)) is not None:
        assert part.base_offset == offset or (part.base_offset > offset and not found)  # the start may be gone
        assert part.next_offset >= max(part.base_offset + len(part.keys), offset + 1)
        assert len(part.keys) == len(part.timestamps) == part.data.num_rows
        found.append(part)
        offset = part.next_offset
    return found


def rows_at(log: Log, topic: str, partition: int = 0, offset: int = 0, **options: Any) -> dict[int, dict[str, Any]]:
    """Return all records from an offset on by their offsets; key, time and tombstone are under `@`, `@at`, `@dead`."""
    found: dict[int, dict[str, Any]] = {}
    for part in slices_of(log, topic, partition, offset, **options):
        dead = [False] * len(part.keys) if part.tombstones is None else part.tombstones.tolist()
        told = zip(part.keys.to_pylist(), part.timestamps.tolist(), dead, part.data.to_pylist(), strict=True)
        for at, (key, time, gone, row) in enumerate(told, part.base_offset):
            found[at] = {"@": key, "@at": time, "@dead": gone, **row}
    return found


def xs_of(log: Log, topic: str, partition: int = 0, offset: int = 0, **options: Any) -> list[int]:
    """Return the values of all records from an offset on."""
    return [row["x"] for row in rows_at(log, topic, partition, offset, **options).values()]


class LogContract:
    """Runs against the log of the fixture `log`, which is empty and belongs to the test."""

    dense: ClassVar[bool] = True
    """Whether every offset holds a record, and reads stop at `max_rows` only."""
    at_once: ClassVar[bool] = True
    """Whether readers see an append at the same moment in all its topics."""

    @pytest.fixture
    def topics(self, log: Log) -> Log:
        log.create([TICKS, STATE])
        return log

    def test_create_says_what_is_new_and_may_be_repeated(self, log: Log) -> None:
        assert log.create([TICKS]) == ["t.ticks"]
        assert log.create([TICKS, STATE, STATE]) == ["t.state"]
        assert log.create([TICKS, STATE]) == []

    @pytest.mark.parametrize(
        ("other", "said"),
        [
            (TopicSpec(name="t.ticks", partitions=3, schema=VALUE), "partitions = 2, not 3"),
            (TopicSpec(name="t.ticks", partitions=2, schema=VALUE, cleanup="compact"), "cleanup = 'delete'"),
            (TopicSpec(name="t.ticks", partitions=2, schema=pa.schema({"x": pa.int64()})), r"other columns \(s\)"),
            (TopicSpec(name="t.ticks", partitions=2, schema=pa.schema({"s": TEXT, "x": pa.int64()})), "another order"),
        ],
    )
    def test_create_refuses_another_declaration_and_makes_nothing(self, log: Log, other: TopicSpec, said: str) -> None:
        log.create([TICKS])
        with pytest.raises(LogError, match=said):
            log.create([STATE, other])
        with pytest.raises(UnknownTopicError):
            log.describe("t.state")

    def test_create_refuses_no_partitions(self, log: Log) -> None:
        with pytest.raises(LogError, match="0 partitions"):
            log.create([TopicSpec(name="t.none", partitions=0, schema=VALUE)])

    def test_describe_returns_the_declaration_and_the_offsets(self, log: Log) -> None:
        spec = TopicSpec(
            name="t.kept",
            partitions=2,
            schema=VALUE.with_metadata({"entity": "Rate"}),
            retention_ms=5,
            cleanup="delete",
        )
        log.create([spec])
        log.append([batch("t.kept", [("a", 1)], partition=1)])
        info = log.describe("t.kept")
        assert info.spec == spec
        assert info.spec.schema.metadata == {b"entity": b"Rate"}
        assert (info.start_offsets, info.end_offsets) == ({0: 0, 1: 0}, {0: 0, 1: 1})
        assert log.end_offsets("t.kept") == info.end_offsets
        written = log.end_offsets("t.kept", committed=False)
        assert all(written[partition] >= end for partition, end in info.end_offsets.items())

    def test_records_come_back_whole_in_order(self, topics: Log) -> None:
        topics.append([batch("t.ticks", [("a", 1), ("b", 2)])])
        topics.append([batch("t.ticks", [("a", 3)])])
        parts = slices_of(topics, "t.ticks")
        if self.dense:
            assert [(part.base_offset, part.next_offset) for part in parts] == [(0, 3)]
        assert {(part.topic, part.partition) for part in parts} == {("t.ticks", 0)}
        assert all(part.data.schema.equals(VALUE) and part.tombstones is None for part in parts)
        assert [(r["@"], r["@at"], r["x"], r["s"]) for r in rows_at(topics, "t.ticks").values()] == [
            (b"a", 10, 1, "a"),
            (b"b", 20, 2, "b"),
            (b"a", 30, 3, "a"),
        ]

    def test_append_says_where_each_batch_went(self, topics: Log) -> None:
        topics.append([batch("t.ticks", [("a", 0)])])
        done = topics.append(
            [
                batch("t.ticks", [("a", 1), ("a", 2)]),
                batch("t.ticks", [("b", 3)], partition=1),
                batch("t.ticks", [("a", 4)]),
            ]
        )
        assert [(d.topic, d.partition, d.base_offset, d.count) for d in done] == [
            ("t.ticks", 0, 1, 2),
            ("t.ticks", 1, 0, 1),
            ("t.ticks", 0, 3, 1),
        ]
        assert all(d.next_offset >= d.base_offset + d.count for d in done)
        if self.dense:
            assert all(d.next_offset == d.base_offset + d.count for d in done)
        assert xs_of(topics, "t.ticks") == [0, 1, 2, 4]

    def test_the_next_append_goes_where_the_one_before_says(self, topics: Log) -> None:
        done = [topics.append([batch("t.ticks", [("a", x)] * rows)])[-1] for x, rows in enumerate((2, 1, 3))]
        assert [one.next_offset for one in done] == [
            *(one.base_offset for one in done[1:]),
            topics.end_offsets("t.ticks")[0],
        ]

    def test_an_empty_batch_goes_nowhere(self, topics: Log) -> None:
        assert [d.count for d in topics.append([batch("t.ticks", []), batch("t.state", [])])] == [0, 0]
        assert topics.append([]) == []
        assert topics.read("t.ticks", 0, 0) is None
        assert topics.view("t.state").keys == []

    def test_read_starts_in_the_middle_of_a_batch(self, topics: Log) -> None:
        topics.append([batch("t.ticks", [("a", x) for x in range(5)])])
        topics.append([batch("t.ticks", [("b", x) for x in range(5, 8)])])
        found = list(rows_at(topics, "t.ticks", offset=3).values())
        assert slices_of(topics, "t.ticks", offset=3)[0].base_offset == 3
        assert [r["@"] for r in found] == [b"a", b"a", b"b", b"b", b"b"]
        assert [r["@at"] for r in found] == [30, 40, 50, 60, 70]
        assert [r["x"] for r in found] == [3, 4, 5, 6, 7]

    def test_read_returns_at_most_max_rows_and_all_in_the_end(self, topics: Log) -> None:
        for start in range(0, 20, 4):
            topics.append([batch("t.ticks", [("a", x) for x in range(start, start + 4)])])
        sizes = [len(part.keys) for part in slices_of(topics, "t.ticks", max_rows=3)]
        assert max(sizes) == 3
        if self.dense:
            assert sizes == [3, 3, 3, 3, 3, 3, 2]
        assert xs_of(topics, "t.ticks", max_rows=3) == list(range(20))

    @pytest.mark.parametrize("beyond", [0, 1, 100])
    def test_read_past_the_end_returns_none(self, topics: Log, beyond: int) -> None:
        topics.append([batch("t.ticks", [("a", 1), ("a", 2)])])
        end = topics.end_offsets("t.ticks")[0]
        assert topics.read("t.ticks", 0, end + beyond) is None
        assert topics.read("t.ticks", 1, beyond) is None
        if self.dense:
            assert end == 2

    def test_read_below_the_first_starts_at_the_first(self, topics: Log) -> None:
        topics.append([batch("t.ticks", [("a", 1), ("a", 2)])])
        found = topics.read("t.ticks", 0, -5)
        assert found is not None
        assert (found.base_offset, found.data.column("x").to_pylist()) == (0, [1, 2])

    @pytest.mark.parametrize("coded", [[True, True], [True, False], [False, True]])
    def test_keys_may_be_dictionaries(self, topics: Log, coded: list[bool]) -> None:
        for number, one in enumerate(coded):
            topics.append([batch("t.state", [("a", number), ("b", number)], coded=one)])
        assert [r["@"] for r in rows_at(topics, "t.state").values()] == [b"a", b"b", b"a", b"b"]
        assert topics.view("t.state").keys == [b"a", b"b"]

    def test_slices_of_a_large_set_keep_their_own_rows(self, topics: Log) -> None:
        whole = batch("t.ticks", [(f"k{x}", x) for x in range(1000)], coded=True)
        at = pa.array([7, 999])
        part = Batch(
            topic="t.ticks", partition=0, keys=whole.keys.take(at), timestamps=whole.timestamps[[7, 999]],
            data=whole.data.take(at),
        )  # fmt: skip
        topics.append([part])
        found = topics.read("t.ticks", 0, 0)
        assert found is not None
        assert found.keys.to_pylist() == [b"k7", b"k999"]
        assert found.data.to_pylist() == [{"x": 7, "s": "k7"}, {"x": 999, "s": "k999"}]
        assert len(found.data.column("s").dictionary) == 2

    def test_plain_text_is_taken_for_a_dictionary(self, topics: Log) -> None:
        data = pa.RecordBatch.from_pydict({"x": [1], "s": ["a"]})
        topics.append([Batch(topic="t.ticks", partition=0, keys=pa.array([b"a"]), timestamps=np.array([1]), data=data)])
        found = topics.read("t.ticks", 0, 0)
        assert found is not None
        assert found.data.schema.equals(VALUE)

    def test_tombstones_come_back(self, topics: Log) -> None:
        topics.append([batch("t.ticks", [("a", 1)]), batch("t.ticks", [("a", 2), ("b", 3)], dead=[True, False])])
        assert [r["@dead"] for r in rows_at(topics, "t.ticks").values()] == [False, True, False]

    def test_a_bad_batch_leaves_nothing_of_the_append(self, topics: Log) -> None:
        good = batch("t.ticks", [("a", 1)])
        with pytest.raises(UnknownTopicError):
            topics.append([good, batch("t.unknown", [("a", 1)])])
        with pytest.raises(LogError, match="no partition 2"):
            topics.append([good, batch("t.ticks", [("a", 1)], partition=2)])
        assert topics.end_offsets("t.ticks") == {0: 0, 1: 0}
        assert topics.read("t.ticks", 0, 0) is None

    @pytest.mark.parametrize(
        ("changed", "said"),
        [
            ({"timestamps": np.zeros(3, np.int64)}, "as many keys, times and tombstones as rows"),
            ({"tombstones": np.ones(2, np.bool_)}, "as many keys, times and tombstones as rows"),
            ({"keys": pa.array([None], pa.binary())}, "without a key"),
            ({"data": pa.RecordBatch.from_pydict({"x": [1]})}, "has the columns x"),
            ({"data": pa.RecordBatch.from_pydict({"x": [1.5], "s": ["a"]})}, "column x .* is double, not int64"),
        ],
    )
    def test_batches_that_do_not_fit_are_refused(self, topics: Log, changed: dict[str, Any], said: str) -> None:
        base = batch("t.ticks", [("a", 1)])
        given = {"keys": base.keys, "timestamps": base.timestamps, "data": base.data} | changed
        with pytest.raises(LogError, match=said):
            topics.append([Batch(topic="t.ticks", partition=0, **given)])

    def test_unknown_topics_are_named_with_the_way_out(self, log: Log) -> None:
        for call in (log.describe, log.end_offsets, log.view, lambda topic: log.read(topic, 0, 0)):
            with pytest.raises(UnknownTopicError, match=r"t\.ticks") as caught:
                call("t.ticks")
            assert "rc infra apply" in caught.value.hint
            assert "rc infra apply" in caught.value.hint

    def test_read_refuses_a_partition_that_is_not_there(self, topics: Log) -> None:
        with pytest.raises(LogError, match="no partition 2"):
            topics.read("t.ticks", 2, 0)

    def test_view_finds_the_newest_of_each_key(self, topics: Log) -> None:
        topics.append([batch("t.state", [("b", 1), ("a", 2), ("b", 3)])])
        topics.append([batch("t.state", [("c", 4), ("a", 5)])])
        page = topics.view("t.state")
        assert page.keys == [b"a", b"b", b"c"]
        newest = {row["@"]: at for at, row in rows_at(topics, "t.state").items()}
        assert page.offsets.tolist() == [newest[key] for key in page.keys]
        if self.dense:
            assert page.offsets.tolist() == [4, 2, 3]
        assert page.timestamps.tolist() == [50, 30, 40]
        assert page.data.to_pylist() == [{"x": 5, "s": "a"}, {"x": 3, "s": "b"}, {"x": 4, "s": "c"}]
        assert page.data.schema.equals(VALUE)

    @pytest.mark.parametrize(
        ("options", "expected"),
        [
            ({}, "abcde"),
            ({"start": b"b"}, "bcde"),
            ({"stop": b"d"}, "abc"),
            ({"start": b"b", "stop": b"d"}, "bc"),
            ({"start": b"bb", "stop": b"bz"}, ""),
            ({"start": b"d", "stop": b"b"}, ""),
            ({"limit": 2}, "ab"),
            ({"limit": 0}, ""),
            ({"reverse": True}, "edcba"),
            ({"reverse": True, "limit": 2}, "ed"),
            ({"reverse": True, "stop": b"d", "limit": 1}, "c"),
            ({"start": b"", "stop": b"b"}, "a"),
        ],
    )
    def test_view_keeps_to_its_range(self, topics: Log, options: dict[str, Any], expected: str) -> None:
        topics.append([batch("t.state", [(key, at) for at, key in enumerate("ecabd")])])
        page = topics.view("t.state", **options)
        assert b"".join(page.keys).decode() == expected
        assert "".join(page.data.column("s").to_pylist()) == expected
        assert len(page.offsets) == len(page.timestamps) == len(expected)

    def test_tombstones_remove_keys_from_the_view(self, topics: Log) -> None:
        topics.append([batch("t.state", [("a", 1), ("b", 2), ("c", 3)])])
        topics.append([batch("t.state", [("a", 4), ("b", 5), ("b", 6)], dead=[True, True, False])])
        topics.append([batch("t.state", [("zz", 7)], dead=[True])])
        assert [(r["s"], r["x"]) for r in topics.view("t.state").data.to_pylist()] == [("b", 6), ("c", 3)]
        topics.append([batch("t.state", [("a", 8)])])
        assert topics.view("t.state").keys == [b"a", b"b", b"c"]

    @pytest.mark.parametrize("reverse", [False, True])
    @pytest.mark.parametrize("limit", [None, 1, 7, 300])
    def test_a_view_of_many_records_is_exact(self, topics: Log, limit: int | None, *, reverse: bool) -> None:
        newest: dict[str, int] = {}
        for at in range(6):
            named = [(f"k{(at * 37 + n * 11) % 200:03}", 1000 * at + n) for n in range(100 if at < 5 else 5)]
            dead = [(at + n) % 9 == 0 for n in range(len(named))]
            topics.append([batch("t.state", named, dead=dead, coded=at % 2 == 0)])
            for (key, x), gone in zip(named, dead, strict=True):
                newest = {k: v for k, v in newest.items() if k != key} | ({} if gone else {key: x})
        wanted = sorted((key, x) for key, x in newest.items() if "k050" <= key < "k150")
        wanted = (wanted[::-1] if reverse else wanted)[:limit]
        page = topics.view("t.state", start=b"k050", stop=b"k150", limit=limit, reverse=reverse)
        assert [key.decode() for key in page.keys] == page.data.column("s").to_pylist() == [key for key, _ in wanted]
        assert page.data.column("x").to_pylist() == [x for _, x in wanted]
        assert page.timestamps.tolist() == [10 * x for _, x in wanted]

    def test_only_compact_topics_have_a_view(self, topics: Log) -> None:
        with pytest.raises(LogError, match="not compact"):
            topics.view("t.ticks")

    def test_every_type_comes_back_by_both_ways(self, log: Log) -> None:
        row = {
            "i": 1, "f": 1.5, "b": True, "s": "ü", "d": "EURUSD", "raw": b"\x00\xff", "day": date(2024, 2, 29),
            "at": datetime(2024, 2, 29, 12, tzinfo=UTC), "price": Decimal("1.23450"), "names": ["x", None, ""],
            "hours": [{"open_ms": 1, "close_ms": -(2**63)}, {"open_ms": 2, "close_ms": 3}],
        }  # fmt: skip
        schema = pa.schema(
            {
                "i": pa.int64(), "f": pa.float64(), "b": pa.bool_(), "s": pa.string(), "d": TEXT, "raw": pa.binary(),
                "day": pa.date32(), "at": pa.timestamp("ms", tz="UTC"), "price": pa.decimal64(18, 5),
                "names": pa.list_(pa.string()), "hours": rows_type(["open_ms", "close_ms"]),
            }
        )  # fmt: skip
        log.create([TopicSpec(name="t.all", cleanup="compact", schema=schema)])
        rows = [row, dict.fromkeys(row)]
        data = pa.RecordBatch.from_pylist(rows, schema=schema)
        keys = pa.array([b"a", b"b"])
        log.append([Batch(topic="t.all", partition=0, keys=keys, timestamps=np.zeros(2, np.int64), data=data)])
        found = log.read("t.all", 0, 0)
        assert found is not None
        assert found.data.to_pylist() == rows
        assert log.view("t.all").data.to_pylist() == rows

    def test_a_newer_writer_shuts_out_older_ones(self, topics: Log) -> None:
        topics.append([batch("t.state", [("a", 1)])], fence=Fence(name="engine", epoch=2))
        topics.append([batch("t.state", [("a", 2)])], fence=Fence(name="engine", epoch=2))
        topics.append([], fence=Fence(name="engine", epoch=3))
        with pytest.raises(StaleEpochError, match="engine"):
            topics.append([batch("t.state", [("a", 3)])], fence=Fence(name="engine", epoch=2))
        assert xs_of(topics, "t.state") == [1, 2]
        assert topics.view("t.state").data.column("x").to_pylist() == [2]

    def test_fences_of_other_names_do_not_matter(self, topics: Log) -> None:
        topics.append([], fence=Fence(name="engine", epoch=9))
        topics.append([batch("t.ticks", [("a", 1)])], fence=Fence(name="heartbeat", epoch=1))
        topics.append([batch("t.ticks", [("a", 2)])])
        assert xs_of(topics, "t.ticks") == [1, 2]

    def test_a_refused_append_does_not_raise_the_epoch(self, topics: Log) -> None:
        with pytest.raises(UnknownTopicError):
            topics.append([batch("t.unknown", [("a", 1)])], fence=Fence(name="engine", epoch=5))
        topics.append([batch("t.ticks", [("a", 1)])], fence=Fence(name="engine", epoch=1))
        assert xs_of(topics, "t.ticks") == [1]

    def test_threads_append_at_once_without_gaps(self, topics: Log) -> None:
        def work(thread: int) -> list[tuple[int, int]]:
            done = [topics.append([batch("t.ticks", [(f"k{thread}", thread), ("z", i)])])[0] for i in range(20)]
            return [(d.base_offset, thread) for d in done]

        with ThreadPoolExecutor(4) as pool:
            places = sorted(place for part in pool.map(work, range(4)) for place in part)
        if self.dense:
            assert [at for at, _ in places] == list(range(0, 160, 2))
        found = rows_at(topics, "t.ticks")
        assert len(found) == 160
        assert [found[at]["x"] for at, _ in places] == [thread for _, thread in places]
        assert xs_of(topics, "t.ticks")[::2] == [thread for _, thread in places]

    def test_an_append_is_seen_at_once_in_all_its_topics(self, topics: Log) -> None:
        def write() -> None:
            for x in range(60):
                topics.append([batch("t.ticks", [("a", x)]), batch("t.state", [("a", x)])])

        with ThreadPoolExecutor(1) as pool:
            writing = pool.submit(write)
            while not writing.done():
                ticks = topics.end_offsets("t.ticks")[0]
                assert topics.end_offsets("t.state")[0] >= ticks or not self.at_once
                page = topics.view("t.state")
                seen = page.offsets[0] + 1 if len(page.offsets) else 0
                assert topics.end_offsets("t.ticks")[0] >= seen or not self.at_once
            writing.result()
        assert topics.end_offsets("t.ticks")[0] == topics.end_offsets("t.state")[0]
        assert xs_of(topics, "t.ticks") == xs_of(topics, "t.state") == list(range(60))
        if self.dense:
            assert topics.end_offsets("t.ticks")[0] == 60

    def test_what_was_read_does_not_change_later(self, topics: Log) -> None:
        times = np.array([1], dtype=np.int64)
        first = batch("t.ticks", [("a", 1)])
        topics.append([Batch(topic="t.ticks", partition=0, keys=first.keys, timestamps=times, data=first.data)])
        times[0] = 99
        found = topics.read("t.ticks", 0, 0)
        assert found is not None
        topics.append([batch("t.ticks", [("a", 2)])])
        assert found.timestamps.tolist() == [1]
        assert found.data.num_rows == 1
