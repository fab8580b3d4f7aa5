"""The log: topics of partitions of records, appended to and read in batches of columns.

Six methods, and one contract suite that every implementation passes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa

Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]
Cleanup = Literal["delete", "compact"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicSpec:
    """Declares a topic.

    Args:
        name: Its full name, e.g. `trading.rate`.
        partitions: How many partitions, >= 1.
        cleanup: `delete` keeps every record (for `retention_ms`), `compact` at least the newest of each key.
        schema: Columns of the values.
        retention_ms: How long records of a `delete` topic are kept; None is for ever.
    """

    name: str
    partitions: int = 1
    cleanup: Cleanup = "delete"
    schema: pa.Schema
    retention_ms: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicInfo:
    """Describes a topic that exists.

    Args:
        spec: How it was declared.
        start_offsets: First offset that can be read, by partition.
        end_offsets: Offset of the next record, by partition.
        drift: Which settings of the log are not what a topic that is declared so gets, for people; `alter` sets them.
    """

    spec: TopicSpec
    start_offsets: dict[int, int]
    end_offsets: dict[int, int]
    drift: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Holds records to append to one partition.

    Args:
        topic: Name of the topic.
        partition: Number of the partition.
        keys: Key bytes, binary or dictionary of binary; shape (n,).
        timestamps: Event time of each record, ms; shape (n,).
        data: Values in the topic's schema, n rows.
        tombstones: Where the record deletes its key; None means nowhere. The values of such rows do not count.
    """

    topic: str
    partition: int
    keys: pa.Array
    timestamps: Ints
    data: pa.RecordBatch
    tombstones: Mask | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Fence:
    """Names the writer of an append, so that a newer writer shuts out older ones.

    Args:
        name: What is written by one writer at a time.
        epoch: Grows with every new writer.
    """

    name: str
    epoch: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Appended:
    """Says where a run of records went: offsets `[base_offset, base_offset + count)`.

    Args:
        topic: Name of the topic.
        partition: Number of the partition.
        base_offset: Offset of the first record.
        count: How many records.
        next_offset: Between the last record and this offset there is nothing to read.
    """

    topic: str
    partition: int
    base_offset: int
    count: int
    next_offset: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """Holds all there is to read at `[base_offset, next_offset)`: records at `[base_offset, base_offset + n)`.

    Whoever reads on goes on at `next_offset`, also where there is no record: not every offset need hold one.

    Args:
        topic: Name of the topic.
        partition: Number of the partition.
        base_offset: Offset of the first record; without records, the offset asked for.
        next_offset: Where to read on, at least `base_offset + n`.
        keys: Key bytes, binary or dictionary of binary; shape (n,).
        timestamps: Event times, ms; shape (n,).
        data: Values, n rows.
        tombstones: Where the record deletes its key; None means nowhere.
    """

    topic: str
    partition: int
    base_offset: int
    next_offset: int
    keys: pa.Array
    timestamps: Ints
    data: pa.RecordBatch
    tombstones: Mask | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ViewPage:
    """Holds the newest record of each key of a range, in the order of the keys as asked for.

    Args:
        keys: Key bytes.
        offsets: Offset of each record; shape (n,).
        timestamps: Event time of each, ms; shape (n,).
        data: Values, n rows.
    """

    keys: list[bytes]
    offsets: Ints
    timestamps: Ints
    data: pa.RecordBatch


class Log(Protocol):
    """Keeps topics of records."""

    def create(self, specs: Sequence[TopicSpec]) -> list[str]:
        """Create the topics that do not exist yet and return their names.

        Raises:
            LogError: A topic exists with another number of partitions, cleanup or schema.
        """
        ...

    def describe(self, topic: str) -> TopicInfo:
        """Return how a topic was declared and which offsets it holds.

        Raises:
            UnknownTopicError: It was never created.
        """
        ...

    def append(self, batches: Sequence[Batch], *, fence: Fence | None = None) -> list[Appended]:
        """Append batches, all or none, durably.

        Returns:
            Where each batch went, in order; several runs where the records of other writers came in between.

        Raises:
            StaleEpochError: A writer of the same fence with a larger epoch has appended before.
            UnknownTopicError: A topic was never created.
            LogFullError: The disk is full.
        """
        ...

    def read(self, topic: str, partition: int, offset: int, *, max_rows: int = 262_144) -> Slice | None:
        """Return records from an offset on, or None at the end; below the first, from the first on.

        A slice without records covers offsets that hold none. Its base is above the offset asked for only where the
        records before it are gone from the start of the log.
        """
        ...

    def end_offsets(self, topic: str, *, committed: bool = True) -> dict[int, int]:
        """Return the offset of the next record, by partition.

        Args:
            topic: Name of the topic.
            committed: Whether up to where readers see records now; else also behind those that are durable and that the
                open append of somebody else hides for a while. Readers get there, whatever becomes of that.
        """
        ...

    def view(
        self, topic: str, *, start: bytes | None = None, stop: bytes | None = None, limit: int | None = None,
        reverse: bool = False, settled: bool = True,
    ) -> ViewPage:  # fmt: skip
        """Return the newest record of each key in `[start, stop)` of a compact topic, in key order, by its index.

        Args:
            topic: Name of the topic.
            start: The first key, or None.
            stop: The key behind the last, or None.
            limit: At most so many; None for all.
            reverse: From the last key to the first.
            settled: Whether to wait for what was committed before and is hidden by the open append of somebody else;
                else it shows what readers see now, at least up to what `end_offsets` has said before.
        """
        ...
