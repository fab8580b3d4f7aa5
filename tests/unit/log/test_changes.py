from __future__ import annotations

from dataclasses import replace

import pyarrow as pa
import pytest

from ashioto.errors import LogError
from ashioto.log.base import TopicSpec
from ashioto.log.changes import check_alter, check_lease, known_lease, same_spec
from ashioto.log.leases import Holder, Lease

SPEC = TopicSpec(name="t", schema=pa.schema({"x": pa.int64(), "y": pa.string()}))
LEASE = Lease(name="hb", epoch=5, holder=Holder(name="a"), expires_ms=9)


@pytest.mark.parametrize("columns", [{}, {"y": pa.string()}, {"z": pa.int64(), "y": pa.string(), "x": pa.int64()}])
def test_columns_may_come_go_and_move(columns: dict[str, pa.DataType]) -> None:
    check_alter(SPEC, replace(SPEC, schema=pa.schema(columns), retention_ms=5))


def test_all_that_differs_is_said_at_once() -> None:
    schema = pa.schema({"x": pa.int32(), "y": pa.int64()})
    with pytest.raises(LogError) as caught:
        check_alter(SPEC, replace(SPEC, partitions=2, cleanup="compact", schema=schema))
    assert caught.value.message == (
        "the topic t cannot be changed: partitions is 1, not 2 and cleanup is 'delete', not 'compact'"
        " and x is int64, not int32 and y is string, not int64"
    )


def test_notes_in_a_schema_make_another_declaration() -> None:
    noted = replace(SPEC, schema=SPEC.schema.with_metadata({"entity": "Rate"}))
    assert same_spec(SPEC, replace(SPEC))
    assert not same_spec(SPEC, noted)
    assert same_spec(noted, replace(noted))


@pytest.mark.parametrize(
    ("lease", "epoch", "known"),
    [
        (None, None, None),
        (LEASE, None, LEASE),
        (LEASE, 4, LEASE),
        (LEASE, 5, LEASE),
        (LEASE, 6, Lease(name="hb", epoch=6, holder=None, expires_ms=0)),
        (None, 6, Lease(name="hb", epoch=6, holder=None, expires_ms=0)),
    ],
)
def test_a_newer_writer_than_the_holder_makes_the_lease_nobodys(
    lease: Lease | None, epoch: int | None, known: Lease | None
) -> None:
    assert known_lease("hb", lease, epoch) == known


def test_a_first_lease_may_have_any_epoch_but_no_other_name() -> None:
    check_lease("hb", None, LEASE)
    check_lease("hb", LEASE, LEASE)
    with pytest.raises(LogError, match="its epoch is none"):
        check_lease("other", None, LEASE)
