"""Holds markers back until the query has read up to their cut, for engines that cannot wait themselves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ashioto.clock import Clock
    from ashioto.control.specs import HeartbeatSpec

LIMIT_S: Final = 30.0
LOOK_S: Final = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """Holds markers back.

    Args:
        until: Markers due at or before this moment wait, ms.
        cuts: Offset of each partition of the source that the query must have read.
        since: When the waiting began, monotonic seconds.
        is_again: Whether they are sent again, after a change of the schedule.
    """

    until: int
    cuts: Mapping[int, int]
    since: float
    is_again: bool = False


class Hold:
    """Says how long markers wait: until the query has read what was there at their deadline, or the limit is over.

    A dead feed therefore shows as lag, and not as bars that are final too early.

    Args:
        progress: Up to which offset a spec's query has read each partition; None when it has not begun.
        clock: Its monotonic reading measures the limit.
        limit_s: How long markers are held at most, seconds.
    """

    def __init__(
        self,
        progress: Callable[[HeartbeatSpec], Mapping[int, int] | None],
        clock: Clock,
        *,
        limit_s: float = LIMIT_S,
    ) -> None:
        self._progress, self._clock, self._limit_s = progress, clock, limit_s

    def begin(self, until: int, cuts: Mapping[int, int], *, is_again: bool = False) -> Held:
        """Return what is held from now on."""
        return Held(until=until, cuts=dict(cuts), since=self._clock.monotonic(), is_again=is_again)

    def is_over(self, held: Held) -> bool:
        """Return whether the limit has passed."""
        return self._clock.monotonic() - held.since >= self._limit_s

    def is_read(self, spec: HeartbeatSpec, held: Held) -> bool:
        """Return whether the query has read up to the cut."""
        read = self._progress(spec)
        return read is not None and all(read.get(partition, 0) >= cut for partition, cut in held.cuts.items())
