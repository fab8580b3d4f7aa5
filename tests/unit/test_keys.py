from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ashioto import keys
from ashioto.errors import InputError

if TYPE_CHECKING:
    from ashioto.keys import Part

VECTORS = json.loads((Path(__file__).parent.parent / "golden" / "keys.json").read_text(encoding="utf-8"))
# Half of the text is made of what separators and escapes are made of.
TEXT = st.text(st.sampled_from("\\\x1fu001fa") | st.characters(exclude_categories=["Cs"]), max_size=8)


def part(value: Any) -> Part:
    return datetime.fromisoformat(value["time"]) if isinstance(value, dict) else cast("Part", value)


@pytest.mark.parametrize("vector", VECTORS, ids=lambda v: v["hex"])
def test_golden_vectors_keep_their_bytes(vector: dict[str, Any]) -> None:
    assert keys.encode([part(p) for p in vector["parts"]]).hex() == vector["hex"]


def test_golden_vectors_are_all_different() -> None:
    assert len({v["hex"] for v in VECTORS}) == len(VECTORS)


@given(st.lists(TEXT))
@example(["\\u001f"])
@example(["\\", "u001f"])
def test_text_round_trips(parts: list[str]) -> None:
    assert keys.decode(keys.encode(parts)) == parts


@given(st.lists(TEXT), st.lists(TEXT))
@example(["a\x1fb"], ["a", "b"])
@example(["\\\x1f"], ["\\\\u001f"])
@example([], [""])
def test_two_lists_of_text_never_share_a_key(left: list[str], right: list[str]) -> None:
    assert (keys.encode(left) == keys.encode(right)) == (left == right)


@given(st.lists(TEXT, max_size=4))
def test_a_part_never_adds_a_separator(parts: list[str]) -> None:
    assert keys.encode(parts).count(b"\x1f") == len(parts)


@given(st.lists(st.integers()))
def test_integers_round_trip_as_text(parts: list[int]) -> None:
    assert keys.decode(keys.encode(parts)) == [str(p) for p in parts]


@given(st.integers(0, 10**13 - 1), st.integers(0, 10**13 - 1))
def test_times_sort_as_their_bytes(left: int, right: int) -> None:
    assert (keys.time_part(left) < keys.time_part(right)) == (left < right)
    assert len(keys.time_part(left)) == 13


@given(st.integers(0, 10**13 - 1), st.integers(-23, 23))
def test_a_time_has_one_key_in_every_zone(ms: int, hours: int) -> None:
    at = (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=ms)).astimezone(timezone(timedelta(hours=hours)))
    assert keys.encode([at]) == b"1\x1f" + keys.time_part(ms).encode()


@given(st.integers(0, 10**13 - 1), st.integers(0, 999))
def test_a_time_is_cut_to_the_millisecond_as_records_are(ms: int, microseconds: int) -> None:
    at = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=ms, microseconds=microseconds)
    assert keys.encode([at]) == b"1\x1f" + keys.time_part(ms).encode()


@pytest.mark.parametrize("ms", [-1, 10**13])
def test_a_time_out_of_range_is_refused(ms: int) -> None:
    with pytest.raises(InputError, match="between 1970 and 2286"):
        keys.time_part(ms)


def test_a_time_without_zone_is_refused() -> None:
    with pytest.raises(InputError, match="no time zone"):
        keys.encode([datetime(2025, 1, 1)])  # noqa: DTZ001  # that is the point


def test_half_a_character_is_refused() -> None:
    with pytest.raises(InputError, match="lone surrogate"):
        keys.encode(["FX", "\ud800"])


@pytest.mark.parametrize("wrong", [True, 1.5, None, b"x"])
def test_a_part_of_another_type_is_refused(wrong: Any) -> None:
    with pytest.raises(InputError, match="cannot be part of a key"):
        keys.encode([wrong])


@pytest.mark.parametrize(
    ("key", "message"), [(b"2\x1fFX", "version '2'"), (b"", "version ''"), (b"\xff\xfe", "is no key")]
)
def test_foreign_bytes_are_refused(key: bytes, message: str) -> None:
    with pytest.raises(InputError, match=message):
        keys.decode(key)
