from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ashioto.files.decimals import scale_of, scaled

WIDE = Context(prec=100)
LIMIT = 10**18


def values(array: pa.Array, scale: int) -> list[int | str | None]:
    """Scaled integers, the reason where a row is bad, None where it is null."""
    found = scaled(array, scale)
    assert found.values.type == pa.decimal64(18, scale)
    out: list[Any] = [int(v.scaleb(scale, WIDE)) for v in found.values.to_pylist()]
    for reason, mask in found.bad:
        for row in np.flatnonzero(mask).tolist():
            out[row] = reason
    for row in [] if found.null is None else np.flatnonzero(found.null).tolist():
        out[row] = None
    return out


decimals = st.builds(
    lambda units, digits: Decimal(units).scaleb(-digits, WIDE),
    st.one_of(st.integers(-(10**10), 10**10), st.integers(-(10**15), 10**15)),
    st.integers(0, 9),
)


def expected(value: Decimal, scale: int) -> int | str:
    whole = int(value.scaleb(scale, WIDE).to_integral_value(ROUND_HALF_EVEN, WIDE))
    return whole if abs(whole) < LIMIT else f"is too large for the scale {scale}"


@settings(max_examples=100, deadline=None)
@given(st.lists(decimals, max_size=30), st.integers(0, 9), st.data())
def test_every_layout_says_the_same_number(numbers: list[Decimal], more: int, data: st.DataObject) -> None:
    least = max((max(0, -int(n.as_tuple().exponent)) for n in numbers), default=0)
    scale = min(least + more, 18)
    wanted = [expected(n, scale) for n in numbers]
    texts = [data.draw(st.sampled_from([f"{n:f}", f" {n:f} ", f"{n:E}"])) for n in numbers]
    layouts = {
        "double": pa.array([float(n) for n in numbers], pa.float64()),
        "decimal": pa.array(numbers, pa.decimal128(38, least)),
        "wide": pa.array(numbers, pa.decimal256(76, least)),
        "text": pa.array(texts, pa.string()),
        "large text": pa.array(texts, pa.large_string()),
        "dictionary": pa.array(texts, pa.string()).dictionary_encode(),
    }
    assert {name: values(array, scale) for name, array in layouts.items()} == dict.fromkeys(layouts, wanted)


@settings(max_examples=100, deadline=None)
@given(st.lists(decimals, min_size=1, max_size=30), st.integers(0, 8))
def test_what_has_more_digits_is_rounded_to_even_and_counted(numbers: list[Decimal], scale: int) -> None:
    exact = pa.array(numbers, pa.decimal128(38, 9))
    assert values(exact, scale) == [expected(n, scale) for n in numbers]
    longer = [n for n in numbers if n.scaleb(scale, WIDE) % 1 and isinstance(expected(n, scale), int)]
    assert scaled(exact, scale).rounded == len(longer)


@pytest.mark.parametrize(
    "kind", [pa.int8(), pa.int32(), pa.int64(), pa.uint64(), pa.decimal32(5, 0), pa.decimal64(9, 0)]
)
def test_whole_numbers_are_scaled(kind: pa.DataType) -> None:
    numbers = [0, 7, None, 120]
    given = [n if n is None else Decimal(n) for n in numbers] if pa.types.is_decimal(kind) else numbers
    assert values(pa.array(given, kind), 2) == [0, 700, None, 12_000]


@pytest.mark.parametrize(
    ("array", "wanted"),
    [
        (pa.array([1.5, float("nan"), float("inf"), None]), [15, "is NaN or infinite", "is NaN or infinite", None]),
        (pa.array(["1.5", "nan", "-Infinity", None]), [15, "is NaN or infinite", "is NaN or infinite", None]),
        (pa.array(["1.5", "1,5", "0x1", "", "1 2", "--1"]), [15, *["is no number"] * 5]),
        (pa.array([".5", "5.", "+1e1", "1E-1"]), [5, 50, 100, 1]),
        (pa.array([1e300, -1e18, 1e16]), [*["is too large for the scale 1"] * 2, 10**17]),
        (pa.array(["1e300", "9" * 40, "99999999999999999.9"]), [*["is too large for the scale 1"] * 2, LIMIT - 1]),
        (pa.array([2**63 - 1, -(2**63), 10**17, 10**17 - 1]), [*["is too large for the scale 1"] * 3, LIMIT - 10]),
        (pa.array([2**64 - 1, 1], pa.uint64()), ["is too large for the scale 1", 10]),
        (pa.array([Decimal(10) ** 30, None, 1], pa.decimal128(38, 2)), ["is too large for the scale 1", None, 10]),
    ],
)
def test_bad_rows_say_why(array: pa.Array, wanted: list[object]) -> None:
    assert values(array, 1) == wanted


def test_bytes_that_are_no_text_are_no_number() -> None:
    raw = pa.array([b"1.5", b"\xff\xfe"], pa.binary())
    broken = pa.StringArray.from_buffers(2, raw.buffers()[1], raw.buffers()[2])
    assert values(broken, 1) == [15, "is no number"]


def test_noise_of_arithmetic_is_not_counted_as_rounding() -> None:
    noisy = pa.array([0.1 + 0.2, 1.1 * 1.1, 2.06, 50_000.1 + 0.02])
    assert scaled(noisy, 2).rounded == 0
    assert values(noisy, 2) == [30, 121, 206, 5_000_012]
    assert scaled(pa.array([1.001, 1.01, 1.016]), 2).rounded == 2


@pytest.mark.parametrize("kind", [pa.float32(), pa.float64()])
def test_single_precision_stands_for_what_it_was_written_as(kind: pa.DataType) -> None:
    prices = pa.array([1.38727, 2.06, 8.35, 144.727], pa.float32()).cast(kind)
    assert scale_of([prices]) == 5
    assert values(prices, 5) == [138_727, 206_000, 835_000, 14_472_700]
    assert scaled(prices, 5).rounded == 0


def test_fewer_digits_in_all_are_a_tighter_limit() -> None:
    found = scaled(pa.array([99.9, 100.0]), 1, precision=3)
    assert found.values.type == pa.decimal64(3, 1)
    assert [(reason, mask.tolist()) for reason, mask in found.bad] == [("is too large for the scale 1", [False, True])]


@pytest.mark.parametrize(
    ("array", "scale"),
    [
        (pa.array([1, 2]), 0),
        (pa.array([Decimal("1.50")], pa.decimal128(10, 4)), 4),
        (pa.array([Decimal("1.50"), Decimal("50000.125")], pa.decimal128(38, 18)), 3),
        (pa.array(["1.500", "2"]), 3),
        (pa.array(["1.500", "x", "1e30", None, "1e-5"]), 5),
        (pa.array([1.5, 0.25, None, float("nan")]), 2),
        (pa.array([0.1 + 0.2]), 1),
        (pa.array([1.5, 1e30, 1.7e308]), 1),
        (pa.array([0.000012345]), 9),
        (pa.array([1 / 3]), 9),
        (pa.array([123_456_789_012.0, 1 / 3]), 6),
        (pa.array([], pa.float64()), 0),
        (pa.array([None], pa.string()), 0),
    ],
)
def test_digits_are_found(array: pa.Array, scale: int) -> None:
    assert scale_of([pa.array([1]), array]) == scale


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.builds(lambda u, d: Decimal(u).scaleb(-d), st.integers(-(10**8), 10**8), st.integers(0, 9)), min_size=1)
)
@example([Decimal("1E-7"), Decimal(92184416)])
def test_found_digits_lose_nothing(numbers: list[Decimal]) -> None:
    for array in (pa.array([float(n) for n in numbers]), pa.array([f"{n:f}" for n in numbers])):
        scale = scale_of([array])
        assert values(array, scale) == [expected(n, scale) for n in numbers]
        assert scaled(array, scale).rounded == 0
        assert all(Decimal(v).scaleb(-scale) == n for v, n in zip(values(array, scale), numbers, strict=True))  # type: ignore[arg-type]  # none is bad
