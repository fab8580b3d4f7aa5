"""Cuts what is due into appends: as many markers as fill one, never half of those that are due together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ashioto.heartbeat.planner import next_due, plan_markers
from ashioto.period import DAY_MS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ashioto.control.specs import HeartbeatSpec
    from ashioto.heartbeat.encoding import Due
    from ashioto.heartbeat.members import Members

_SEGMENTS: Final = 256
"""How many segments ahead a first look plans; later ones as many as fill an append."""
_PLANNED: Final = 4_096
"""About how many markers are planned at once at most, whoever gets them: the lease is renewed in between."""
_YEAR_MS: Final = 366 * DAY_MS


class Portions:
    """Plans the markers of a specification, an append at a time.

    Args:
        spec: The specification.
        max_rows: Most markers of one append; more only where so many are due at the same moment.
    """

    def __init__(self, spec: HeartbeatSpec, max_rows: int) -> None:
        self._spec, self._max_rows = spec, max_rows
        self._shortest = spec.base.millis if spec.base.is_intraday else DAY_MS
        self._span = _SEGMENTS * self._shortest

    def first_due(self, groups: Sequence[Members], after: int) -> int | None:
        """Return when the first marker after a moment is due, ms; None when the schedules have run out."""
        found = [next_due(self._spec, group.sessions, after=after) for group in groups]
        return min((due for due in found if due is not None), default=None)

    def next(self, groups: Sequence[Members], after: int, until: int, *, first: int | None) -> tuple[list[Due], int]:
        """Return markers of at most one append.

        Args:
            groups: Keys and their schedules.
            after: Markers due after this moment, ms.
            until: And at or before this one, ms.
            first: When the first of them is due, ms; what `first_due` says.

        Returns:
            The markers in the order in which they are due, and up to when these are all, ms.
        """
        if first is None or first > until:
            return [], until
        most = max(_PLANNED // (2 * len(groups)), 1) * self._shortest
        horizon = min(until, first + min(self._span, most))
        due = [
            (marker, group)
            for group in groups
            for marker in plan_markers(self._spec, group.sessions, after=after, until=horizon)
        ]
        due.sort(key=lambda d: (d[0].due, d[0].kind == "live"))
        kept = self._fitting(due)
        if kept < len(due):
            self._span = max(self._shortest, self._span // 2)
            return due[:kept], due[kept][0].due - 1
        if horizon < until:
            self._span = min(2 * self._span, _YEAR_MS)
        return due, horizon

    def _fitting(self, due: Sequence[Due]) -> int:
        """Return how many of the first ones fill an append."""
        kept, rows = 0, 0
        while kept < len(due):
            same = kept
            while same < len(due) and due[same][0].due == due[kept][0].due:
                rows += due[same][1].size
                same += 1
            if kept and rows > self._max_rows:
                break
            kept = same
        return kept
