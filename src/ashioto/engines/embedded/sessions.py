"""Numbers keys and lays the sessions of their schedules side by side for the kernels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ashioto.engines.embedded.reschedule import NO_SESSIONS, Change
from ashioto.schedule.buckets import bucket_start

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from ashioto.bars.algebra import Ints
    from ashioto.logical.nodes import Query
    from ashioto.schedule.sessions import Sessions

Key = tuple[str, ...]


class SessionSource(Protocol):
    """Knows the sessions of every key of a query's grouping columns."""

    def sessions(self, key: Key) -> Sessions | None:
        """Return the sessions of a key, or None when it is unknown."""
        ...


class SessionBook:
    """Numbers keys as they appear, and holds the sessions each of them follows.

    Folding threads read `groups`, then `offsets`, then `sessions` without a lock; so they are replaced, never changed,
    in the opposite order.

    Args:
        query: The query whose base frame and alignment decide how sessions are cut.
        source: Who knows the sessions of a key.
    """

    def __init__(self, query: Query, source: SessionSource) -> None:
        self._query, self._source = query, source
        self._codes: dict[Key, int] = {}
        self.names: list[Key] = []
        self._columns: list[pa.Array] = []
        self.groups: Ints = np.full(16, -1, dtype=np.int64)
        self._forget_sessions()

    @property
    def keys(self) -> int:
        """How many keys there are."""
        return len(self.names)

    def group_sessions(self) -> list[Sessions]:
        """Return the different schedules, by group number."""
        return list(self._schedules)

    def columns(self) -> list[pa.Array]:
        """Return the grouping columns of all keys, in the order of their numbers."""
        if not self._columns or len(self._columns[0]) != len(self.names):
            parts = zip(*self.names, strict=True) if self.names else [()] * len(self._query.group_by)
            self._columns = [pa.array(part, pa.string()) for part in parts]
        return self._columns

    def code(self, key: Key) -> int:
        """Return the number of a key, giving it one if it is new."""
        found = self._codes.get(key)
        if found is None:
            found = self._codes[key] = len(self.names)
            self.names.append(key)
            if found >= self.groups.shape[0]:
                self.groups = np.concatenate([self.groups, np.full(self.groups.shape[0], -1, dtype=np.int64)])
            self.groups[found] = self._group_of(key)
        return found

    def codes(self, batch: pa.RecordBatch) -> npt.NDArray[np.int32]:
        """Return the number of every row's key; shape (rows,)."""
        rows = batch.num_rows
        combined = np.zeros(rows, dtype=np.int64)
        texts: list[list[str]] = []
        for name in self._query.group_by:
            column = batch.column(name)
            if not isinstance(column, pa.DictionaryArray):
                column = pc.cast(column, pa.string()).dictionary_encode()
            texts.append(column.dictionary.cast(pa.string()).to_pylist())
            if len(texts[-1]) > 1 or combined.any():
                combined = combined * len(texts[-1]) + column.indices.to_numpy(zero_copy_only=False)
        return self._number(combined, texts)

    def reload(self, source: SessionSource) -> list[Change]:
        """Take new schedules for every key that is known; returns whose sessions changed, and how."""
        before, old = self.group_sessions(), self.groups[: self.keys].copy()
        self._source = source
        self._forget_sessions()
        self.groups[: self.keys] = [self._group_of(key) for key in self.names]
        after, new = self.group_sessions(), self.groups[: self.keys]
        pairs, whose = np.unique(np.stack([old, new]), axis=1, return_inverse=True)
        found = []
        for number, (was, now) in enumerate(pairs.T.tolist()):
            sessions = before[was] if was >= 0 else NO_SESSIONS
            if now >= 0 and sessions != after[now]:
                codes = np.flatnonzero(whose.ravel() == number)
                found.append(Change(codes=codes, before=sessions, after=after[now]))
        return found

    def _number(self, combined: Ints, texts: list[list[str]]) -> npt.NDArray[np.int32]:
        space = int(np.prod([len(t) for t in texts], dtype=np.int64))
        if space == 1 and combined.shape[0]:
            return np.full(combined.shape[0], self.code(tuple(t[0] for t in texts)), dtype=np.int32)
        if space <= max(1 << 16, 4 * combined.shape[0]):
            present = np.zeros(space, dtype=np.bool_)
            present[combined] = True
            used = np.flatnonzero(present)
            lookup = np.zeros(space, dtype=np.int32)
            lookup[used] = self._assign(used, texts)
            return lookup[combined]
        used, inverse = np.unique(combined, return_inverse=True)
        return self._assign(used, texts)[inverse]

    def _assign(self, used: Ints, texts: list[list[str]]) -> npt.NDArray[np.int32]:
        parts: list[list[str]] = []
        for text in reversed(texts):
            parts.append([text[i] for i in (used % len(text)).tolist()])
            used = used // len(text)
        keys: Sequence[Key] = list(zip(*reversed(parts), strict=True)) if parts else []
        return np.array([self.code(key) for key in keys], dtype=np.int32)

    def _forget_sessions(self) -> None:
        self._schedules: dict[Sessions, int] = {}
        self._seen: dict[int, int] = {}
        self.offsets: Ints = np.zeros(1, dtype=np.int64)
        self.sessions: Ints = np.zeros((5, 0), dtype=np.int64)

    def _group_of(self, key: Key) -> int:
        sessions = self._source.sessions(key)
        if sessions is None or not len(sessions):
            return -1
        if (seen := self._seen.get(id(sessions))) is not None:
            return seen
        group = self._schedules.get(sessions)
        if group is None:
            group = self._schedules[sessions] = len(self._schedules)
            self.sessions = np.ascontiguousarray(np.hstack([self.sessions, self._matrix(sessions)]))
            self.offsets = np.append(self.offsets, self.offsets[-1] + len(sessions))
        if next(reversed(self._schedules)) is sessions:
            self._seen[id(sessions)] = group
        return group

    def _matrix(self, sessions: Sessions) -> Ints:
        """Rows open, close, origin of base buckets, market date, calendar bucket start; a column a session."""
        base, align = self._query.base, self._query.align
        origin = sessions.opens if align == "session" else np.zeros_like(sessions.opens)
        label = np.zeros_like(sessions.opens)
        if not base.is_intraday:
            label = bucket_start(base, align, sessions.opens, sessions.opens, sessions.days)
        return np.stack([sessions.opens, sessions.closes, origin, sessions.days, label])
