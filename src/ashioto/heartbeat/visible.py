"""A log whose views never wait: whoever has a lease to renew looks again later."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ashioto.log.passing import PassingLog

if TYPE_CHECKING:
    from ashioto.log.base import ViewPage


class VisibleLog(PassingLog):
    """Passes everything on to another log, and shows what its readers see at this moment.

    What somebody's open append hides is seen once that has ended. Nobody sees less than anybody saw before.

    Args:
        inner: The log.

    >>> from ashioto.testing.memory_log import MemoryLog
    >>> VisibleLog(MemoryLog()).create([])
    []
    """

    def view(
        self, topic: str, *, start: bytes | None = None, stop: bytes | None = None, limit: int | None = None,
        reverse: bool = False, settled: bool = False,
    ) -> ViewPage:  # fmt: skip
        """View a topic of the inner log as it is seen now."""
        return self.inner.view(topic, start=start, stop=stop, limit=limit, reverse=reverse, settled=settled)
