"""Sends the heartbeats of one query in tests, without an election."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ashioto.control.specs import derive_spec
from ashioto.control.state import heartbeat_state
from ashioto.heartbeat.beat import Sender, SpecBeat
from ashioto.heartbeat.options import HeartbeatOptions
from ashioto.log.base import Fence

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ashioto.heartbeat.members import Key
    from ashioto.log.base import Log
    from ashioto.logical.nodes import Query


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
        finder = self.beat._finder
        if finder is not None and not finder.keys >= (new := set(found)):
            finder.keys |= new
            self.beat._regroup()

    def send(self, now_ms: int) -> int:
        """Send every marker that is due; returns how many."""
        count = 0
        self.beat.refresh(find=True)
        while True:
            sent = self.beat.send(now_ms, self._sender)
            count += sent.live + sent.final
            if self.beat.sent >= now_ms and not self.beat._again:
                return count

    def _become(self, epoch: int) -> None:
        self._sender = Sender(fence=Fence(name="hb", epoch=epoch), holder="test", since_ms=0)
