"""The thread of an open log that keeps its key index behind the appends, and its write-ahead log short."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final

from ashioto.errors import LogError

if TYPE_CHECKING:
    from ashioto.log.embedded.index import Indexer

_LOOK_S: Final = 1.0
_RETRY_S: Final = 5.0


class Background:
    """Starts a thread when there is something to do first; it ends when it is stopped, and what fails is tried again.

    Args:
        indexer: Does the work.
    """

    def __init__(self, indexer: Indexer) -> None:
        self._indexer = indexer
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._wake, self._stopped = threading.Event(), threading.Event()
        self._idle = True

    def notice(self, *, urgent: bool = False) -> None:
        """Take note that there is a tail, or a long write-ahead log.

        Args:
            urgent: Whether to look at once.
        """
        if self._thread is None:
            self._start()
        if urgent or self._idle:
            self._wake.set()

    def _start(self) -> None:
        with self._lock:
            if self._thread is None and not self._stopped.is_set():
                self._thread = threading.Thread(target=self._run, name="ashioto-index", daemon=True)
                self._thread.start()

    def stop(self) -> None:
        """End the thread after the transaction that it is in."""
        with self._lock:
            self._stopped.set()
            self._wake.set()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join()

    def _run(self) -> None:
        wait_s: float | None = _LOOK_S
        while not self._stopped.is_set():
            self._wake.wait(wait_s)
            self._wake.clear()
            self._idle = True
            wait_s = self._turn()
            self._idle = wait_s is None

    def _turn(self) -> float | None:
        """Index what is due; return when to look again, None for when there is a tail again."""
        try:
            with self._indexer.alone:
                self._indexer.checkpoint()
                due, some = self._indexer.look()
            for name in due:
                self._index(name)
        except LogError:
            return _RETRY_S  # no room, or somebody holds the file; the tail is as good for now
        return _LOOK_S if some else None

    def _index(self, name: str) -> None:
        with self._indexer.alone:
            for _ in self._indexer.steps(name):
                self._indexer.checkpoint()
                if self._stopped.wait(self._indexer.rest_s()):
                    return
