"""Flink's SQL gateway: sessions, statements and their results, by its REST interface (version 4)."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from ashioto.errors import EngineBusyError, EngineError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ashioto.clock import Clock
    from ashioto.engines.rest import Rest

_FIRST_POLL_S: Final = 0.02
_LONGEST_POLL_S: Final = 0.5
_ALIVE_S: Final = 60.0
"""How often a session is told that somebody still waits in it; the gateway closes idle ones."""
PATIENCE_S: Final = 180.0
"""How long one statement may take, seconds: the first one of a gateway loads much."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """Holds what a statement has returned.

    Args:
        rows: Its rows.
        job: Id of the job that it has started; None when it starts none.
    """

    rows: tuple[tuple[Any, ...], ...] = ()
    job: str | None = None

    @property
    def text(self) -> str:
        """The first value, as EXPLAIN returns its plan.

        >>> Result(rows=(("== Plan ==",),)).text
        '== Plan =='
        """
        return str(self.rows[0][0]) if self.rows and self.rows[0] else ""


class Gateway:
    """Opens sessions of a SQL gateway.

    Args:
        rest: Reaches it.
        clock: Waits between looks whether a statement has ended.
        patience_s: How long one statement may take, seconds.
    """

    def __init__(self, rest: Rest, *, clock: Clock, patience_s: float = PATIENCE_S) -> None:
        self._rest, self._clock, self._patience_s = rest, clock, patience_s

    @property
    def url(self) -> str:
        """Where it is."""
        return self._rest.url

    def close(self) -> None:
        """Close its connections."""
        self._rest.close()

    def version(self) -> str:
        """Return the version of Flink that it is of.

        Raises:
            EngineError: It is not reached, or is no gateway.
        """
        found = self._rest.send("GET", "/v4/info", about="what version it is")
        return str(found.get("version", "unknown"))

    @contextmanager
    def session(self, settings: Mapping[str, str] | None = None) -> Iterator[Session]:
        """Open a session, and close it behind the block; jobs that it has started go on.

        Args:
            settings: What statements in it go by.

        Raises:
            EngineError: The gateway is not reached, or refuses.
        """
        body = {"sessionName": "ashioto", "properties": dict(settings or {})}
        handle = str(self._rest.send("POST", "/v4/sessions", about="a session", body=body)["sessionHandle"])
        try:
            yield Session(self._rest, handle, self._clock, self._patience_s)
        finally:
            with suppress(EngineError):  # the gateway closes it by itself after a while
                self._rest.send("DELETE", f"/v4/sessions/{handle}", about="the end of a session", absent=True)


class Session:
    """Runs statements one after another; what one has made temporarily, later ones see.

    Args:
        rest: Reaches the gateway.
        handle: Of the session.
        clock: Waits.
        patience_s: How long one statement may take, seconds.
    """

    def __init__(self, rest: Rest, handle: str, clock: Clock, patience_s: float) -> None:
        self._rest, self._clock, self._patience_s = rest, clock, patience_s
        self._path = f"/v4/sessions/{handle}"

    def run(self, statement: str, *, about: str) -> Result:
        """Run a statement and return all it returns; a job that it starts goes on after that.

        Args:
            statement: Without a semicolon behind it.
            about: What it does, for messages.

        Raises:
            EngineBusyError: The gateway is not reached, or the statement takes too long and was cancelled.
            EngineError: Flink refuses it; `ids` has what it says under `said`.
        """
        sent = self._rest.send("POST", f"{self._path}/statements", about=about, body={"statement": statement})
        operation = f"{self._path}/operations/{sent['operationHandle']}"
        uri: str | None = f"{operation}/result/0?rowFormat=JSON"
        rows: list[tuple[Any, ...]] = []
        job: str | None = None
        while uri is not None:
            found = self._wait(uri, operation, about)
            job = found.get("jobID", job)
            rows += [tuple(row["fields"]) for row in (found.get("results") or {}).get("data", [])]
            uri = None if found["resultType"] == "EOS" else found.get("nextResultUri")
        return Result(rows=tuple(rows), job=job)

    def _wait(self, uri: str, operation: str, about: str) -> dict[str, Any]:
        """Return the next part of a result once there is one."""
        begun = alive = self._clock.monotonic()
        pause = _FIRST_POLL_S
        while True:
            found: dict[str, Any] = self._rest.send("GET", uri, about=about)
            if found["resultType"] != "NOT_READY":
                return found
            now = self._clock.monotonic()
            if now - begun > self._patience_s:
                self._cancel(operation)
                raise EngineBusyError(
                    f"{self._rest.name} at {self._rest.url} has not done {about} within {self._patience_s:g} s",
                    hint="see its log, and whether the cluster has free slots", url=self._rest.url,
                )  # fmt: skip
            if now - alive > _ALIVE_S:
                alive = now
                self._rest.send("POST", f"{self._path}/heartbeat", about="a sign of life", body={})
            self._clock.sleep(pause)
            pause = min(2 * pause, _LONGEST_POLL_S)

    def _cancel(self, operation: str) -> None:
        with suppress(EngineError):
            self._rest.send("POST", f"{operation}/cancel", about="the end of a statement", body={})
