from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st
from tests.contract.log_contract import TICKS
from tests.unit.log.kafka.support import TOPIC, Schemas, framed

from ashioto.log.kafka.blocks import NO_KEY, Block, block_of
from ashioto.log.kafka.read import Fetched
from ashioto.log.kafka.values import Values

if TYPE_CHECKING:
    from ashioto.schema.registry import SchemaRegistry


def values() -> Values:
    return Values(cast("SchemaRegistry", Schemas()))


def fetched(offsets: list[int], raw: list[bytes | None], *, stop: int, start: int = 0, **other: Any) -> Fetched:
    given_keys = other.get("keys", [str(at).encode() for at in offsets])
    return Fetched(
        start=start, stop=stop, offsets=np.array(offsets, dtype=np.int64), times=np.array(offsets, dtype=np.int64) * 10,
        keys=pa.array(given_keys, pa.binary()), values=pa.array(raw, pa.large_binary()),
    )  # fmt: skip


def walked(block: Block, max_rows: int) -> list[tuple[int, int, list[bytes]]]:
    found, at = [], block.start
    while at < block.stop:
        part = block.slice("t", 0, at, max_rows)
        assert part.base_offset == at
        assert part.next_offset >= max(at + 1, at + len(part.keys))
        assert len(part.keys) <= max_rows
        found.append((part.base_offset, part.next_offset, part.keys.to_pylist()))
        at = part.next_offset
    assert at == block.stop
    return found


@given(
    held=st.lists(st.sampled_from(["row", "gap", "dead", "bad"]), min_size=1, max_size=24),
    max_rows=st.integers(1, 6),
    start=st.integers(0, 3),
)
def test_slices_cover_a_block_and_leave_out_nothing_good(held: list[str], max_rows: int, start: int) -> None:
    raw = {"row": framed(7), "dead": None, "bad": b"\x01nonsense"}
    offsets = [start + at for at, what in enumerate(held) if what != "gap"]
    whole = fetched(
        offsets, [raw[what] for what in held if what != "gap"], start=start, stop=start + len(held)
    )  # fmt: skip
    block, bad = block_of(whole, TOPIC, values(), start=start)
    good = [start + at for at, what in enumerate(held) if what in {"row", "dead"}]
    parts = walked(block, max_rows)
    assert [int(key) for _, _, found in parts for key in found] == good
    assert all(found == [str(base + n).encode() for n in range(len(found))] for base, _, found in parts)
    assert [one.offset for one in bad] == [start + at for at, what in enumerate(held) if what == "bad"]
    every = range(start, start + len(held))
    for offset in every:
        part = block.slice("t", 0, offset, 99)
        dead = [False] * len(part.keys) if part.tombstones is None else part.tombstones.tolist()
        assert dead == [held[offset + n - start] == "dead" for n in range(len(part.keys))]


def test_what_is_bad_is_kept_as_it_came_with_the_reason() -> None:
    raw: list[bytes | None] = [framed(1), b"", b"\x05xxxxx", framed(1)[:-1], b"\x00\x00\x00\x00\x63zz", framed(2)]
    _, bad = block_of(fetched(list(range(6)), raw, stop=6), TOPIC, values(), start=0)
    assert [(one.offset, one.value, one.key) for one in bad] == [(at, raw[at], str(at).encode()) for at in (1, 2, 3, 4)]
    said = [one.reason for one in bad]
    assert "fewer than 5 bytes" in said[0]
    assert "begins with the byte 5" in said[1]
    assert "schema 99" in said[3]
    assert all(said)


def test_a_record_without_a_key_is_bad() -> None:
    whole = fetched([0, 1], [framed(1), framed(2)], stop=2, keys=[None, b"k"])
    block, bad = block_of(whole, TOPIC, values(), start=0)
    assert [(one.offset, one.key, one.reason) for one in bad] == [(0, None, NO_KEY)]
    assert block.data.to_pylist() == [{"x": 2, "s": "2"}]


def test_values_of_several_schemas_stay_in_order() -> None:
    raw: list[bytes | None] = [framed(1), framed(2, old=True), None, framed(3), framed(4, old=True)]
    block, bad = block_of(fetched(list(range(5)), raw, stop=5), TOPIC, values(), start=0)
    assert not bad
    assert block.data.column("x").to_pylist() == [1, 2, None, 3, 4]
    assert block.data.column("s").to_pylist() == ["1", None, None, "3", None]
    assert block.data.schema.equals(TICKS.schema)


def test_rows_go_to_bytes_and_back() -> None:
    data = pa.RecordBatch.from_pydict({"x": [1, None], "s": pa.array(["a", None]).dictionary_encode()})
    made = values().encode(TOPIC, pa.RecordBatch.from_arrays(data.columns, schema=TICKS.schema))
    assert all(value[:5] == b"\x00\x00\x00\x00\x01" for value in made.to_pylist())
    assert values().decode(TOPIC, made).data.to_pylist() == data.to_pylist()
