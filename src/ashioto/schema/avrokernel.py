"""Reads Avro records into columns: an interpreter that walks a program of fields, compiled once for all schemas.

A position below 0 says that the record is damaged: it is one of the codes of `DAMAGE`, negated. Nothing before the
start or behind the end of a record is ever read.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

import numba as nb
import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    Bytes = npt.NDArray[np.uint8]
    Codes = npt.NDArray[np.int8]
    Ints = npt.NDArray[np.int64]
    Mask = npt.NDArray[np.bool_]

_Function = TypeVar("_Function", bound=Callable[..., object])

NULL: Final = 0
BOOL: Final = 1
INT: Final = 2
LONG: Final = 3
FLOAT: Final = 4
DOUBLE: Final = 5
ENUM: Final = 6
BYTES: Final = 7
STRING: Final = 8
FIXED: Final = 9
DECIMAL: Final = 10
WIDE: Final = 11
TEXTS: Final = 12
SKIP: Final = 13
ARRAY: Final = 14
MAP: Final = 15
RECORD: Final = 16
UNION: Final = 17
ROWS: Final = 18

OP: Final = 0
BRANCHES: Final = 1
NULL_BRANCH: Final = 2
FIRST: Final = 3
SECOND: Final = 4
SIZE: Final = 5
ITEM_BRANCHES: Final = 6
ITEM_NULL: Final = 7
WIDTH: Final = 8
"""How many numbers a field of a program has.

OP is what to do, FIRST and SECOND the columns for its value (of text where it is and how long, of wide decimals the low
and the high half), SIZE the bytes of a fixed, the symbols of an enum or the node to skip.
"""

TRUNCATED: Final = 1
LONG_VARINT: Final = 2
BAD_TEXT: Final = 3
BAD_BRANCH: Final = 4
BAD_BOOL: Final = 5
TOO_WIDE: Final = 6
NO_DIGITS: Final = 7
OUT_OF_RANGE: Final = 8
BAD_LENGTH: Final = 9
BAD_SYMBOL: Final = 10
TOO_DEEP: Final = 11
TRAILING: Final = 12
OUTSIDE: Final = 13
DAMAGE: Final = {
    TRUNCATED: "the value ends too early",
    LONG_VARINT: "a number has more than 64 bits",
    BAD_TEXT: "text is not UTF-8",
    BAD_BRANCH: "a union has no such branch",
    BAD_BOOL: "a boolean is neither 0 nor 1",
    TOO_WIDE: "a decimal is too wide",
    NO_DIGITS: "a decimal has no digits",
    OUT_OF_RANGE: "a number has more than 32 bits",
    BAD_LENGTH: "a length is below 0",
    BAD_SYMBOL: "an enum has no such symbol",
    TOO_DEEP: "values nest too deep",
    TRAILING: "bytes are left over",
    OUTSIDE: "the value lies outside the buffer",
}
DEEPEST: Final = 256
"""How deep values may nest that are skipped."""
_LOWEST: Final = -(2**63)


def compiled(function: _Function) -> _Function:
    """Compile a kernel that makes no arrays of its own, and keep it on disk.

    References to the arrays it is given are not counted: doing so at each call of one kernel from another costs four
    times as much as the work itself.
    """
    options: dict[str, Any] = {"cache": True, "nogil": True, "_nrt": False}
    return cast("_Function", nb.njit(**options)(function))


@compiled
def read_long(data: Bytes, at: int, stop: int) -> tuple[int, int]:
    """Return a number, and where what follows it begins.

    >>> read_long(np.array([3], dtype=np.uint8), 0, 1)
    (-2, 1)
    """
    value, shift = np.uint64(0), np.uint64(0)
    while at < stop:
        byte = np.uint64(data[nb.uint64(at)])
        at += 1
        if shift == np.uint64(63) and byte > np.uint64(1):
            return 0, -LONG_VARINT
        value |= (byte & np.uint64(127)) << shift
        if byte < np.uint64(128):
            return np.int64(value >> np.uint64(1)) ^ -np.int64(value & np.uint64(1)), at  # type: ignore[return-value]
        shift += np.uint64(7)
    return 0, -TRUNCATED


@compiled
def read_word(data: Bytes, at: int, stop: int, size: int) -> tuple[int, int]:
    """Return the bits of a float of 4 or 8 bytes, and where what follows it begins."""
    if stop - at < size:
        return 0, -TRUNCATED
    value = np.uint64(0)
    for n in range(size):
        value |= np.uint64(data[nb.uint64(at + n)]) << np.uint64(8 * n)
    return np.int64(value), at + size  # type: ignore[return-value]  # a 64-bit int to the compiler


@compiled
def read_bool(data: Bytes, at: int, stop: int) -> tuple[int, int]:
    """Return 0 or 1, and where what follows it begins."""
    if at >= stop:
        return 0, -TRUNCATED
    byte = np.int64(data[nb.uint64(at)])
    if byte > 1:
        return 0, -BAD_BOOL
    return byte, at + 1  # type: ignore[return-value]  # a 64-bit int to the compiler


@compiled
def read_number(data: Bytes, at: int, stop: int, op: int, size: int) -> tuple[int, int]:
    """Return a number, a boolean or the bits of a float, and where what follows it begins."""
    if op in (DOUBLE, FLOAT):
        return read_word(data, at, stop, 8 if op == DOUBLE else 4)
    if op == BOOL:
        return read_bool(data, at, stop)
    value, at = read_long(data, at, stop)
    if op == INT and at >= 0 and not -(2**31) <= value < 2**31:
        return 0, -OUT_OF_RANGE
    if op == ENUM and at >= 0 and not 0 <= value < size:
        return 0, -BAD_SYMBOL
    return value, at


@compiled
def read_branch(data: Bytes, at: int, stop: int, branches: int) -> tuple[int, int]:
    """Return which branch of a union follows, and where; 0 where there is no union."""
    if branches == 0:
        return 0, at
    branch, at = read_long(data, at, stop)
    if at >= 0 and not 0 <= branch < branches:
        return 0, -BAD_BRANCH
    return branch, at


@compiled
def read_span(data: Bytes, at: int, stop: int, size: int) -> tuple[int, int]:
    """Return how many bytes follow, and where; a size of -1 says that the length stands before them."""
    if size < 0:
        size, at = read_long(data, at, stop)
        if at < 0:
            return 0, at
        if size < 0:
            return 0, -BAD_LENGTH
    if size > stop - at:
        return 0, -TRUNCATED
    return size, at


@compiled
def lead_of(byte: int) -> tuple[int, int, int]:
    """Return how many bytes follow the first one of a letter, and the range of the second; -1 where none may begin."""
    if 0xC2 <= byte <= 0xDF:
        return 1, 0x80, 0xBF
    if 0xE0 <= byte <= 0xEF:
        return 2, 0xA0 if byte == 0xE0 else 0x80, 0x9F if byte == 0xED else 0xBF
    if 0xF0 <= byte <= 0xF4:
        return 3, 0x90 if byte == 0xF0 else 0x80, 0x8F if byte == 0xF4 else 0xBF
    return -1, 0, 0


@compiled
def is_text(data: Bytes, at: int, stop: int) -> bool:
    """Return whether these bytes are UTF-8.

    >>> is_text(np.frombuffer("ä€😀".encode(), np.uint8), 0, 9), is_text(np.array([0xC0, 0x80], np.uint8), 0, 2)
    (True, False)
    """
    while at < stop:
        byte = data[nb.uint64(at)]
        at += 1
        if byte < 0x80:
            continue
        more, low, high = lead_of(byte)
        if more < 0 or stop - at < more:
            return False
        for _ in range(more):
            if not low <= data[nb.uint64(at)] <= high:
                return False
            low, high = 0x80, 0xBF
            at += 1
    return True


@compiled
def decimal_of(data: Bytes, at: int, size: int) -> tuple[int, int, int]:
    """Return the low and the high half of a big-endian number, and 0 or what is wrong with it."""
    if size == 0:
        return 0, 0, NO_DIGITS
    fill = np.uint8(255) if data[nb.uint64(at)] >= 128 else np.uint8(0)
    while size > 16 and data[nb.uint64(at)] == fill:
        at += 1
        size -= 1
    if size > 16 or (data[nb.uint64(at)] ^ fill) >= 128:
        return 0, 0, TOO_WIDE
    low = high = np.uint64(0) - np.uint64(fill & np.uint8(1))
    for n in range(size):
        if size > 8:
            high = (high << np.uint64(8)) | (low >> np.uint64(56))
        low = (low << np.uint64(8)) | np.uint64(data[nb.uint64(at + n)])
    return np.int64(low), np.int64(high), 0  # type: ignore[return-value]  # 64-bit ints to the compiler


@compiled
def read_count(data: Bytes, at: int, stop: int) -> tuple[int, int]:
    """Return how many items the next block of an array or a map has, and where they begin."""
    count, at = read_long(data, at, stop)
    if at < 0 or count >= 0:
        return count, at
    if count == _LOWEST:
        return 0, -BAD_LENGTH
    _, at = read_long(data, at, stop)
    return -count, at


@compiled
def read_item(data: Bytes, at: int, stop: int, branches: int, null: int) -> tuple[int, int]:
    """Return the length of an item that is text, and where it begins; a length of -1 is a null."""
    branch, at = read_branch(data, at, stop, branches)
    if at < 0:
        return 0, at
    if branches and branch == null:
        return -1, at
    size, at = read_span(data, at, stop, -1)
    if at >= 0 and not is_text(data, at, at + size):
        return 0, -BAD_TEXT
    return size, at


@compiled
def read_texts(data: Bytes, at: int, stop: int, branches: int, null: int) -> tuple[int, int]:
    """Return how many items an array of texts has, and where what follows it begins."""
    total = 0
    while True:
        count, at = read_count(data, at, stop)
        if at < 0 or count == 0:
            return total, at
        for _ in range(count):
            size, at = read_item(data, at, stop, branches, null)
            if at < 0:
                return 0, at
            at += max(size, 0)
        total += count


@compiled
def read_rows(data: Bytes, at: int, stop: int, width: int) -> tuple[int, int]:
    """Return how many items an array of records of numbers has, and where what follows it begins.

    Args:
        data: The bytes.
        at: Where the array begins.
        stop: Where the record ends.
        width: How many numbers an item has, >= 1.
    """
    total = 0
    while True:
        count, at = read_count(data, at, stop)
        if at < 0 or count == 0:
            return total, at
        for _ in range(count):
            for _ in range(width):
                _, at = read_long(data, at, stop)
                if at < 0:
                    return 0, at
        total += count


@compiled
def skip_simple(data: Bytes, at: int, stop: int, kind: int, size: int) -> int:
    """Return where what follows a value without parts begins."""
    if kind == NULL:
        return at
    if kind in (BYTES, STRING, FIXED):
        size, at = read_span(data, at, stop, size if kind == FIXED else -1)
        return at if at < 0 else at + size
    _, at = read_number(data, at, stop, kind, size)
    return at


@compiled
def skip_begin(data: Bytes, at: int, stop: int, kind: int, left: int, item: int) -> tuple[int, int]:
    """Return how many items of an array or a map are left, and where the next one begins; 0 where it has ended."""
    while left <= 0 and at >= 0:
        left, at = read_count(data, at, stop)
        if left == 0:
            return 0, at
        if kind == ARRAY and item == NULL:
            left = 0
    if kind == MAP and at >= 0:
        at = skip_simple(data, at, stop, STRING, 0)
    return left, at


@compiled
def skip(data: Bytes, at: int, stop: int, node: int, nodes: Ints, kids: Ints, stack: Ints) -> int:
    """Return where what follows a value of any type begins.

    Args:
        data: The bytes.
        at: Where the value begins.
        stop: Where the record ends.
        node: Number of its type.
        nodes: Kind, first child (or size), and number of children of every type; shape (types, 3).
        kids: The children.
        stack: Room for types that are not done, and how far they are; shape (depth, 2).
    """
    depth = 1
    stack[0, 0], stack[0, 1] = node, 0
    while depth > 0 and at >= 0:
        top = depth - 1
        kind, first, many = nodes[stack[top, 0], 0], nodes[stack[top, 0], 1], nodes[stack[top, 0], 2]
        child = -1
        if kind == RECORD:
            if stack[top, 1] < many:
                child = kids[first + stack[top, 1]]
                stack[top, 1] += 1
        elif kind in (ARRAY, MAP):
            left, at = skip_begin(data, at, stop, kind, stack[top, 1], nodes[kids[first], 0])
            if left > 0:
                child, stack[top, 1] = kids[first], left - 1
        elif kind == UNION:
            branch, at = read_branch(data, at, stop, many)
            if at >= 0:
                stack[top, 0], stack[top, 1] = kids[first + branch], 0
            continue
        else:
            at = skip_simple(data, at, stop, kind, first)
        if child < 0:
            depth -= 1
        elif depth == stack.shape[0]:
            return -TOO_DEEP
        else:
            stack[depth, 0], stack[depth, 1] = child, 0
            depth += 1
    return at


@compiled
def read_long_value(data: Bytes, at: int, stop: int, steps: Ints, field: int) -> tuple[int, int, int]:
    """Return the two halves of a value that is text, a decimal or a list, and where what follows it begins."""
    op = steps[field, OP]
    if op in (TEXTS, ROWS):
        if op == TEXTS:
            count, end = read_texts(data, at, stop, steps[field, ITEM_BRANCHES], steps[field, ITEM_NULL])
        else:
            count, end = read_rows(data, at, stop, steps[field, SIZE])
        return at, count, end
    size, at = read_span(data, at, stop, steps[field, SIZE])
    if at < 0:
        return 0, 0, at
    if op in (DECIMAL, WIDE):
        low, high, wrong = decimal_of(data, at, size)
        if wrong == 0 and op == DECIMAL and high != low >> 63:
            wrong = TOO_WIDE
        return low, high, at + size if wrong == 0 else -wrong
    if op == STRING and not is_text(data, at, at + size):
        return 0, 0, -BAD_TEXT
    return at, size, at + size


@compiled
def read_records(
    data: Bytes, starts: Ints, stops: Ints, steps: Ints, nodes: Ints, kids: Ints, first: Ints, second: Ints,
    valid: Mask, damage: Codes, where: Ints, stack: Ints,
) -> int:  # fmt: skip
    """Read every record into columns and return how many are damaged.

    Args:
        data: The bytes of all records.
        starts: Where each begins; shape (n,).
        stops: Where each ends; shape (n,).
        steps: The program, a row for each field; shape (fields, WIDTH).
        nodes: The types that are skipped; see `skip`.
        kids: Their children.
        first: Gets values, or where text begins; zeros, shape (columns, n).
        second: Gets lengths, or the high half of decimals; zeros, shape (columns with them, n).
        valid: Gets where there is a value; all False, shape (columns, n).
        damage: Gets what is wrong with a record; zeros, shape (n,).
        where: Gets the number of the field that is damaged; shape (n,).
        stack: Room for `skip`.
    """
    bad = 0
    for row in range(starts.shape[0]):
        at, stop, field = starts[row], stops[row], -1
        if at < 0 or at > stop or stop > data.shape[0]:
            at = -OUTSIDE
        else:
            at, field = read_record(data, at, stop, steps, nodes, kids, stack, row, first, second, valid)
        if at >= 0 and at != stop:
            at = -TRAILING
        if at < 0:
            damage[row], where[row] = -at, field
            first[:, row], second[:, row], valid[:, row] = 0, 0, False
            bad += 1
    return bad


@compiled
def read_record(
    data: Bytes, at: int, stop: int, steps: Ints, nodes: Ints, kids: Ints, stack: Ints, row: int, first: Ints,
    second: Ints, valid: Mask,
) -> tuple[int, int]:  # fmt: skip
    """Read one record; return where it ends, and the number of the field where it is damaged, or -1."""
    for field in range(steps.shape[0]):
        op, column, half = steps[field, OP], steps[field, FIRST], steps[field, SECOND]
        if op == SKIP:
            at = skip(data, at, stop, steps[field, SIZE], nodes, kids, stack)
        else:
            branch, at = read_branch(data, at, stop, steps[field, BRANCHES])
            if at >= 0 and (branch != steps[field, NULL_BRANCH] or steps[field, BRANCHES] == 0):
                valid[column, row] = True
                if half < 0:
                    first[column, row], at = read_number(data, at, stop, op, steps[field, SIZE])
                else:
                    first[column, row], second[half, row], at = read_long_value(data, at, stop, steps, field)
        if at < 0:
            return at, field
    return at, -1


@compiled
def gather(data: Bytes, starts: Ints, offsets: npt.NDArray[np.int32], out: Bytes) -> None:
    """Copy pieces of bytes one behind the other.

    Args:
        data: Where they are.
        starts: Where each begins; shape (n,).
        offsets: Where each goes, and where the last ends; shape (n + 1,).
        out: Gets them.
    """
    for row in range(starts.shape[0]):
        start = starts[row] - offsets[row]
        for to in range(offsets[row], offsets[row + 1]):
            out[nb.uint64(to)] = data[nb.uint64(start + to)]
