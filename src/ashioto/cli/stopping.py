"""Ends a resident command when it is asked to, at once, also while it waits."""

from __future__ import annotations

import select
import signal
import socket
from typing import TYPE_CHECKING, Any, Final, Self

if TYPE_CHECKING:
    from types import FrameType

SIGNALS: Final = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]


class Stopping:
    """Collects the signals that ask the process to end, instead of ending it.

    >>> with Stopping() as stopping:
    ...     stopping.wait(0), bool(stopping)
    (False, False)
    """

    def __init__(self) -> None:
        self._asked = False
        self._before: dict[int, Any] = {}
        self._woken, self._waking = socket.socketpair()
        for end in (self._woken, self._waking):
            end.setblocking(False)

    def __bool__(self) -> bool:
        return self._asked

    def __enter__(self) -> Self:
        self._wakeup = signal.set_wakeup_fd(self._waking.fileno(), warn_on_full_buffer=False)
        self._before = {number: signal.signal(number, self._ask) for number in SIGNALS}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._wakeup)
        self._woken.close()
        self._waking.close()

    def wait(self, seconds: float) -> bool:
        """Wait so long, or until the process is asked to end; returns whether it was."""
        if not self._asked and seconds > 0:
            select.select([self._woken], [], [], seconds)
        return self._asked

    def _ask(self, _number: int, _frame: FrameType | None) -> None:
        self._asked = True
