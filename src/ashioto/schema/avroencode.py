"""Writes columns as Avro records: an interpreter that walks a program of fields, compiled once for all schemas.

Nothing is checked here: the buffer has room for the longest bytes that the columns can become.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numba as nb
import numpy as np

from ashioto.schema.avrokernel import (
    BOOL,
    BRANCHES,
    DECIMAL,
    DOUBLE,
    FIRST,
    ITEM_BRANCHES,
    ITEM_NULL,
    NULL_BRANCH,
    OP,
    ROWS,
    SECOND,
    SIZE,
    TEXTS,
    WIDE,
    compiled,
)

if TYPE_CHECKING:
    from ashioto.schema.avrokernel import Bytes, Ints, Mask

LONGEST: Final = 11
"""Bytes of a branch and the longest number; a wide decimal has 7 more."""
WIDE_MORE: Final = 7


@compiled
def write_long(out: Bytes, at: int, value: int) -> int:
    """Write a number and return where what follows it begins.

    >>> out = np.zeros(10, dtype=np.uint8)
    >>> write_long(out, 0, -65), out[:2].tolist()
    (2, [129, 1])
    """
    left = (np.uint64(value) << np.uint64(1)) ^ np.uint64(value >> 63)
    while left >= np.uint64(128):
        out[nb.uint64(at)] = np.uint8(left & np.uint64(127)) | np.uint8(128)
        left >>= np.uint64(7)
        at += 1
    out[nb.uint64(at)] = np.uint8(left)
    return at + 1


@compiled
def write_word(out: Bytes, at: int, value: int) -> int:
    """Write the 8 bytes of a float and return where what follows them begins."""
    left = np.uint64(value)
    for n in range(8):
        out[nb.uint64(at + n)] = np.uint8(left & np.uint64(255))
        left >>= np.uint64(8)
    return at + 8


@compiled
def digits_of(value: int) -> int:
    """Return how many bytes a number needs.

    >>> [digits_of(n) for n in (0, 127, 128, -128, -129, 2**63 - 1)]
    [1, 1, 2, 1, 2, 8]
    """
    left, size = value if value >= 0 else ~value, 1
    while left >= 128:
        left >>= 8
        size += 1
    return size


@compiled
def write_decimal(out: Bytes, at: int, low: int, high: int) -> int:
    """Write a number as few big-endian bytes as it needs, with their count, and return where what follows begins."""
    size = digits_of(low) if high == low >> 63 else 8 + digits_of(high)
    at = write_long(out, at, size)
    for n in range(size - 1, -1, -1):
        half = high if n >= 8 else low
        out[nb.uint64(at)] = np.uint8((half >> (8 * (n & 7))) & 255)
        at += 1
    return at


@compiled
def write_text(out: Bytes, at: int, texts: Bytes, start: int, size: int) -> int:
    """Write bytes with their count and return where what follows them begins."""
    at = write_long(out, at, size)
    for n in range(size):
        out[nb.uint64(at + n)] = texts[nb.uint64(start + n)]
    return at + size


@compiled
def write_texts(out: Bytes, at: int, branches: int, null: int, texts: Bytes, items: Ints, item: int, count: int) -> int:
    """Write an array of texts and return where what follows it begins.

    Args:
        out: Gets the bytes.
        at: Where they go.
        branches: How many branches the union of the items has; 0 where there is none.
        null: Which of them is null.
        texts: The text of all items.
        items: Where each item begins, and its length, -1 for a null; shape (2, all items).
        item: Number of the first item.
        count: How many there are.
    """
    if count > 0:
        at = write_long(out, at, count)
    for n in range(item, item + count):
        there = items[1, n] >= 0
        if branches > 0:
            at = write_long(out, at, branches - 1 - max(null, 0) if there else null)
        if there:
            at = write_text(out, at, texts, items[0, n], items[1, n])
    return write_long(out, at, 0)


@compiled
def write_rows(out: Bytes, at: int, width: int, numbers: Ints, start: int, count: int) -> int:
    """Write an array of records of numbers and return where what follows it begins.

    Args:
        out: Gets the bytes.
        at: Where they go.
        width: How many numbers an item has.
        numbers: Those of all items.
        start: Where those of the first item begin.
        count: How many items there are.
    """
    if count > 0:
        at = write_long(out, at, count)
    for n in range(start, start + count * width):
        at = write_long(out, at, numbers[n])
    return write_long(out, at, 0)


@compiled
def write_value(
    out: Bytes, at: int, steps: Ints, field: int, row: int, first: Ints, second: Ints, texts: Bytes, items: Ints,
    numbers: Ints,
) -> int:  # fmt: skip
    """Write a value that is there and return where what follows it begins."""
    op = steps[field, OP]
    value = first[steps[field, FIRST], row]
    if op == DOUBLE:
        return write_word(out, at, value)
    if op == BOOL:
        out[nb.uint64(at)] = np.uint8(value)
        return at + 1
    if steps[field, SECOND] < 0:
        return write_long(out, at, value)
    half = second[steps[field, SECOND], row]
    if op in (DECIMAL, WIDE):
        return write_decimal(out, at, value, half)
    if op == TEXTS:
        at = write_texts(out, at, steps[field, ITEM_BRANCHES], steps[field, ITEM_NULL], texts, items, value, half)
    elif op == ROWS:
        at = write_rows(out, at, steps[field, SIZE], numbers, value, half)
    else:
        at = write_text(out, at, texts, value, half)
    return at


@compiled
def write_records(
    steps: Ints, first: Ints, second: Ints, valid: Mask, texts: Bytes, items: Ints, numbers: Ints, prefix: Bytes,
    out: Bytes, offsets: Ints,
) -> None:  # fmt: skip
    """Write every row as a record.

    Args:
        steps: The program, a row for each field; shape (fields, WIDTH).
        first: Values, or where text begins; shape (columns, n).
        second: Lengths, or the high half of decimals; shape (columns with them, n).
        valid: Where there is a value; shape (columns, n).
        texts: The bytes of all text.
        items: Where the items of lists begin in them, and their lengths; shape (2, all items).
        numbers: The numbers of lists of records, item by item.
        prefix: Stands before every record.
        out: Gets the bytes.
        offsets: Gets where each record begins, and where the last ends; shape (n + 1,).
    """
    at = 0
    for row in range(offsets.shape[0] - 1):
        offsets[row] = at
        for n in range(prefix.shape[0]):
            out[nb.uint64(at + n)] = prefix[n]
        at += prefix.shape[0]
        for field in range(steps.shape[0]):
            there = valid[steps[field, FIRST], row]
            branches, null = steps[field, BRANCHES], steps[field, NULL_BRANCH]
            if branches > 0:
                at = write_long(out, at, branches - 1 - max(null, 0) if there else null)
            if there:
                at = write_value(out, at, steps, field, row, first, second, texts, items, numbers)
    offsets[offsets.shape[0] - 1] = at
