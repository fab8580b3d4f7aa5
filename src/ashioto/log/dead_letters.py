"""Records that could not be used, with the reason, the original bytes and where they came from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa

from ashioto import keys
from ashioto.log.base import Batch

if TYPE_CHECKING:
    from collections.abc import Sequence

DEAD_LETTERS: Final = "rc.dlq"
DEAD_SCHEMA: Final = pa.schema(
    [
        ("source_topic", pa.string()),
        ("source_partition", pa.int64()),
        ("source_offset", pa.int64()),
        ("reason", pa.string()),
        ("record_key", pa.binary()),
        ("value", pa.binary()),
    ]
)


def dead_letters(rows: Sequence[dict[str, Any]]) -> Batch:
    r"""Return dead letters as a batch; the key says where each came from.

    Args:
        rows: By the columns of `DEAD_SCHEMA`.

    >>> origin = {"source_topic": "t", "source_partition": 0, "source_offset": 7}
    >>> dead_letters([origin | {"reason": "damaged", "record_key": b"k", "value": b""}]).keys.to_pylist()
    [b'1\x1ft\x1f0\x1f7']
    """
    origins = [(r["source_topic"], r["source_partition"], r["source_offset"]) for r in rows]
    record_keys = [keys.encode([t, p, -1 if offset is None else offset]) for t, p, offset in origins]
    return Batch(
        topic=DEAD_LETTERS,
        partition=0,
        keys=pa.array(record_keys, pa.binary()),
        timestamps=np.zeros(len(rows), dtype=np.int64),
        data=pa.RecordBatch.from_pylist(list(rows), schema=DEAD_SCHEMA),
    )
