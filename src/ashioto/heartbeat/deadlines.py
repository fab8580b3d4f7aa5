"""When each of some things is to be looked at next: one heap, one moment a name."""

from __future__ import annotations

import heapq
from typing import Final

_SLACK: Final = 16


class Deadlines:
    """Keeps the next moment of each name; a new one takes the place of the one before.

    >>> deadlines = Deadlines()
    >>> deadlines.put("a", 5)
    >>> deadlines.put("b", 3)
    >>> deadlines.put("a", 9)
    >>> deadlines.first(), deadlines.take(5), deadlines.first()
    (3, ['b'], 9)
    """

    def __init__(self) -> None:
        self._heap: list[tuple[int, str]] = []
        self._at: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._heap)

    def put(self, name: str, at: int) -> None:
        """Say when a name is next, ms."""
        if self._at.get(name) == at:
            return
        self._at[name] = at
        heapq.heappush(self._heap, (at, name))
        if len(self._heap) > 2 * len(self._at) + _SLACK:  # most are outdated
            self._heap = [(moment, known) for known, moment in self._at.items()]
            heapq.heapify(self._heap)

    def drop(self, name: str) -> None:
        """Forget a name."""
        self._at.pop(name, None)

    def take(self, now: int) -> list[str]:
        """Return the names whose moment has come, earliest first; they have none until they get another."""
        found = []
        while (first := self.first()) is not None and first <= now:
            _, name = heapq.heappop(self._heap)
            del self._at[name]
            found.append(name)
        return found

    def first(self) -> int | None:
        """Return the earliest moment of all, ms; None when there is none."""
        while self._heap and self._at.get(self._heap[0][1]) != self._heap[0][0]:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None
