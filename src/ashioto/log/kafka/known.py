"""Remembers topics, and asks anew after some seconds without waiting long for those who do not answer."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from ashioto.errors import AshiotoError, LogBusyError, RegistryError, UnknownTopicError
from ashioto.log.kafka.client import LOGGER

if TYPE_CHECKING:
    from collections.abc import Callable

    from ashioto.clock import Clock
    from ashioto.log.kafka.topics import Topic

PATIENCE_S: Final = 1.0
"""How long an answer about a topic that is known is waited for: less than a lease lasts."""
_OUTAGE: Final = (LogBusyError, RegistryError)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Entry:
    """Holds a topic as it was when it was asked for, and since when it is taken for true, monotonic seconds."""

    topic: Topic
    asked: float
    since: float


@dataclass(slots=True)
class _Question:
    """Holds what is asked about a topic by a thread of its own, and the answer once it is there."""

    done: threading.Event = field(default_factory=threading.Event)
    found: Topic | None = None
    error: AshiotoError | None = None


class Known:
    """Remembers what topics are; safe to use from several threads.

    While the brokers or the registry do not answer, a topic that is known is used as it is known: what is done with it
    shows whether it can be. Nobody waits for an answer while the last question got none.

    Args:
        find_out: Says what a topic is.
        clock: Says how old an answer is.
        ttl_s: How long an answer is taken for true, seconds.
        patience_s: How long an answer is waited for where one is known, seconds.
    """

    def __init__(
        self, find_out: Callable[[str], Topic], clock: Clock, ttl_s: float, *, patience_s: float = PATIENCE_S
    ) -> None:
        self._find_out, self._clock, self._ttl_s, self._patience_s = find_out, clock, ttl_s, patience_s
        self._lock = threading.Lock()
        self._entries: dict[str, _Entry] = {}
        self._questions: dict[str, _Question] = {}
        self._silent = False

    def get(self, name: str, *, anew: bool = False) -> Topic:
        """Return a topic as it is, or was a few seconds ago.

        Args:
            name: Of the topic.
            anew: Whether to ask even where the last answer is young.

        Raises:
            UnknownTopicError: It does not exist.
            LogError: It was not known before, and nobody answers.
        """
        with self._lock:
            known = self._entries.get(name)
        if known is None:
            return self.ask(name)
        if not anew and self._clock.monotonic() - known.since < self._ttl_s:
            return known.topic
        question = self._asked(name, anew=anew)
        if not question.done.wait(0.0 if self._silent else self._patience_s):
            self._note_silence(f"nobody says within {self._patience_s:g} s what {name} is")
        elif question.found is not None:
            return question.found
        elif question.error is not None and not isinstance(question.error, _OUTAGE):
            raise question.error
        self._keep(name)
        return known.topic

    def ask(self, name: str) -> Topic:
        """Return a topic as it is, however long that takes.

        Raises:
            UnknownTopicError: It does not exist.
            LogError: Nobody answers.
        """
        at = self._clock.monotonic()
        try:
            found = self._find_out(name)
        except UnknownTopicError:
            self.forget(name)
            raise
        with self._lock:
            known = self._entries.get(name)
            if known is None or known.asked <= at:
                self._entries[name] = _Entry(topic=found, asked=at, since=at)
        return found

    def forget(self, name: str) -> None:
        """Ask for a topic next time."""
        with self._lock:
            self._entries.pop(name, None)

    def _asked(self, name: str, *, anew: bool) -> _Question:
        """Return the question that is on its way, or a new one; what is asked anew needs an answer of its own."""
        with self._lock:
            running = self._questions.get(name)
            if running is not None and (self._silent or not anew):
                return running
            question = self._questions[name] = _Question()
        threading.Thread(target=self._answer, args=(name, question), name=f"look at {name}", daemon=True).start()
        return question

    def _answer(self, name: str, question: _Question) -> None:
        try:
            question.found = self.ask(name)
        except AshiotoError as error:
            question.error = error
        except RuntimeError:
            pass  # the log was closed meanwhile
        finally:
            with self._lock:
                if self._questions.get(name) is question:
                    del self._questions[name]
            if isinstance(question.error, _OUTAGE):
                self._note_silence(question.error.message)
            else:
                self._silent = False
            question.done.set()

    def _note_silence(self, why: str) -> None:
        if not self._silent:
            self._silent = True
            LOGGER.warning("topics are used as they are known: %s", why)

    def _keep(self, name: str) -> None:
        with self._lock:
            known = self._entries.get(name)
            if known is not None:
                self._entries[name] = replace(known, since=self._clock.monotonic())
