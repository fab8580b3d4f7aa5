"""Keeps a writer for each fence in use: each has a producer of its own, which costs threads and connections."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ashioto.errors import StaleEpochError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ashioto.clock import Clock
    from ashioto.log.base import Fence
    from ashioto.log.kafka.leases import Fenced
    from ashioto.log.kafka.write import Outgoing
    from ashioto.log.leases import Lease

IDLE_S: Final = 60.0
"""After how long a writer that nobody uses is let go of, seconds: the fence may be another's, and nobody said so."""


@dataclass(slots=True, eq=False)
class _Kept:
    """Holds a writer.

    Args:
        writer: The writer.
        used_at: When it was used last, monotonic seconds.
        users: How many calls use it now.
        ended: Whether this process writes under the fence no more, as far as is known.
    """

    writer: Fenced
    used_at: float
    users: int = 0
    ended: bool = False


class FencedWriters:
    """Finds the writer of a fence, and lets go of one that is used no more; it is made again where it is.

    Args:
        make: Makes the writer of a fence, by name.
        clock: Says since when one is not used.
    """

    def __init__(self, make: Callable[[str], Fenced], clock: Clock) -> None:
        self._make, self._clock = make, clock
        self._lock = threading.Lock()
        self._kept: dict[str, _Kept] = {}

    def append(self, found: list[Outgoing], fence: Fence) -> None:
        """Write records under a fence, all or none; takes and raises what `Fenced.append` does."""
        with self._used(fence.name) as kept:
            kept.writer.append(found, fence)
            kept.ended = False

    def change(self, name: str, change: Callable[[Lease | None], Lease | None]) -> Lease | None:
        """Replace a lease; takes, returns and raises what `Fenced.change` does."""
        with self._used(name) as kept:
            lease = kept.writer.change(change)
            kept.ended = lease is not None and lease.holder is None
        return lease

    def close(self) -> None:
        """Let go of all of them."""
        with self._lock:
            gone, self._kept = list(self._kept.values()), {}
        for kept in gone:
            kept.writer.close()

    @contextmanager
    def _used(self, name: str) -> Iterator[_Kept]:
        with self._lock:
            kept = self._kept.get(name)
            if kept is None:
                kept = self._kept[name] = _Kept(writer=self._make(name), used_at=self._clock.monotonic())
            kept.users += 1
        try:
            yield kept
        except StaleEpochError:
            kept.ended = True
            raise
        finally:
            self._give_back(kept)

    def _give_back(self, kept: _Kept) -> None:
        with self._lock:
            kept.users, kept.used_at = kept.users - 1, self._clock.monotonic()
            gone = {name: one for name, one in self._kept.items() if self._is_done(one)}
            for name in gone:
                del self._kept[name]
        for one in gone.values():
            one.writer.close()

    def _is_done(self, kept: _Kept) -> bool:
        return not kept.users and (kept.ended or self._clock.monotonic() - kept.used_at >= IDLE_S)
