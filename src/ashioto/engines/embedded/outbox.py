"""Records that leave the engine beside bars: dead letters, and ticks that came too late."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from ashioto import naming
from ashioto.engines.embedded.topics import late_schema, record_bytes
from ashioto.log.base import Batch
from ashioto.log.dead_letters import dead_letters
from ashioto.schema.arrow import int64_view, key_column

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ashioto.bars.algebra import Ints
    from ashioto.engines.embedded.core import Overflow
    from ashioto.log.base import Slice
    from ashioto.logical.nodes import Query


class Outbox:
    """Collects the records of the next append; what the log has refused is in the one after it.

    Args:
        query: Whose ticks these are.
        partition: Number of the partition.
    """

    def __init__(self, query: Query, partition: int) -> None:
        self._query, self._partition = query, partition
        self._source = naming.topic(query.context, query.entity.name)
        self.batches: list[Batch] = []

    def late(self, rows: pa.RecordBatch, why: str | None = None) -> None:
        """Send ticks that came too late to the late topic.

        Args:
            rows: The ticks.
            why: The reason; None says that they are older than the retention.
        """
        query = self._query
        why = f"older than the retention of {query.retention_ms // 1000} s" if why is None else why
        reason = pa.array([why] * rows.num_rows, pa.string())
        self.batches.append(
            Batch(
                topic=naming.late_topic(query.context, query.entity.name),
                partition=self._partition,
                keys=key_column(query.entity.keys, rows),
                timestamps=np.ascontiguousarray(int64_view(rows.column(query.entity.timestamp or ""))),
                data=pa.RecordBatch.from_arrays([*rows.columns, reason], schema=late_schema(query)),
            )
        )

    def reject(
        self, found: Slice, batch: pa.RecordBatch, offsets: Ints, rows: Sequence[int], reasons: Sequence[str]
    ) -> None:
        """Send bad records to the dead letters with the reason, the original and where it came from.

        Args:
            found: What was read of the source.
            batch: Rows of it.
            offsets: Offset of each row.
            rows: Which are bad.
            reasons: Why, one a bad row.
        """
        self._bury(
            [
                {
                    "source_topic": self._source,
                    "source_partition": self._partition,
                    "source_offset": int(offsets[row]),
                    "reason": reason,
                    "record_key": found.keys[int(offsets[row]) - found.base_offset].as_py(),
                    "value": record_bytes(batch.slice(row, 1)),
                }
                for row, reason in zip(rows, reasons, strict=True)
            ]
        )

    def reject_bars(self, bars: Batch, overflows: Sequence[Overflow]) -> None:
        """Send finished bars to the dead letters in which a selected column is null since it leaves 64 bits."""
        finished = np.asarray(bars.data.column("final")) if self._query.continuous and overflows else np.True_
        for overflow in overflows:
            self._bury(
                [
                    {
                        "source_topic": bars.topic,
                        "source_partition": bars.partition,
                        "source_offset": None,
                        "reason": f"column {overflow.column!r} leaves 64 bits",
                        "record_key": bars.keys[row].as_py(),
                        "value": record_bytes(bars.data.slice(row, 1)),
                    }
                    for row in np.flatnonzero(overflow.rows & finished).tolist()
                ]
            )

    def overwritten(self, topic: str, bars: Sequence[bytes], data: pa.Table, *, why: str) -> list[Batch]:
        """Return dead letters of bars that had to give way; at once, not with the next append.

        Args:
            topic: Where they stood.
            bars: Their keys.
            data: Their values; one row a key.
            why: The reason.
        """
        rows = data.combine_chunks().to_batches()
        letters = [
            {
                "source_topic": topic,
                "source_partition": self._partition,
                "source_offset": None,
                "reason": why,
                "record_key": key,
                "value": record_bytes(rows[0].slice(row, 1)),
            }
            for row, key in enumerate(bars)
        ]
        return [dead_letters(letters)] if letters else []

    def _bury(self, data: list[dict[str, Any]]) -> None:
        if data:
            self.batches.append(dead_letters(data))
