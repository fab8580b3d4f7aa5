from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest

from ashioto.bars.placement import PERIOD, Placement, placed
from ashioto.deploy.actual import Actual, ActualTopic
from ashioto.deploy.desired import Desired, DesiredTopic
from ashioto.deploy.topic_diff import topic_changes
from ashioto.log.base import TopicSpec

if TYPE_CHECKING:
    from ashioto.deploy.changes import TopicChange

TEXT = pa.dictionary(pa.int32(), pa.string())
RATE = TopicSpec(name="t.rate", schema=pa.schema({"symbol": TEXT, "price": pa.decimal64(18, 5)}))
BARS = TopicSpec(
    name="t.rate_bars_1m", cleanup="compact", schema=pa.schema({"symbol": TEXT, "bucket_start": pa.int64()})
)


def only(
    wanted: DesiredTopic | TopicSpec | None, there: TopicSpec | None, *, records: bool = False, allow: str = ""
) -> TopicChange:
    """Compare one topic."""
    topics = [] if wanted is None else [DesiredTopic(spec=wanted) if isinstance(wanted, TopicSpec) else wanted]
    known = [] if there is None else [ActualTopic(spec=there, has_records=records)]
    desired = Desired(contexts=("t",), topics=tuple(topics), queries=())
    (change,) = topic_changes(desired, Actual(topics=tuple(known)), [allow] if allow else [])
    return change


def with_column(spec: TopicSpec, name: str, kind: pa.DataType) -> TopicSpec:
    return replace(spec, schema=spec.schema.append(pa.field(name, kind)))


def test_what_is_not_there_is_created() -> None:
    change = only(RATE, None)
    assert (change.action, change.gravity, change.spec) == ("create", "in place", RATE)


def test_what_is_as_declared_is_kept() -> None:
    noted = replace(RATE, schema=RATE.schema.with_metadata({"note": "x"}))
    for there in (RATE, noted):
        change = only(RATE, there, records=True)
        assert (change.action, change.gravity, change.reason) == ("keep", "no-op", "")


@pytest.mark.parametrize(
    ("wanted", "reason"),
    [
        (with_column(RATE, "size", pa.int64()), "adds size"),
        (replace(RATE, schema=RATE.schema.remove(1)), "drops price"),
        (
            replace(with_column(RATE, "size", pa.int64()), schema=pa.schema({"symbol": TEXT, "size": pa.int64()})),
            "adds size; drops price",
        ),
        (replace(RATE, schema=pa.schema([RATE.schema.field(1), RATE.schema.field(0)])), "puts the columns in another"),
        (replace(RATE, retention_ms=7_200_000), "keeps records for 2 h, not for ever"),
    ],
)
@pytest.mark.parametrize("records", [True, False])
def test_columns_and_retention_change_in_place(wanted: TopicSpec, reason: str, *, records: bool) -> None:
    change = only(wanted, RATE, records=records)
    assert (change.action, change.gravity, change.spec) == ("alter", "in place", wanted)
    assert change.reason.startswith(reason)


@pytest.mark.parametrize(
    ("wanted", "reason", "hint"),
    [
        (replace(RATE, partitions=4), "has partitions = 1, not 4", ""),
        (replace(RATE, cleanup="compact"), "has cleanup = delete, not compact", ""),
        (
            replace(RATE, schema=pa.schema({"symbol": TEXT, "price": pa.float64()})),
            "price is decimal64(18, 5), not double",
            "rename price, or ",
        ),
        (
            replace(RATE, schema=pa.schema({"symbol": pa.int64(), "price": pa.decimal64(18, 5)})),
            "symbol is string, not int64",
            "rename symbol, or ",
        ),
    ],
)
@pytest.mark.parametrize("records", [True, False])
def test_types_partitions_and_cleanup_are_blocked(wanted: TopicSpec, reason: str, hint: str, *, records: bool) -> None:
    change = only(wanted, RATE, records=records)
    assert (change.action, change.gravity, change.reason) == ("recreate", "blocked", reason)
    assert change.hint == f"{hint}--allow-delete t.rate deletes it and makes it anew: all its records are lost"


def test_a_blocked_topic_that_may_be_deleted_is_made_anew() -> None:
    change = only(replace(RATE, partitions=4), RATE, records=True, allow="t.rate")
    assert (change.action, change.gravity) == ("recreate", "replace")
    assert change.reason == "has partitions = 1, not 4; all its records are lost"
    assert only(replace(RATE, partitions=4), RATE, allow="t.rate").reason.endswith("it is empty")
    assert only(RATE, RATE, records=True, allow="t.rate").action == "keep"


def test_all_obstacles_are_told_at_once() -> None:
    wanted = replace(RATE, partitions=2, schema=pa.schema({"symbol": pa.int64(), "price": pa.float64()}))
    change = only(wanted, RATE)
    assert change.reason.count(";") == 2
    assert change.hint.startswith("rename symbol, price, or --allow-delete")


def test_columns_that_change_alike_are_told_together() -> None:
    known, wanted = (
        replace(RATE, schema=pa.schema([("a", kind), ("b", kind), ("c", pa.int64())]))
        for kind in (pa.int64(), pa.float64())
    )
    change = only(wanted, known)
    assert change.reason == "a, b are int64, not double"
    assert change.hint.startswith("rename a, b, or ")


def test_a_required_column_needs_a_default_once_there_are_records() -> None:
    wanted = DesiredTopic(spec=with_column(RATE, "size", pa.int64()), required=("symbol", "price", "size"))
    change = only(wanted, RATE, records=True)
    assert (change.gravity, change.reason) == ("blocked", "size is new, and there are records without it")
    assert change.hint.startswith("give size a default, or --allow-delete t.rate")
    assert only(wanted, RATE).action == "alter"
    assert only(replace(wanted, required=("symbol",)), RATE, records=True).action == "alter"


def test_bars_whose_key_columns_change_are_blocked_once_there_are_bars() -> None:
    schema = pa.schema({"broker": TEXT, "symbol": TEXT, "bucket_start": pa.int64()})
    wanted = DesiredTopic(spec=replace(BARS, schema=schema), behind_keys="bucket_start")
    change = only(wanted, BARS, records=True)
    assert (change.gravity, change.reason) == ("blocked", "its records are kept by symbol, not by broker, symbol")
    assert only(wanted, BARS).action == "alter"
    more = DesiredTopic(spec=with_column(BARS, "close", pa.int64()), behind_keys="bucket_start")
    assert only(more, BARS, records=True).action == "alter"


def test_bars_that_another_engine_has_placed_are_blocked_once_there_are_bars() -> None:
    here = replace(BARS, schema=placed(noted(BARS.schema), "series"))
    there = replace(BARS, schema=placed(noted(BARS.schema), "record"))
    cases: list[tuple[Placement, TopicSpec, str]] = [
        ("record", here, "the key of their series"),
        ("series", there, "their whole key"),
    ]
    for wanted, known, said in cases:
        declared = DesiredTopic(spec=BARS, placement=wanted)
        change = only(declared, known, records=True)
        assert change.gravity == "blocked"
        assert change.reason == f"its bars are placed by {said}, and this engine does it otherwise"
        assert change.hint.startswith("--allow-delete t.rate_bars_1m")
        assert only(declared, known, records=True, allow=BARS.name).action == "recreate"
        assert only(declared, known).action == "alter"
    kept: list[tuple[Placement, TopicSpec]] = [("series", here), ("record", there), ("record", BARS)]
    for wanted, known in kept:
        assert only(DesiredTopic(spec=BARS, placement=wanted), known, records=True).action == "keep"


def noted(schema: pa.Schema) -> pa.Schema:
    return schema.with_metadata({PERIOD: b"1m"})


def test_nobody_is_told_to_rename_a_hidden_column() -> None:
    known, wanted = (with_column(BARS, "__sum_0", kind) for kind in (pa.int64(), pa.float64()))
    assert only(wanted, known).hint.startswith("--allow-delete t.rate_bars_1m deletes it")


def test_topics_of_ashioto_itself_are_never_to_be_deleted() -> None:
    own = TopicSpec(name="rc.dlq", schema=RATE.schema)
    assert "allow-delete" not in only(replace(own, partitions=2), own).hint
    assert topic_changes(Desired(contexts=(), topics=(), queries=()), Actual(topics=(
        ActualTopic(spec=own, has_records=True),)), []) == []  # fmt: skip


def test_what_is_no_longer_declared_is_kept_unless_it_may_be_deleted() -> None:
    change = only(None, RATE, records=True)
    assert (change.action, change.gravity, change.reason) == ("keep", "no-op", "no longer declared; kept")
    assert change.hint == "--allow-delete t.rate deletes it"
    change = only(None, RATE, records=True, allow="t.rate")
    assert (change.action, change.gravity) == ("delete", "replace")


def test_what_is_not_there_need_not_be_deleted() -> None:
    change = only(None, None, allow="t.old")
    assert (change.object, change.gravity, change.reason) == (
        "t.old",
        "no-op",
        "does not exist, so it is not deleted",
    )
