"""Rows as bytes, one value a row, made and read a whole column at a time.

A row is: one bit a column that says "null", the columns of fixed width, the byte lengths of the others, and then those
others one after the other. A list of texts is two of them: the lengths of its items (uint32, all ones for a null) and
the items. A list of records of int64 is one: the numbers, item by item.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ashioto.errors import LogError
from ashioto.schema.arrow import is_rows, numbers_of, plain, rows_of_numbers

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ashioto.log.base import Mask

_NO_ITEM: Final = 0xFFFFFFFF
_Bytes = npt.NDArray[np.uint8]
_Counts = npt.NDArray[np.int64]


class RowCodec:
    """Turns rows of one schema into bytes and back.

    Args:
        schema: The columns: integers, floats, bool, text, binary, dates, times, decimals, dictionaries of text,
            lists of text and lists of records of int64.

    Raises:
        LogError: A column is of another type.

    >>> codec = RowCodec(pa.schema({"x": pa.int64(), "s": pa.string()}))
    >>> rows = codec.encode(pa.RecordBatch.from_pydict({"x": [1, None], "s": ["a", "bc"]}))
    >>> codec.decode(rows).to_pylist()
    [{'x': 1, 's': 'a'}, {'x': None, 's': 'bc'}]
    """

    def __init__(self, schema: pa.Schema) -> None:
        self._schema = schema.remove_metadata()
        self._fixed = [(at, _width(f.type)) for at, f in enumerate(schema) if _width(f.type)]
        self._variable = [at for at, f in enumerate(schema) if not _width(f.type)]
        for at in self._variable:
            _check(schema.field(at))
        pieces = sum(2 if _is_texts(schema.field(at).type) else 1 for at in self._variable)
        self._layout = np.dtype(
            [("nulls", np.uint8, (-(-len(schema) // 8),))]
            + [(str(at), np.uint8, (width,)) for at, width in self._fixed]
            + [("lengths", np.uint32, (pieces,))]
        )

    def encode(self, batch: pa.RecordBatch) -> list[bytes]:
        """Return the bytes of each row.

        Args:
            batch: Rows in the codec's schema.

        Raises:
            LogError: There is a null inside a list of records.
        """
        rows = batch.num_rows
        if not rows:
            return []
        head = np.zeros(rows, dtype=self._layout)
        nulls = np.column_stack([_nulls(column) for column in batch.columns])
        head["nulls"] = np.packbits(nulls, axis=1)
        for at, width in self._fixed:
            head[str(at)] = _fixed_bytes(batch.column(at), width)
            head[str(at)][nulls[:, at]] = 0
        pieces = [piece for at in self._variable for piece in _pieces(batch.column(at))]
        for number, piece in enumerate(pieces):
            head["lengths"][:, number] = np.diff(_offsets(piece))
        buffers = [None, pa.py_buffer(head)]
        fixed = pa.Array.from_buffers(pa.binary(self._layout.itemsize), rows, buffers).cast(pa.binary())
        whole: list[bytes] = pc.binary_join_element_wise(fixed, *pieces, b"").to_pylist()
        return whole

    def decode(self, rows: Sequence[bytes]) -> pa.RecordBatch:
        """Return the rows that `encode` made bytes of."""
        if not rows:
            return pa.RecordBatch.from_arrays([pa.nulls(0, f.type) for f in self._schema], schema=self._schema)
        whole = np.frombuffer(b"".join(rows), dtype=np.uint8)
        sizes = np.fromiter(map(len, rows), dtype=np.int64, count=len(rows))
        starts = np.cumsum(sizes) - sizes
        places = starts[:, None] + np.arange(self._layout.itemsize)
        head = whole[places].view(self._layout).reshape(len(rows))
        nulls = np.unpackbits(head["nulls"], axis=1, count=len(self._schema)).view(np.bool_)
        made: dict[int, pa.Array] = {}
        for at, _ in self._fixed:
            made[at] = _from_fixed(head[str(at)], self._schema.field(at).type, nulls[:, at])
        pieces = self._cut(whole, starts + self._layout.itemsize, head["lengths"])
        for at in self._variable:
            made[at] = _from_pieces(pieces, self._schema.field(at).type, nulls[:, at])
        return pa.RecordBatch.from_arrays([made[at] for at in range(len(self._schema))], schema=self._schema)

    @staticmethod
    def _cut(whole: _Bytes, starts: _Counts, lengths: npt.NDArray[np.uint32]) -> Iterator[tuple[_Counts, _Bytes]]:
        """Yield the offsets and the bytes of each variable piece; shapes (n + 1,) and (bytes,)."""
        for number in range(lengths.shape[1]):
            sizes = lengths[:, number].astype(np.int64)
            offsets = np.concatenate([[0], np.cumsum(sizes)])
            yield offsets, whole[np.repeat(starts - offsets[:-1], sizes) + np.arange(offsets[-1])]
            starts = starts + sizes


def _width(kind: pa.DataType) -> int:
    """Return the bytes of a value; 0 where they vary."""
    if pa.types.is_boolean(kind):
        return 1
    if pa.types.is_dictionary(kind) or not (pa.types.is_primitive(kind) or pa.types.is_decimal(kind)):
        return 0
    return int(kind.bit_width) // 8


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_binary(kind))


def _is_texts(kind: pa.DataType) -> bool:
    return bool(pa.types.is_list(kind) and not is_rows(kind))


def _check(field: pa.Field) -> None:
    kind = field.type
    if is_rows(kind):
        return
    item = kind.value_type if pa.types.is_list(kind) else plain(kind)
    if not _is_text(item):
        raise LogError(
            f"the column {field.name} is {kind}, which a compact topic cannot keep",
            hint="use numbers, text, binary, dates, times, decimals, or lists of text or of records of int64",
            column=field.name,
        )


def _nulls(column: pa.Array) -> Mask:
    return np.asarray(pc.is_null(column).to_numpy(zero_copy_only=False), dtype=np.bool_)


def _fixed_bytes(column: pa.Array, width: int) -> _Bytes:
    if pa.types.is_boolean(column.type):
        column = pc.fill_null(column, False).cast(pa.uint8())
    data = column.buffers()[1]
    flat = np.frombuffer(data, dtype=np.uint8, count=len(column) * width, offset=column.offset * width)
    return flat.reshape(len(column), width)


def _from_fixed(data: _Bytes, kind: pa.DataType, nulls: Mask) -> pa.Array:
    if pa.types.is_boolean(kind):
        return pa.array(data[:, 0].astype(np.bool_), mask=nulls)
    buffers = [_validity(nulls), pa.py_buffer(np.ascontiguousarray(data))]
    return pa.Array.from_buffers(kind, len(nulls), buffers)


def _validity(nulls: Mask) -> pa.Buffer | None:
    return pa.py_buffer(np.packbits(~nulls, bitorder="little")) if nulls.any() else None


def _pieces(column: pa.Array) -> list[pa.Array]:
    if is_rows(column.type):
        return [_numbers(column)]
    if not _is_texts(column.type):
        whole = column.dictionary_decode() if pa.types.is_dictionary(column.type) else column
        return [pc.fill_null(whole.cast(pa.binary()), b"")]
    items = column.flatten()
    counts = pc.fill_null(pc.list_value_length(column), 0).to_numpy(zero_copy_only=False)
    bounds = np.concatenate([[0], np.cumsum(counts)])
    texts = pc.fill_null(items.cast(pa.binary()), b"")
    sizes = np.diff(_offsets(texts)).astype(np.uint32)
    sizes[_nulls(items)] = _NO_ITEM
    data = texts.buffers()[2] or pa.py_buffer(b"")
    lengths = _binary(pa.binary(), bounds * 4, pa.py_buffer(sizes))
    return [lengths, _binary(pa.binary(), _offsets(texts)[bounds], data)]


def _numbers(column: pa.Array) -> pa.Array:
    try:
        numbers, bounds = numbers_of(column)
    except ValueError as error:
        raise LogError(str(error), hint="leave the item out, or give it all its numbers") from error
    data = pa.py_buffer(np.ascontiguousarray(numbers.T))
    return _binary(pa.binary(), bounds * 8 * len(numbers), data)


def _offsets(column: pa.Array) -> npt.NDArray[np.int32]:
    if not len(column):
        return np.zeros(1, dtype=np.int32)
    data = column.buffers()[1]
    return np.frombuffer(data, dtype=np.int32, count=len(column) + 1, offset=4 * column.offset)


def _binary(kind: pa.DataType, offsets: npt.NDArray[Any], data: pa.Buffer, nulls: pa.Buffer | None = None) -> pa.Array:
    starts = pa.py_buffer(np.ascontiguousarray(offsets, dtype=np.int32))
    return pa.Array.from_buffers(kind, len(offsets) - 1, [nulls, starts, data])


def _from_pieces(pieces: Iterator[tuple[_Counts, _Bytes]], kind: pa.DataType, nulls: Mask) -> pa.Array:
    offsets, data = next(pieces)
    if is_rows(kind):
        width = kind.value_type.num_fields
        numbers = np.ascontiguousarray(data).view(np.int64).reshape(-1, width).T
        return rows_of_numbers(numbers, offsets // (8 * width), kind, null=nulls)
    if not _is_texts(kind):
        made = _binary(plain(kind), offsets, pa.py_buffer(data), _validity(nulls))
        return made.dictionary_encode().cast(kind) if pa.types.is_dictionary(kind) else made
    sizes = data.view(np.uint32)
    missing = sizes == _NO_ITEM
    bounds = np.concatenate([[0], np.cumsum(np.where(missing, 0, sizes).astype(np.int64))])
    items = _binary(kind.value_type, bounds, pa.py_buffer(next(pieces)[1]), _validity(missing))
    starts = pa.py_buffer((offsets // 4).astype(np.int32))
    return pa.Array.from_buffers(kind, len(nulls), [_validity(nulls), starts], children=[items])
