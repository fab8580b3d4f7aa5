from __future__ import annotations

from itertools import product

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ashioto.schema.avrokernel import is_text

EDGES = [0x00, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0, 0xFF]
PIECES = st.sampled_from(["a", "é", "€", "😀", "\U0010ffff", "\ud7ff", "\ue000"]).map(str.encode)


def decodes(value: bytes) -> bool:
    try:
        value.decode()
    except UnicodeDecodeError:
        return False
    return True


def test_every_pair_of_bytes_is_text_where_python_says_so() -> None:
    pairs = np.array([*product(range(256), repeat=2)], dtype=np.uint8)
    for pair in pairs:
        assert is_text(pair, 0, 2) is decodes(pair.tobytes()), pair


def test_every_edge_of_longer_letters_is_text_where_python_says_so() -> None:
    letters = [bytes([lead, *rest]) for lead in range(0xE0, 256) for rest in product(EDGES, repeat=2)]
    letters += [bytes([lead, *rest]) for lead in range(0xF0, 256) for rest in product(EDGES, repeat=3)]
    for letter in letters:
        assert is_text(np.frombuffer(letter, np.uint8), 0, len(letter)) is decodes(letter), letter


@given(st.lists(PIECES | st.binary(max_size=2), min_size=1), st.data())
def test_what_stands_behind_text_does_not_complete_it(pieces: list[bytes], data: st.DataObject) -> None:
    whole = b"".join(pieces)
    start = data.draw(st.integers(0, len(whole)))
    stop = data.draw(st.integers(start, len(whole)))
    assert is_text(np.frombuffer(whole, np.uint8), start, stop) is decodes(whole[start:stop])
