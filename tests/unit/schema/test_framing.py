from __future__ import annotations

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support_avro import joined

from ashioto.errors import SchemaError
from ashioto.schema.framing import PREFIX_BYTES, frame_prefix, split_frames

IDS = st.sampled_from([0, 1, 258, 2**31 - 1, 2**32 - 1])


def expected(value: bytes) -> int | str:
    if len(value) < PREFIX_BYTES:
        return "the value has fewer than 5 bytes, so it names no schema"
    if value[0]:
        return f"the value begins with the byte {value[0]}, not 0, so it names no schema"
    return int(struct.unpack(">I", value[1:5])[0])


@given(
    st.lists(st.binary(max_size=9) | st.builds(lambda n, v: frame_prefix(n) + v, IDS, st.binary(max_size=3))),
    st.binary(max_size=3),
)
def test_every_value_is_in_one_group_or_has_a_reason(values: list[bytes], gap: bytes) -> None:
    found = split_frames(*joined(values, gaps=[gap]))
    said = dict(found.reasons) | {int(row): number for number, rows in found.rows.items() for row in rows}
    assert said == {n: expected(value) for n, value in enumerate(values)}
    assert [*found.reasons] == sorted(found.reasons)
    assert all((np.diff(rows) > 0).all() for rows in found.rows.values())


def test_values_outside_the_buffer_have_a_reason() -> None:
    starts, stops = np.array([-6, 3, 0, 0]), np.array([-1, 99, -1, 6])
    found = split_frames(np.zeros(6, np.uint8), starts, stops)
    assert found.reasons == dict.fromkeys(range(3), "the value lies outside the buffer")
    assert found.rows[0].tolist() == [3]


@given(IDS)
def test_a_prefix_names_its_schema(number: int) -> None:
    assert frame_prefix(number) == b"\x00" + number.to_bytes(4, "big")


@pytest.mark.parametrize("number", [-1, 2**32])
def test_a_number_must_fit(number: int) -> None:
    with pytest.raises(SchemaError, match=str(number)):
        frame_prefix(number)
