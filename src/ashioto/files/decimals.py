"""Turns prices and sizes into scaled integers.

A double stands for the decimal it is written as: 1.38727 at the scale 5 is 138727, though the double lies beside it.
What has more digits than the scale is rounded to the nearest, ties to even, and counted.
"""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ashioto.files.parsed import Parsed, is_text, matching, nulls, parse, plain, reasons
from ashioto.schema.arrow import from_numpy

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ashioto.files.parsed import Floats, Ints, Mask

PRECISION: Final = 18
"""Digits a decimal can have in all."""
WIDEST: Final = 9
"""The largest scale that is found by looking at values."""

_BLOCK: Final = 1 << 15
_SAFE: Final = 2.0**49
"""Below, a double that is scaled and rounded is what was written, to the last digit."""
_SANE: Final = 1e12
"""Larger numbers are taken for mistakes, such as 1e30 for a missing price, where digits are looked for."""
_NOISE: Final = 1e-9
_ULPS: Final = 8 * np.finfo(np.float64).eps
_NUMBER: Final = r"^\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*$"
_NO_NUMBER: Final = r"^\s*[+-]?(?i:nan|inf|infinity)\s*$"
_MANY: Final = Context(prec=120)


def is_number(kind: pa.DataType) -> bool:
    """Return whether a column of this type can hold numbers, be it as text.

    >>> is_number(pa.float32()), is_number(pa.string()), is_number(pa.bool_())
    (True, True, False)
    """
    if pa.types.is_dictionary(kind):
        return is_number(kind.value_type)
    return bool(is_text(kind) or pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))


def scaled(values: pa.Array, scale: int, *, precision: int = PRECISION) -> Parsed:
    """Return numbers as decimals of a scale.

    Args:
        values: Numbers, or text that says numbers.
        scale: Digits after the point that are kept, 0 to 18.
        precision: Digits in all.

    Returns:
        decimal64 values; `rounded` counts those that had more digits.

    >>> scaled(pa.array([1.38727, float("nan")]), 5).values[0].as_py()
    Decimal('1.38727')
    """
    values, null = plain(values), nulls(values)
    if is_text(values.type):
        found = _of_text(values, scale)
    elif pa.types.is_floating(values.type):
        found = _of_floats(numbers_of(values)[0], scale)
    else:
        found = _of_exact(values, scale)
    whole = found.whole
    if precision < PRECISION and whole.shape[0] and max(int(whole.max()), -int(whole.min())) >= 10**precision:
        found.refuse(_too_large(scale), 0, np.abs(whole) >= 10**precision)
    bad = tuple((reason, mask if null is None else mask & ~null) for reason, mask in found.bad.items())
    decimals = from_numpy(whole, pa.decimal64(precision, scale))
    return Parsed(values=decimals, null=null, bad=reasons(*bad), rounded=found.rounded)


def numbers_of(values: pa.Array) -> tuple[Floats, Mask]:
    """Return numbers, or text that says numbers, as doubles, and where they are none; 0 where there is nothing.

    >>> numbers_of(pa.array(["1.5", "x"]))[1].tolist()
    [False, True]
    """
    if not is_text(values.type):
        return _doubles(values.fill_null(0) if values.null_count else values), np.zeros(len(values), dtype=np.bool_)
    return _said(values.fill_null("0") if values.null_count else values)


def scale_of(parts: Iterable[pa.Array]) -> int:
    """Return how many digits after the point numbers have.

    Decimals say it by their type, integers have none, and text is taken at its word. Doubles have as few digits as they
    can; so have decimals and text of more than `WIDEST` digits.

    >>> scale_of([pa.array([1.5, 1.25]), pa.array(["1.000"])])
    3
    """
    return max((_scale_of(plain(part)) for part in parts), default=0)


def _scale_of(values: pa.Array) -> int:
    if pa.types.is_decimal(values.type) and values.type.scale <= WIDEST:
        return max(int(values.type.scale), 0)
    if pa.types.is_integer(values.type):
        return 0
    if not is_text(values.type):
        single = pa.types.is_floating(values.type) and not pa.types.is_float64(values.type)
        return _fewest(_doubles(values.drop_null()), single=single)
    shape = pc.extract_regex(values.drop_null(), r"^\s*[+-]?\d*(?P<digits>\.?\d*)\s*$")
    digits = pc.binary_length(pc.struct_field(shape, "digits")).fill_null(WIDEST + 2).to_numpy(zero_copy_only=False) - 1
    odd = digits > WIDEST
    numbers, bad = numbers_of(values.drop_null().filter(pa.array(odd)))
    return max(0, int(digits[~odd].max(initial=0)), _fewest(numbers[~bad], single=False))


def _fewest(numbers: Floats, *, single: bool) -> int:
    numbers = numbers[np.abs(numbers) < _SANE]
    if not numbers.shape[0]:
        return 0
    single = single or bool((numbers.astype(np.float32) == numbers).all())
    most = PRECISION - int(np.ceil(np.log10(max(float(np.abs(numbers).max()), 1.0) + 1.0)))
    for scale in range(min(WIDEST, most)):
        numbers = numbers[~_is_single(numbers, scale) if single else _off(numbers * 10.0**scale)]
        if not numbers.shape[0]:
            return scale
    return min(WIDEST, most)


def _off(exact: Floats) -> Mask:
    """Return where scaled doubles lie further from an integer than their own imprecision."""
    return np.asarray(np.abs(exact - np.rint(exact)) > _NOISE + _ULPS * np.abs(exact))


def _is_single(numbers: Floats, scale: int) -> Mask:
    """Return which numbers are decimals of a scale in single precision."""
    written = np.rint(numbers * 10.0**scale) / 10.0**scale
    return np.asarray(written.astype(np.float32) == numbers)


class _Scaled:
    """Collects scaled integers and what was odd about them."""

    def __init__(self, rows: int) -> None:
        self.whole: Ints = np.empty(rows, dtype=np.int64)
        self.bad: dict[str, Mask] = {}
        self.rounded = 0

    def refuse(self, reason: str, at: int, mask: Mask) -> None:
        """Note bad rows of a block that begins at `at`."""
        if mask.any():
            whole = self.bad.setdefault(reason, np.zeros(self.whole.shape[0], dtype=np.bool_))
            whole[at : at + mask.shape[0]] |= mask


def _of_floats(numbers: Floats, scale: int, *, texts: pa.Array | None = None) -> _Scaled:
    """Scale doubles, block by block so that what is in between stays in the cache; `texts` is where they come from."""
    found, factor = _Scaled(numbers.shape[0]), 10.0**scale
    exact, whole = np.empty(_BLOCK), np.empty(_BLOCK)
    for at in range(0, numbers.shape[0], _BLOCK):
        block = numbers[at : at + _BLOCK]
        a, b = exact[: block.shape[0]], whole[: block.shape[0]]
        with np.errstate(invalid="ignore", over="ignore"):
            np.multiply(block, factor, out=a)
            np.rint(a, out=b)
            np.subtract(a, b, out=a)
            if max(a.max(), -a.min()) <= _NOISE and max(b.max(), -b.min()) < _SAFE:  # false where one is NaN
                found.whole[at : at + block.shape[0]] = b
            else:
                _odd_block(found, at, block, scale, texts)
    return found


def _odd_block(found: _Scaled, at: int, block: Floats, scale: int, texts: pa.Array | None) -> None:
    """Scale a block in which some numbers are not plain."""
    finite = np.isfinite(block)
    with np.errstate(over="ignore"):
        exact = np.where(finite, block, 0.0) * 10.0**scale
    large = np.abs(exact) >= _SAFE
    exact[large] = 0.0
    whole = found.whole[at : at + block.shape[0]]
    whole[:] = np.rint(exact)
    found.rounded += _write_singles(whole, block, np.flatnonzero(_off(exact)), scale)
    found.refuse("is NaN or infinite", at, ~finite)
    for row in np.flatnonzero(large).tolist():
        _write_exactly(found, at + row, _shortest(block[row]) if texts is None else texts[at + row].as_py(), scale)


def _shortest(number: np.float64) -> str:
    """Return the fewest digits that say a double, or a number of single precision; whole numbers are what they are."""
    single = np.float32(number)
    return str(single if single == number and number != np.rint(number) else number)


def _write_singles(whole: Ints, block: Floats, rows: Ints, scale: int) -> int:
    """Scale numbers of single precision by the fewest digits that say them; returns how many have more than fit."""
    for digits in range(scale + 1):
        if not rows.shape[0]:
            break
        fits = _is_single(block[rows], digits)
        written = rows[fits]
        whole[written] = np.rint(block[written] * 10.0**digits).astype(np.int64) * 10 ** (scale - digits)
        rows = rows[~fits]
    return int(rows.shape[0])


def _write_exactly(found: _Scaled, row: int, text: str, scale: int) -> None:
    exact = Decimal(text.strip()).scaleb(scale, _MANY)
    whole = exact.to_integral_value(ROUND_HALF_EVEN, _MANY)
    if abs(whole) < 10**PRECISION:
        found.whole[row] = int(whole)
        found.rounded += exact != whole
    else:
        found.refuse(_too_large(scale), row, np.ones(1, dtype=np.bool_))


def _of_exact(values: pa.Array, scale: int) -> _Scaled:
    """Scale integers and decimals."""
    found = _Scaled(len(values))
    narrow = _narrow(values)
    if narrow is None:
        return _of_wide(found, values, scale)
    units, digits = narrow
    if digits <= scale:
        big = np.abs(units) >= 10 ** (PRECISION - scale + digits)
        found.whole[:] = np.where(big, 0, units) * 10 ** (scale - digits)
    else:
        step = 10 ** (digits - scale)
        found.whole[:], rest = np.divmod(units, step)
        up = (2 * rest > step) | ((2 * rest == step) & (found.whole % 2 == 1))
        found.whole += up
        big = np.abs(found.whole) >= 10**PRECISION
        found.rounded = int(np.count_nonzero(rest[~big]))
    found.refuse(_too_large(scale), 0, big)
    return found


def _narrow(values: pa.Array) -> tuple[Ints, int] | None:
    """Return numbers as integers of their own scale, nulls as 0; None unless all are less than 10^18 in size."""
    kind = values.type
    if pa.types.is_integer(kind):
        if kind == pa.uint64() and (pc.max(values).as_py() or 0) > np.iinfo(np.int64).max:
            return None
        units, scale = np.asarray(values.fill_null(0).cast(pa.int64())), 0
    else:
        if kind.scale < 0 or kind.bit_width == 256:
            return None
        words = np.frombuffer(values.cast(pa.decimal128(38, kind.scale)).fill_null(Decimal(0)).buffers()[1], np.int64)
        units, high, scale = words[::2][: len(values)], words[1::2][: len(values)], kind.scale
        if (high != units >> 63).any():
            return None
    fits = not units.shape[0] or max(int(units.max()), -int(units.min())) < 10**PRECISION
    return (units, scale) if fits else None


def _of_wide(found: _Scaled, values: pa.Array, scale: int) -> _Scaled:
    if pa.types.is_integer(values.type):
        values = values.cast(pa.decimal128(20, 0))
    wide = values.cast(pa.decimal256(76, min(max(values.type.scale, 0), 38)))
    short = pc.round(wide, ndigits=scale, round_mode="half_to_even") if wide.type.scale > scale else wide
    limit = pa.scalar(Decimal(10) ** (PRECISION - scale), pa.decimal256(76, short.type.scale))
    big = np.asarray(pc.greater_equal(pc.abs(short), limit).fill_null(False).to_numpy(zero_copy_only=False))
    found.rounded = int(pc.sum(pc.and_(pc.not_equal(short, wide), pa.array(~big))).as_py() or 0)
    kept = pc.if_else(pa.array(big), pa.scalar(Decimal(0), short.type), short).fill_null(Decimal(0))
    words = np.frombuffer(kept.cast(pa.decimal128(38, scale)).buffers()[1], np.int64)
    found.whole[:] = words[::2][: len(values)]
    found.refuse(_too_large(scale), 0, big)
    return found


def _too_large(scale: int) -> str:
    return f"is too large for the scale {scale}"


def _of_text(values: pa.Array, scale: int) -> _Scaled:
    numbers, bad = numbers_of(values)
    found = _of_floats(numbers, scale, texts=values)
    found.refuse("is no number", 0, bad)
    return found


def _said(texts: pa.Array) -> tuple[Floats, Mask]:
    bad = np.zeros(len(texts), dtype=np.bool_)
    try:
        return _doubles(texts), bad
    except pa.ArrowInvalid:
        out = np.zeros(len(texts), dtype=np.float64)
    shaped = matching(texts, _NUMBER) | matching(texts, _NO_NUMBER)
    bad[~shaped] = True
    bad[parse(pc.ascii_trim_whitespace(texts), np.flatnonzero(shaped), [_doubles], out)] = True
    return out, bad


def _doubles(values: pa.Array) -> Floats:
    return np.asarray(values.cast(pa.float64()).to_numpy(zero_copy_only=False), dtype=np.float64)
