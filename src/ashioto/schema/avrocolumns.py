"""Moves columns between Arrow and the arrays that the Avro kernels read and write."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa

from ashioto.errors import SchemaError
from ashioto.schema import avrokernel as k
from ashioto.schema.arrow import int64_view, mask_of, numbers_of, plain, rows_of_numbers
from ashioto.schema.avrolists import list_items, list_rows

if TYPE_CHECKING:
    import numpy.typing as npt

    from ashioto.schema.avroprogram import Column

    Bytes = npt.NDArray[np.uint8]
    Ints = npt.NDArray[np.int64]
    Mask = npt.NDArray[np.bool_]

_MOST_TEXT: Final = 2**31 - 1
_ITEM: Final = 11
"""Bytes of the branch of an item and of its length."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """Holds what the kernel has read.

    Args:
        data: The bytes of all records.
        stops: Where each record ends; shape (n,).
        first: Values, or where text begins; shape (columns, n).
        second: Lengths, or high halves; shape (columns with them, n).
        valid: Where there is a value; shape (columns, n).
        steps: The program.
    """

    data: Bytes
    stops: Ints
    first: Ints
    second: Ints
    valid: Mask
    steps: Ints

    def column(self, column: Column, kind: pa.DataType) -> pa.Array:
        """Return a column as Arrow.

        Raises:
            SchemaError: Its text has more than 2 GiB.
        """
        values, valid = self.first[column.first], self.valid[column.first]
        if column.op == k.ENUM:
            return _symbols(column, values, valid).cast(kind)
        if column.op == k.TEXTS:
            return self._texts(column)
        if column.op == k.ROWS:
            return self._rows(column, kind)
        if column.op in {k.BYTES, k.STRING, k.FIXED}:
            text = self._text(values, self.second[column.second], valid, column.name, plain(kind))
            return text.dictionary_encode().cast(kind) if pa.types.is_dictionary(kind) else text
        high = self.second[column.second] if column.op == k.WIDE else None
        return _fixed(_converted(column.op, values, high, kind), valid, kind)

    def _text(self, starts: Ints, sizes: Ints, valid: Mask, name: str, kind: pa.DataType) -> pa.Array:
        offsets = _offsets(sizes, name)
        out = np.empty(offsets[-1], dtype=np.uint8)
        k.gather(self.data, starts, offsets, out)
        return _from_buffers(kind, valid, [pa.py_buffer(offsets), pa.py_buffer(out)])

    def _texts(self, column: Column) -> pa.Array:
        step = self.steps[column.step]
        counts = self.second[column.second]
        offsets = _offsets(counts, column.name)
        starts, sizes = np.empty(offsets[-1], dtype=np.int64), np.empty(offsets[-1], dtype=np.int64)
        places = self.first[column.first]
        list_items(self.data, places, self.stops, counts, step[k.ITEM_BRANCHES], step[k.ITEM_NULL], starts, sizes)
        items = self._text(starts, np.maximum(sizes, 0), sizes >= 0, column.name, pa.string())
        valid = self.valid[column.first]
        return pa.ListArray.from_arrays(pa.array(offsets), items, mask=None if valid.all() else pa.array(~valid))

    def _rows(self, column: Column, kind: pa.DataType) -> pa.Array:
        counts = self.second[column.second]
        numbers = np.empty((self.steps[column.step, k.SIZE], counts.sum()), dtype=np.int64)
        list_rows(self.data, self.first[column.first], self.stops, counts, numbers)
        return rows_of_numbers(numbers, _offsets(counts, column.name), kind, null=~self.valid[column.first])


def _offsets(sizes: Ints, name: str) -> npt.NDArray[np.int32]:
    total = int(sizes.sum())
    if total > _MOST_TEXT:
        raise SchemaError(
            f"the column {name} has {total:,} bytes of text", hint="read fewer records at once", column=name
        )
    offsets = np.zeros(len(sizes) + 1, dtype=np.int32)
    np.cumsum(sizes, out=offsets[1:])
    return offsets


def _symbols(column: Column, codes: Ints, valid: Mask) -> pa.Array:
    taken = pa.array(codes.astype(np.int32), mask=~valid)
    return pa.DictionaryArray.from_arrays(taken, pa.array(column.symbols, pa.string()))


def _converted(op: int, values: Ints, high: Ints | None, kind: pa.DataType) -> npt.NDArray[np.generic]:
    if high is not None:
        return np.stack([values, high], axis=1)
    if op == k.FLOAT:
        return values.astype(np.uint32).view(np.float32).astype(np.float64)
    if pa.types.is_boolean(kind):
        return np.packbits(values.astype(np.bool_), bitorder="little")
    if pa.types.is_date32(kind):
        return values.astype(np.int32)
    return values.astype(np.float64) if pa.types.is_float64(kind) and op != k.DOUBLE else values


def _fixed(values: npt.NDArray[np.generic], valid: Mask, kind: pa.DataType) -> pa.Array:
    return _from_buffers(kind, valid, [pa.py_buffer(np.ascontiguousarray(values))])


def _from_buffers(kind: pa.DataType, valid: Mask, buffers: list[pa.Buffer]) -> pa.Array:
    missing = len(valid) - int(np.count_nonzero(valid))
    bits = pa.py_buffer(np.packbits(valid, bitorder="little")) if missing else None
    return pa.Array.from_buffers(kind, len(valid), [bits, *buffers], null_count=missing)


@dataclass(slots=True, kw_only=True)
class Given:
    """Collects what the kernel is to write.

    Args:
        first: Values, or where text begins; shape (columns, n).
        second: Lengths, or high halves; shape (columns with them, n).
        valid: Where there is a value; shape (columns, n).
        texts: Pieces of text; what has been put in before counts for where text begins.
        items: Where the items of lists begin, and their lengths, in pieces.
        numbers: The numbers of lists of records, item by item, in pieces.
    """

    first: Ints
    second: Ints
    valid: Mask
    texts: list[Bytes] = field(default_factory=list)
    items: list[Ints] = field(default_factory=list)
    numbers: list[Ints] = field(default_factory=list)
    _text_size: int = 0
    _item_count: int = 0
    _number_count: int = 0

    def put(self, column: Column, array: pa.Array) -> int:
        """Take a column and return how many bytes its text may have when it is written.

        Raises:
            SchemaError: It has a number of more than 32 bits where the schema has no more, or a null inside a list of
                records.
        """
        if pa.types.is_dictionary(array.type) and array.dictionary.null_count:
            array = array.dictionary_decode()
        self.valid[column.first] = mask_of(array.is_valid())
        kind = array.type
        if column.op in {k.TEXTS, k.ROWS}:
            return self._put_lists(column, array) if column.op == k.TEXTS else self._put_rows(column, array)
        if column.op in {k.BYTES, k.STRING}:
            return self._put_text(column, array)
        if column.op == k.WIDE:
            halves = _words(array)
            self.first[column.first], self.second[column.second] = halves[:, 0], halves[:, 1]
        elif pa.types.is_boolean(kind):
            self.first[column.first] = mask_of(array)
        else:
            self.first[column.first] = _checked(column, int64_view(array))
            if column.op == k.DECIMAL:
                self.second[column.second] = self.first[column.first] >> 63
        return 0

    def all_texts(self) -> Bytes:
        """Return all text, one piece behind the other."""
        return np.concatenate(self.texts) if self.texts else np.zeros(0, dtype=np.uint8)

    def all_items(self) -> Ints:
        """Return where the items of lists begin, and their lengths; shape (2, items)."""
        return np.concatenate(self.items, axis=1) if self.items else np.zeros((2, 0), dtype=np.int64)

    def all_numbers(self) -> Ints:
        """Return the numbers of all lists of records."""
        return np.concatenate(self.numbers) if self.numbers else np.zeros(0, dtype=np.int64)

    def _put_text(self, column: Column, array: pa.Array) -> int:
        starts, sizes = self._pieces(array)
        self.first[column.first], self.second[column.second] = starts, sizes
        return int(sizes.sum())

    def _put_lists(self, column: Column, array: pa.ListArray) -> int:
        bounds = _bounds(array)
        inner = array.values.slice(bounds[0], bounds[-1] - bounds[0])
        starts, sizes = self._pieces(inner)
        there = mask_of(inner.is_valid())
        self.items.append(np.stack([starts, np.where(there, sizes, -1)]))
        self.first[column.first] = bounds[:-1] - bounds[0] + self._item_count
        self.second[column.second] = np.diff(bounds)
        self._item_count += len(inner)
        return int(sizes.sum()) + _ITEM * len(inner)

    def _put_rows(self, column: Column, array: pa.ListArray) -> int:
        try:
            numbers, bounds = numbers_of(array)
        except ValueError as error:
            raise SchemaError(f"the column {column.name} has {error}", column=column.name) from error
        self.first[column.first] = bounds[:-1] * numbers.shape[0] + self._number_count
        self.second[column.second] = np.diff(bounds)
        self.numbers.append(np.ascontiguousarray(numbers.T).reshape(-1))
        self._number_count += numbers.size
        return _ITEM * int(numbers.size)

    def _pieces(self, array: pa.Array) -> tuple[Ints, Ints]:
        """Return where the text of each row begins, and its length; 0 where there is none."""
        if pa.types.is_dictionary(array.type):
            starts, sizes = self._pieces(array.dictionary)
            codes = array.indices.fill_null(0).to_numpy(zero_copy_only=False)
            if not len(starts):
                return np.zeros(len(codes), dtype=np.int64), np.zeros(len(codes), dtype=np.int64)
            return starts[codes], np.where(mask_of(array.is_valid()), sizes[codes], 0)
        bounds = _bounds(array)
        data = array.buffers()[2]
        if data is not None and bounds[-1] > bounds[0]:
            self.texts.append(np.frombuffer(data, dtype=np.uint8)[bounds[0] : bounds[-1]])
        starts = bounds[:-1] - bounds[0] + self._text_size
        self._text_size += int(bounds[-1] - bounds[0])
        return starts, np.where(mask_of(array.is_valid()), np.diff(bounds), 0)


def _checked(column: Column, values: Ints) -> Ints:
    if column.op == k.INT and len(values) and not -(2**31) <= values.min() <= values.max() < 2**31:
        raise SchemaError(f"the column {column.name} has a number of more than 32 bits", column=column.name)
    return values


def _bounds(array: pa.Array) -> Ints:
    """Return where the text or the items of each row begin, and where the last ends; shape (n + 1,)."""
    if not len(array):
        return np.zeros(1, dtype=np.int64)
    bounds = np.frombuffer(array.buffers()[1], dtype=np.int32)[array.offset : array.offset + len(array) + 1]
    return bounds.astype(np.int64)


def _words(array: pa.Array) -> Ints:
    """Return the low and high halves of wide decimals; shape (n, 2)."""
    if not len(array):
        return np.zeros((0, 2), dtype=np.int64)
    words = np.frombuffer(array.buffers()[1], dtype=np.int64)
    return words.reshape(-1, 2)[array.offset : array.offset + len(array)]
