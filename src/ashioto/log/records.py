"""Checks and reshapes records on their way into a log and out of it; every log shares these rules."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa

from ashioto.errors import LogError, StaleEpochError, UnknownTopicError
from ashioto.schema.arrow import plain

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ashioto.log.base import Batch, Fence, Ints, Mask, Slice, TopicSpec

BINARY_CODES: Final = pa.dictionary(pa.int32(), pa.binary())
_MIN_SHARED: Final = 64


def unknown_topic(topic: str) -> UnknownTopicError:
    """Return the error for a topic that was never created.

    >>> print(unknown_topic("trading.rate"))
    the topic trading.rate does not exist
    Hint: `rc infra apply` creates the topics of a project
    """
    return UnknownTopicError(
        f"the topic {topic} does not exist",
        hint="`rc infra apply` creates the topics of a project",
        topic=topic,
    )


def check_spec(spec: TopicSpec) -> None:
    """Refuse a declaration that no log can keep.

    Raises:
        LogError: The name is empty or there is no partition.
    """
    if not spec.name or spec.partitions < 1:
        raise LogError(
            f"the topic {spec.name!r} cannot have {spec.partitions} partitions", hint="give a name and at least one",
            topic=spec.name,
        )  # fmt: skip


def check_same(known: TopicSpec, wanted: TopicSpec) -> None:
    """Refuse to declare a topic again in another way.

    Raises:
        LogError: Partitions, cleanup or schema differ; the message says which.
    """
    differs = [name for name in ("partitions", "cleanup") if getattr(known, name) != getattr(wanted, name)]
    said = [f"{name} = {getattr(known, name)!r}, not {getattr(wanted, name)!r}" for name in differs]
    if not known.schema.equals(wanted.schema, check_metadata=False):
        columns = sorted({f.name for f in set(known.schema) ^ set(wanted.schema)})
        said.append(f"other columns ({', '.join(columns) or 'in another order'})")
    if said:
        raise LogError(
            f"the topic {known.name} exists with {' and '.join(said)}",
            hint="keep the declaration as it was, or write to a new topic",
            topic=known.name,
        )


def check_epoch(fence: Fence, known: int | None) -> None:
    """Refuse a writer that a newer one has shut out.

    Raises:
        StaleEpochError: The known epoch is larger.
    """
    if known is not None and fence.epoch < known:
        raise StaleEpochError(
            f"a newer writer of {fence.name} exists: its epoch is {known}, this one's {fence.epoch}",
            hint="stop this process; the newer one has taken over",
            fence=fence.name,
            epoch=fence.epoch,
        )


def check_partition(spec: TopicSpec, partition: int) -> None:
    """Refuse a partition that a topic does not have.

    Raises:
        LogError: It is out of range.
    """
    if not 0 <= partition < spec.partitions:
        raise LogError(f"the topic {spec.name} has no partition {partition}", topic=spec.name)


def check_compact(spec: TopicSpec) -> None:
    """Refuse to look up keys in a topic that does not keep the newest of each.

    Raises:
        LogError: The topic is not compact.
    """
    if spec.cleanup != "compact":
        raise LogError(f"the topic {spec.name} is not compact, so it has no newest record of a key", topic=spec.name)


def checked(spec: TopicSpec, batch: Batch) -> Batch:
    """Return a batch as it is kept: in the topic's schema, without dictionary entries that it does not use.

    Raises:
        LogError: The partition is out of range, lengths differ, a key is null, or the columns are others.

    >>> from ashioto.log.base import Batch, TopicSpec
    >>> spec = TopicSpec(name="t", schema=pa.schema({"s": pa.dictionary(pa.int32(), pa.string())}))
    >>> data = pa.RecordBatch.from_pydict({"s": ["a"]})
    >>> batch = Batch(topic="t", partition=0, keys=pa.array([b"k"]), timestamps=np.zeros(1, np.int64), data=data)
    >>> str(checked(spec, batch).data.schema.field("s").type)
    'dictionary<values=string, indices=int32, ordered=0>'
    """
    check_partition(spec, batch.partition)
    rows = batch.data.num_rows
    marks = rows if batch.tombstones is None else len(batch.tombstones)
    if not rows == len(batch.keys) == len(batch.timestamps) == marks:
        raise LogError(f"a batch for {spec.name} has as many keys, times and tombstones as rows", topic=spec.name)
    keys = _keys(spec, batch.keys)
    deleted = batch.tombstones
    return replace(
        batch,
        keys=keys,
        timestamps=np.ascontiguousarray(batch.timestamps, dtype=np.int64),
        data=_conformed(spec, batch.data),
        tombstones=None if deleted is None or not deleted.any() else np.asarray(deleted, dtype=np.bool_),
    )


def _keys(spec: TopicSpec, keys: pa.Array) -> pa.Array:
    if isinstance(keys, pa.ChunkedArray):
        keys = keys.combine_chunks()
    if keys.null_count or (pa.types.is_dictionary(keys.type) and keys.dictionary.null_count):
        raise LogError(f"a batch for {spec.name} has a record without a key", topic=spec.name)
    if pa.types.is_dictionary(keys.type):
        return shrunk(keys, BINARY_CODES)
    return keys if keys.type == pa.binary() else keys.cast(pa.binary())


def _conformed(spec: TopicSpec, data: pa.RecordBatch) -> pa.RecordBatch:
    schema = spec.schema
    if data.schema.names != schema.names:
        raise LogError(
            f"a batch for {spec.name} has the columns {', '.join(data.schema.names)}",
            hint=f"the topic has {', '.join(schema.names)}",
            topic=spec.name,
        )
    columns = [_column(spec, f, c) for f, c in zip(schema, data.columns, strict=True)]
    return pa.RecordBatch.from_arrays(columns, schema=schema.remove_metadata())


def _column(spec: TopicSpec, field: pa.Field, column: pa.Array) -> pa.Array:
    coded = pa.types.is_dictionary(field.type)
    if column.type != field.type and plain(column.type) != plain(field.type):
        raise LogError(
            f"the column {field.name} of a batch for {spec.name} is {column.type}, not {field.type}",
            topic=spec.name,
            column=field.name,
        )
    if coded and pa.types.is_dictionary(column.type):
        return shrunk(column, field.type)
    if coded:
        return column.dictionary_encode().cast(field.type)
    return column.dictionary_decode() if pa.types.is_dictionary(column.type) else column


def projected(data: pa.RecordBatch, names: Sequence[str], schema: pa.Schema) -> pa.RecordBatch:
    """Return rows in other columns: those of some names where they are there, null where not.

    Args:
        data: The rows.
        names: Where in `data` each column of `schema` is looked for.
        schema: The columns wanted; those that are found have the same types.

    >>> wanted = pa.schema({"a": pa.string(), "b": pa.int64()})
    >>> projected(pa.RecordBatch.from_pydict({"x": [7]}), ["y", "x"], wanted).to_pylist()
    [{'a': None, 'b': 7}]
    """
    found = dict(zip(data.schema.names, data.columns, strict=True))
    rows = data.num_rows
    columns = [found[n] if n in found else pa.nulls(rows, f.type) for n, f in zip(names, schema, strict=True)]
    return pa.RecordBatch.from_arrays(columns, schema=schema.remove_metadata())


def shrunk(column: pa.DictionaryArray, kind: pa.DictionaryType) -> pa.DictionaryArray:
    """Return a column without entries that it does not use: slices of one large set all share its dictionary.

    Args:
        column: With a dictionary.
        kind: The type it gets.

    >>> whole = pa.array(["a"] + [str(n) for n in range(99)]).dictionary_encode()
    >>> len(shrunk(whole.slice(0, 1), whole.type).dictionary)
    1
    """
    if column.type == kind and len(column.dictionary) <= max(len(column), _MIN_SHARED):
        return column
    return column.dictionary_decode().cast(kind.value_type).dictionary_encode().cast(kind)


def concat(columns: Sequence[pa.Array]) -> pa.Array:
    """Return columns of one type, or keys with and without a dictionary, as one column.

    >>> concat([pa.array([b"a"]), pa.array([b"b"]).dictionary_encode()]).to_pylist()
    [b'a', b'b']
    """
    if len(columns) == 1:
        return columns[0]
    if len({column.type for column in columns}) > 1:
        columns = [c.dictionary_decode() if pa.types.is_dictionary(c.type) else c for c in columns]
    return pa.concat_arrays(columns)


def concat_slices(parts: Sequence[Slice], max_rows: int) -> Slice:
    """Return slices that follow each other as one, of at most so many rows.

    Args:
        parts: The slices, at least one; each begins where the one before it ends.
        max_rows: How many rows to keep.
    """
    first = parts[0]
    if len(parts) == 1 and len(first.keys) <= max_rows:
        return first
    columns = [concat([part.data.column(i) for part in parts]) for i in range(first.data.num_columns)]
    marks = [_marks(part) for part in parts]
    return cut(
        replace(
            first,
            next_offset=parts[-1].next_offset,
            keys=concat([part.keys for part in parts]),
            timestamps=np.concatenate([part.timestamps for part in parts]),
            data=pa.RecordBatch.from_arrays(columns, schema=first.data.schema),
            tombstones=np.concatenate(marks) if any(part.tombstones is not None for part in parts) else None,
        ),
        0,
        max_rows,
    )


def _marks(part: Slice) -> Mask:
    return np.zeros(len(part.keys), dtype=np.bool_) if part.tombstones is None else part.tombstones


def cut(part: Slice, skip: int, rows: int) -> Slice:
    """Return the records of a slice after the first `skip`, at most `rows` of them; nothing is copied."""
    deleted = None if part.tombstones is None else part.tombstones[skip : skip + rows]
    base = part.base_offset + skip
    return replace(
        part,
        base_offset=base,
        next_offset=base + rows if skip + rows < len(part.keys) else part.next_offset,
        keys=part.keys.slice(skip, rows),
        timestamps=part.timestamps[skip : skip + rows],
        data=part.data.slice(skip, rows),
        tombstones=deleted if deleted is not None and deleted.any() else None,
    )


def newest(keys: pa.Array) -> tuple[list[bytes], Ints]:
    """Return each key once, with the row of its last record.

    Args:
        keys: Key bytes, binary or dictionary of binary; shape (n,).

    >>> found, rows = newest(pa.array([b"a", b"b", b"a"]))
    >>> found, rows.tolist()
    ([b'a', b'b'], [2, 1])
    """
    coded = (keys.dictionary_decode() if pa.types.is_dictionary(keys.type) else keys).dictionary_encode()
    last = np.zeros(len(coded.dictionary), dtype=np.int64)
    last[coded.indices.to_numpy(zero_copy_only=False)] = np.arange(len(keys))
    return coded.dictionary.to_pylist(), last
