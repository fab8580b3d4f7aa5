"""Sends heartbeats in tests without an election, and says what must be in the log."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from tests.support_planning import HOURS, markers_of

from ashioto import naming
from ashioto.control.specs import derive_spec
from ashioto.control.state import heartbeat_state
from ashioto.engines.embedded.plan import compile_query
from ashioto.engines.embedded.topics import query_topics, system_topics
from ashioto.heartbeat.beat import Sender, SpecBeat
from ashioto.heartbeat.options import HeartbeatOptions
from ashioto.log.base import Batch, Fence, TopicSpec
from ashioto.log.passing import PassingLog
from ashioto.schema.arrow import from_numpy, key_column, storage_schema

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from tests.support_planning import Row

    from ashioto.heartbeat.members import Key
    from ashioto.log.base import Log, Slice, TopicInfo
    from ashioto.logical.nodes import Query

Content = tuple[Any, ...]
HOURS_TOPIC = naming.topic("t", "Hours")


class Beats:
    """Sends the markers of one query when they are due.

    Args:
        log: Where schedule, ticks and heartbeats are.
        query: Whose buckets these are; continuous.
        start_ms: Markers due after this moment are sent.
        env: Environment and cluster, as in every control key.
        options: How much at once.
    """

    def __init__(
        self, log: Log, query: Query, *, start_ms: int, env: tuple[str, ...] = ("dev", "local"),
        options: HeartbeatOptions | None = None,
    ) -> None:  # fmt: skip
        spec = derive_spec(query, version=1, updated_ms=start_ms + 1)
        self.beat = SpecBeat(log, env, spec, options=options or HeartbeatOptions(), hold=None)
        known = heartbeat_state(log, self.beat.key)
        self._become(1 if known is None else known.epoch + 1)
        self.beat.rewind(start_ms)
        self.beat._set = False  # it begins, no clock was set

    @property
    def sent_ms(self) -> int:
        """Every marker due at or before this moment has been sent."""
        return self.beat.sent

    def due_ms(self) -> int | None:
        """Return when the next marker is due, ms."""
        return self.beat.due_ms()

    def restart_at(self, start_ms: int) -> None:
        """Go on from another moment under a new epoch, as after the clock was set for a replay."""
        self._become(self._sender.fence.epoch + 1)
        self.beat.rewind(start_ms)

    def know(self, found: Iterable[Key]) -> None:
        """Add keys that have no bars yet, where the schedule does not name them."""
        self.beat.followed.know(set(found))

    def send(self, now_ms: int) -> int:
        """Send every marker that is due; returns how many."""
        count = 0
        self.beat.refresh(find=True)
        while True:
            sent = self.beat.send(now_ms, self._sender)
            count += sent.live + sent.final
            if self.beat.sent >= now_ms and not self.beat.is_behind:
                return count

    def _become(self, epoch: int) -> None:
        self._sender = Sender(fence=Fence(name="hb", epoch=epoch), holder="test", since_ms=0)


def session_batch(found: Mapping[Key, Iterable[Row]], *, removed: Mapping[Key, Iterable[Row]] | None = None) -> Batch:
    """Sessions by (broker, symbol) as records of the schedule topic; those that are removed as tombstones, first."""
    gone = [(symbol, broker, *row) for (broker, symbol), rows in (removed or {}).items() for row in rows]
    flat = gone + [(symbol, broker, *row) for (broker, symbol), rows in found.items() for row in rows]
    schema = storage_schema(HOURS)
    texts = [pa.array([r[i] for r in flat], pa.string()).dictionary_encode() for i in (0, 1)]
    numbers = [from_numpy(np.array([r[i] for r in flat], dtype=np.int64), schema.field(i).type) for i in (2, 3, 4)]
    data = pa.RecordBatch.from_arrays([*texts, *numbers], schema=schema)
    return Batch(
        topic=HOURS_TOPIC,
        partition=0,
        keys=key_column(HOURS.keys, data),
        timestamps=np.zeros(len(flat), dtype=np.int64),
        data=data,
        tombstones=np.arange(len(flat)) < len(gone) if gone else None,
    )


def create_topics(log: Log, plan: Query, *, partitions: int = 2) -> None:
    """Create every topic of a query, of its schedule and of the control records."""
    hours = TopicSpec(name=HOURS_TOPIC, cleanup="compact", schema=storage_schema(HOURS))
    log.create([hours, *system_topics(), *query_topics(compile_query(plan), partitions)])


def contents(log: Log, plan: Query) -> Counter[Content]:
    """What the markers in the log say, and how often, whoever sent them."""
    found: Counter[Content] = Counter()
    for _, rows in records(log, plan):
        found.update(content(row) for row in rows if row["kind"] != "clock")
    return found


def records(log: Log, plan: Query) -> Iterator[tuple[int, list[dict[str, Any]]]]:
    """Every record of the heartbeat topic, by partition."""
    topic = naming.heartbeat_topic(plan.context, plan.entity.name)
    for partition in log.end_offsets(topic):
        at, rows = 0, list[dict[str, Any]]()
        while (part := log.read(topic, partition, at)) is not None:
            rows += part.data.to_pylist()
            at = part.next_offset
        yield partition, rows


def content(row: dict[str, Any]) -> Content:
    """What a marker says."""
    times = (row[n] for n in ("due", "at", "bucket_start", "bucket_end", "market_date", "session_open"))
    following = (row[n] for n in ("next_at", "next_bucket_start", "next_market_date", "next_session_open"))
    return (
        (row["broker"], row["symbol"]),
        row["kind"],
        *map(number, times),
        tuple(row["closes"]),
        *map(number, following),
    )


def number(value: datetime | date | None) -> int | None:
    """A time as ms, a date as days."""
    if value is None:
        return None
    return round(value.timestamp() * 1000) if isinstance(value, datetime) else (value - date(1970, 1, 1)).days


def planned(plan: Query, hours: Mapping[Key, Iterable[Row]], *, after: int, until: int) -> Counter[Content]:
    """What every marker due in a stretch of time should say, from the schedule alone."""
    return Counter(
        (key, m.kind, m.due, m.at, m.bucket_start, m.bucket_end, m.day, m.opened, m.closes,
         m.next_at, m.next_bucket_start, m.next_day, m.next_opened)
        for key, rows in hours.items()
        for m in (markers_of(plan, sorted(rows)) if rows else [])
        if after < m.due <= until
    )  # fmt: skip


class TrimmedLog(PassingLog):
    """Passes everything on to another log, whose schedule topic it shows from an offset on only.

    Args:
        inner: The log.
        start: The first offset that can still be read.
    """

    def __init__(self, inner: Log, *, start: int) -> None:
        super().__init__(inner)
        self.start = start

    def describe(self, topic: str) -> TopicInfo:
        """Describe a topic."""
        found = super().describe(topic)
        return replace(found, start_offsets={0: self.start}) if topic == HOURS_TOPIC else found

    def read(self, topic: str, partition: int, offset: int, *, max_rows: int = 262_144) -> Slice | None:
        """Read, below the first offset from the first on."""
        first = max(offset, self.start) if topic == HOURS_TOPIC else offset
        return super().read(topic, partition, first, max_rows=max_rows)
