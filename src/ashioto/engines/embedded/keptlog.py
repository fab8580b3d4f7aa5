"""A log that does something small before each call, so that a long stretch of work never goes without it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ashioto.log.passing import PassingLog

if TYPE_CHECKING:
    from collections.abc import Callable

    from ashioto.log.base import Log


class KeptLog(PassingLog):
    """Passes everything on to another log: the engine keeps its role by it while it reads back a million bars.

    Args:
        inner: The log.
        before: Called before each call; what it raises ends that call.

    >>> from ashioto.testing.memory_log import MemoryLog
    >>> KeptLog(MemoryLog(), lambda: print("kept")).create([])
    kept
    []
    """

    def __init__(self, inner: Log, before: Callable[[], None]) -> None:
        super().__init__(inner)
        self._before = before

    @property
    def inner(self) -> Log:
        """The log, once what comes before a call is done."""
        self._before()
        return super().inner
