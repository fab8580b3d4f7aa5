"""How far a version of a query has read a partition: a record each in `rc.engine.offsets`, written with its bars."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa

from ashioto import keys
from ashioto.engines.embedded.core import BEGINNING
from ashioto.engines.embedded.topics import OFFSETS, OFFSETS_SCHEMA
from ashioto.log.base import Batch

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ashioto.control.applied import Begins
    from ashioto.log.base import Log, ViewPage

_BEYOND: Final = b"\x20"
"""Follows the separator, so that a prefix and this end the range of the keys below it."""


@dataclass(slots=True)
class Progress:
    """Counts how far a partition has been read and what became of its ticks.

    Args:
        source_offset: Offset of the next tick.
        hb_offset: Offset of the next heartbeat.
        now_ms: What time the heartbeats have said it is, ms.
        epoch: Of the sender of the last heartbeat.
        ticks: Ticks counted into bars or dropped as out of session.
        out_of_session: Ticks outside the sessions of their key.
        unknown_key: Ticks of keys without a schedule.
        late: Ticks older than the retention.
        rejected: Bad records.
        problem: Why the version does not run; None while it does.
        rebuild: What is still to be done until the bars of older versions are gone; None when nothing is.
        schedule_offset: Up to which record of the schedule the bars follow it; -1 where there is none.
        followed: How far the bars that others write have been followed; None where nothing says so.
        written_ms: When the record was written, ms; 0 where it has not been.
    """

    source_offset: int = 0
    hb_offset: int = 0
    now_ms: int = BEGINNING
    epoch: int = 0
    ticks: int = 0
    out_of_session: int = 0
    unknown_key: int = 0
    late: int = 0
    rejected: int = 0
    problem: str | None = None
    rebuild: str | None = None
    schedule_offset: int = -1
    followed: str | None = None
    written_ms: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """Says where a version begins that has no progress yet.

    Args:
        begins: At the `start` of the ticks, or where the `previous` version stands.
        older: Identities of the older versions, newest first.
        graces: Grace of each of these, ms: it decides what was final when they stood where they stand.

    >>> Start(older=("rate_bars_v2", "rate_bars_v1"), graces=(0, 5_000)).begins
    'previous'
    """

    begins: Begins = "previous"
    older: tuple[str, ...] = ()
    graces: tuple[int, ...] = ()


def progress_key(env: tuple[str, ...], context: str, identity: str, partition: int) -> bytes:
    r"""Return the key of a record.

    Args:
        env: Environment and cluster.
        context: Of the query.
        identity: Name of the version inside the context, e.g. `rate_bars_v1`.
        partition: Of the source.

    >>> progress_key(("dev", "local"), "trading", "rate_bars_v1", 0)[-4:]
    b'v1\x1f0'
    """
    return keys.encode([*env, context, identity, partition])


def read_progress(log: Log, key: bytes) -> Progress | None:
    """Return the progress under a key, or None when the version has not begun there."""
    page = log.view(OFFSETS, start=key, stop=key + b"\x00")
    found = _decoded(page)
    return found[0] if found and found[0].source_offset >= 0 else None


def version_progress(log: Log, env: tuple[str, ...], context: str, identity: str) -> dict[int, Progress]:
    """Return the records of a version by partition; those that only tell a problem have a source offset of -1.

    Raises:
        UnknownTopicError: No engine ever ran on this log.
    """
    prefix = keys.encode([*env, context, identity])
    page = log.view(OFFSETS, start=prefix + keys.SEPARATOR.encode(), stop=prefix + _BEYOND)
    return {int(keys.decode(key)[-1]): found for key, found in zip(page.keys, _decoded(page), strict=True)}


def progress_batch(records: Iterable[tuple[bytes, Progress]], now_ms: int) -> Batch:
    """Return progress as records to append.

    Args:
        records: Key and progress of each.
        now_ms: When they are written, ms.
    """
    rows = list(records)
    return Batch(
        topic=OFFSETS,
        partition=0,
        keys=pa.array([key for key, _ in rows], pa.binary()),
        timestamps=np.full(len(rows), now_ms, dtype=np.int64),
        data=pa.RecordBatch.from_pylist([_row(progress) for _, progress in rows], schema=OFFSETS_SCHEMA),
    )


def _row(progress: Progress) -> dict[str, Any]:
    return {name: value for name, value in asdict(progress).items() if name in OFFSETS_SCHEMA.names}


def _decoded(page: ViewPage) -> list[Progress]:
    rows: list[dict[str, Any]] = page.data.to_pylist()
    return [
        Progress(**{name: value for name, value in row.items() if value is not None}, written_ms=written)
        for row, written in zip(rows, page.timestamps.tolist(), strict=True)
    ]
