from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from ashioto.log.base import Batch, Slice
from ashioto.log.payload import decode_batch, encode_batch
from ashioto.log.records import concat_slices, cut, newest


def piece(base: int, rows: int, *, deleted: bool = False, coded: bool = False) -> Slice:
    keys = pa.array([str(at).encode() for at in range(base, base + rows)], pa.binary())
    return Slice(
        topic="t",
        partition=0,
        base_offset=base,
        next_offset=base + rows,
        keys=keys.dictionary_encode() if coded else keys,
        timestamps=np.arange(base, base + rows),
        data=pa.RecordBatch.from_pydict({"x": pa.array(range(base, base + rows), pa.int64())}),
        tombstones=np.ones(rows, np.bool_) if deleted else None,
    )


@given(keys=st.lists(st.sampled_from([b"a", b"b", b"c", b""]), max_size=20), coded=st.booleans())
def test_newest_is_the_last_row_of_each_key(keys: list[bytes], *, coded: bool) -> None:
    column = pa.array(keys, pa.binary())
    found, rows = newest(column.dictionary_encode() if coded else column)
    assert dict(zip(found, rows.tolist(), strict=True)) == {key: at for at, key in enumerate(keys)}


@given(
    sizes=st.lists(st.tuples(st.integers(1, 4), st.booleans(), st.booleans()), min_size=1, max_size=5),
    max_rows=st.integers(1, 25),
)
def test_slices_join_to_one(sizes: list[tuple[int, bool, bool]], max_rows: int) -> None:
    parts: list[Slice] = []
    for rows, deleted, coded in sizes:
        base = parts[-1].base_offset + len(parts[-1].keys) if parts else 3
        parts.append(piece(base, rows, deleted=deleted, coded=coded))
    joined = concat_slices(parts, max_rows)
    wanted = [bool(deleted) for rows, deleted, _ in sizes for _ in range(rows)][:max_rows]
    assert (joined.base_offset, joined.next_offset) == (3, 3 + len(wanted))
    assert joined.data.column("x").to_pylist() == list(range(3, 3 + len(wanted)))
    assert joined.keys.to_pylist() == [str(at).encode() for at in range(3, 3 + len(wanted))]
    assert joined.timestamps.tolist() == list(range(3, 3 + len(wanted)))
    assert (joined.tombstones.tolist() if joined.tombstones is not None else [False] * len(wanted)) == wanted


def test_a_cut_has_no_tombstones_when_none_is_left() -> None:
    part = piece(0, 3)
    marked = Slice(
        topic="t", partition=0, base_offset=0, next_offset=3, keys=part.keys, timestamps=part.timestamps,
        data=part.data, tombstones=np.array([True, False, False]),
    )  # fmt: skip
    assert cut(marked, 1, 2).tombstones is None
    assert cut(marked, 1, 2).base_offset == 1


def test_a_cut_covers_what_stands_behind_its_last_record() -> None:
    part = replace(piece(5, 3), next_offset=20)
    assert [(p.base_offset, p.next_offset) for p in (cut(part, 1, 1), cut(part, 1, 2), cut(part, 0, 9))] == [
        (6, 7),
        (6, 20),
        (5, 20),
    ]
    joined = concat_slices([piece(2, 3), part], 4), concat_slices([piece(2, 3), part], 6)
    assert [(p.base_offset, p.next_offset) for p in joined] == [(2, 6), (2, 20)]


@given(rows=st.integers(1, 5), deleted=st.booleans(), coded=st.booleans())
def test_stored_batches_come_back(rows: int, *, deleted: bool, coded: bool) -> None:
    part = piece(7, rows, deleted=deleted, coded=coded)
    batch = Batch(
        topic="t", partition=0, keys=part.keys, timestamps=part.timestamps, data=part.data, tombstones=part.tombstones
    )
    back = decode_batch(encode_batch(batch), topic="t", partition=0, base_offset=7, schema=part.data.schema)
    assert back.keys == part.keys
    assert back.data == part.data
    assert back.timestamps.tolist() == part.timestamps.tolist()
    assert (back.tombstones is None) == (not deleted)
