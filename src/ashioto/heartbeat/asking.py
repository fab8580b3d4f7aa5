"""Asks an engine how far the query of a heartbeat specification has read, for `Hold`."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from ashioto.control.applied import registrations
from ashioto.errors import EngineError
from ashioto.heartbeat.visible import VisibleLog
from ashioto.observe.logs import fields

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ashioto.clock import Clock
    from ashioto.control.applied import Registration
    from ashioto.control.specs import HeartbeatSpec
    from ashioto.engines.base import Engine
    from ashioto.log.base import Log

LOG: Final = logging.getLogger("ashioto.heartbeat")
ASK_S: Final = 0.2
"""How old an answer may be, seconds; one that is old holds markers back a little longer, and never too short."""
_LOOK_S: Final = 5.0
"""How often it is looked again for the version of a specification that was not found."""


class EngineProgress:
    """Knows how far queries have read, as the engine has said just now.

    Args:
        engine: Runs the queries.
        log: Where versions are recorded.
        env: Environment and cluster.
        clock: Says how old an answer is.
    """

    def __init__(self, engine: Engine, log: Log, *, env: tuple[str, ...], clock: Clock) -> None:
        self._engine, self._log, self._env, self._clock = engine, VisibleLog(log), env, clock
        self._known: dict[tuple[str, str, int], Registration] = {}
        self._looked: dict[tuple[str, str, int], float] = {}
        self._said: dict[str, tuple[float, Mapping[int, int] | None]] = {}

    def __call__(self, spec: HeartbeatSpec) -> Mapping[int, int] | None:
        """Return up to which offset a spec's query has read each partition; None where that is not known now."""
        registration = self._version(spec)
        if registration is None:
            return None
        now = self._clock.monotonic()
        at, said = self._said.get(registration.name, (float("-inf"), None))
        if now - at >= ASK_S:
            said = self._asked(registration, spec)
            self._said[registration.name] = self._clock.monotonic(), said
        return said

    def _asked(self, registration: Registration, spec: HeartbeatSpec) -> Mapping[int, int] | None:
        try:
            return self._engine.progress(registration)
        except EngineError as error:
            LOG.warning("%s: %s", spec.id, error.message, extra=fields(spec=spec.id))
            return None

    def _version(self, spec: HeartbeatSpec) -> Registration | None:
        wanted = (spec.context, spec.query, spec.version)
        if wanted not in self._known:
            now = self._clock.monotonic()
            if now - self._looked.get(wanted, float("-inf")) < _LOOK_S:
                return None
            self._looked[wanted] = now
            found = registrations(self._log, self._env, spec.context)
            self._known |= {(r.context, r.query, r.version): r for r in found}
        return self._known.get(wanted)
