"""Drives the planner inside one process: the heartbeat of `rc dev`, without election or fencing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from ashioto import keys, naming
from ashioto.control.schedules import LogSchedules
from ashioto.control.topics import HB_STATE, HB_STATE_SCHEMA, marker_schema
from ashioto.heartbeat.planner import next_due, plan_markers
from ashioto.log.base import Batch
from ashioto.log.partition import partition_of
from ashioto.schema.arrow import int64_view

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ashioto.heartbeat.planner import Marker
    from ashioto.log.base import Log
    from ashioto.logical.nodes import Query
    from ashioto.schedule.sessions import Sessions

Key = tuple[str, ...]


class InProcessHeartbeat:
    """Sends the markers of one query when they are due.

    Args:
        log: Where schedule, ticks and heartbeats are.
        query: Whose buckets these are; continuous.
        start_ms: Markers due after this moment are sent.
        env: Environment and cluster, as in every control key.
    """

    def __init__(self, log: Log, query: Query, *, start_ms: int, env: tuple[str, ...] = ("dev", "local")) -> None:
        self._log, self._query = log, query
        self._source = naming.topic(query.context, query.entity.name)
        self._topic = naming.heartbeat_topic(query.context, query.entity.name)
        self._key = keys.SEPARATOR.join([*env, query.context, query.entity.name, query.base.kind]).encode()
        self._schedules = LogSchedules(log, query)
        self._seen: set[Key] = set()
        self._partitions = log.describe(self._source).spec.partitions
        self._sent, self._epoch = start_ms, self._last_epoch() + 1
        self._grouped: list[tuple[Sessions, list[Key]]] | None = None
        self._known: set[Key] = set()
        self._due: int | None = None
        self._looked_ahead = False

    @property
    def sent_ms(self) -> int:
        """Every marker due at or before this moment has been sent."""
        return self._sent

    def restart_at(self, start_ms: int) -> None:
        """Go on from another moment under a new epoch, as after the clock was set for a replay."""
        self._sent, self._epoch = start_ms, self._epoch + 1
        self._looked_ahead = False

    def resume(self, *, earliest_ms: int) -> None:
        """Go on from the last heartbeat that was recorded, so that what ended while nothing ran is closed.

        Args:
            earliest_ms: Markers due before this are left out.
        """
        page = self._log.view(HB_STATE, start=self._key, stop=self._key + b"\x00")
        if page.keys:
            last = int(int64_view(page.data.column("last_hb_at_utc"))[0])
            self._sent = min(self._sent, max(last, earliest_ms))
            self._looked_ahead = False

    def know(self, found: Iterable[Key]) -> None:
        """Add keys that the schedule does not name itself, because it is open for all of them."""
        before = len(self._seen)
        self._seen.update(found)
        if len(self._seen) > before and not self._seen <= self._known:
            self._regroup()

    def due_ms(self) -> int | None:
        """Return when the next marker is due, ms, or None when the schedule, as it was last read, has run out."""
        if not self._looked_ahead:
            found = [next_due(self._query, sessions, after=self._sent) for sessions, _ in self._groups()]
            self._due = min((due for due in found if due is not None), default=None)
            self._looked_ahead = True
        return self._due

    def send(self, now_ms: int) -> int:
        """Send every marker that is due; after a failure the same ones are due again.

        Args:
            now_ms: The time, ms.

        Returns:
            How many markers were sent.

        Raises:
            LogError: The log refused; nothing was sent.
        """
        if now_ms <= self._sent:
            return 0
        if self._schedules.refresh():
            self._regroup()
        due = self.due_ms()
        if due is None or now_ms < due:
            self._sent = now_ms
            return 0
        cuts = self._log.end_offsets(self._source)
        rows: list[tuple[Marker, Key]] = []
        for sessions, members in self._groups():
            markers = plan_markers(self._query, sessions, after=self._sent, until=now_ms)
            rows += [(marker, key) for marker in markers for key in members]
        rows.sort(key=lambda r: (r[0].due, r[0].kind == "live", r[1]))
        if rows:
            self._log.append([*self._batches(rows, cuts), self._state(now_ms)])
        self._sent, self._looked_ahead = now_ms, False
        return len(rows)

    def _regroup(self) -> None:
        self._grouped, self._looked_ahead = None, False

    def _groups(self) -> list[tuple[Sessions, list[Key]]]:
        if self._grouped is None:
            self._grouped = self._grouping()
        return self._grouped

    def _grouping(self) -> list[tuple[Sessions, list[Key]]]:
        found: dict[int, tuple[Sessions, list[Key]]] = {}
        self._known = self._seen | self._scheduled()
        for key in sorted(self._known):
            sessions = self._schedules.sessions(key)
            if sessions is not None:
                found.setdefault(id(sessions), (sessions, []))[1].append(key)
        return list(found.values())

    def _scheduled(self) -> set[Key]:
        """Return the keys that the schedule names in full; it may name their parts in another order."""
        frame, wanted = self._query.time_frame, self._query.group_by
        named = [mine for mine, _ in frame.join] if frame is not None else []
        if set(named) != set(wanted):
            return set()
        places = [named.index(name) for name in wanted]
        return {tuple(key[place] for place in places) for key in self._schedules.scheduled()}

    def _batches(self, rows: list[tuple[Marker, Key]], cuts: dict[int, int]) -> list[Batch]:
        split: dict[int, list[tuple[Marker, Key]]] = {}
        for row in rows:
            split.setdefault(partition_of(keys.encode(row[1]), self._partitions), []).append(row)
        return [
            Batch(
                topic=self._topic,
                partition=partition,
                keys=pa.array([keys.encode(key) for _, key in part], pa.binary()),
                timestamps=np.array([marker.at for marker, _ in part], dtype=np.int64),
                data=self._data(part, cuts[partition]),
            )
            for partition, part in sorted(split.items())
        ]

    def _data(self, rows: list[tuple[Marker, Key]], cut: int) -> pa.RecordBatch:
        schema = marker_schema(self._query.group_by)
        markers = [m for m, _ in rows]
        columns = [[key[i] for _, key in rows] for i in range(len(self._query.group_by))]
        values = [
            *columns,
            [self._query.base.kind] * len(rows),
            [m.kind for m in markers],
            [m.at for m in markers],
            [m.due for m in markers],
            [m.bucket_start for m in markers],
            [m.bucket_end for m in markers],
            [m.day for m in markers],
            [list(m.closes) for m in markers],
            [m.next_at for m in markers],
            [m.next_bucket_start for m in markers],
            [m.next_day for m in markers],
            [cut] * len(rows),
            [self._epoch] * len(rows),
        ]
        arrays = [pa.array(v, f.type) for v, f in zip(values, schema, strict=True)]
        return pa.RecordBatch.from_arrays(arrays, schema=schema)

    def _last_epoch(self) -> int:
        page = self._log.view(HB_STATE, start=self._key, stop=self._key + b"\x00")
        return int(page.data.column("epoch")[0].as_py()) if page.keys else 0

    def _state(self, now_ms: int) -> Batch:
        values = [[now_ms], ["active"], ["rc dev"], [self._epoch], [now_ms], [-1]]
        arrays = [pa.array(v, f.type) for v, f in zip(values, HB_STATE_SCHEMA, strict=True)]
        return Batch(
            topic=HB_STATE,
            partition=0,
            keys=pa.array([self._key], pa.binary()),
            timestamps=np.array([now_ms], dtype=np.int64),
            data=pa.RecordBatch.from_arrays(arrays, schema=HB_STATE_SCHEMA),
        )
