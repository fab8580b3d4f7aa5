"""A client of a ksqlDB server: statements go in whole requests, and what is under way is waited for."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from ashioto.errors import EngineBusyError, EngineError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ashioto.clock import Clock
    from ashioto.engines.rest import Rest

SERVER: Final = "the ksqlDB server"
PROOF: Final = "zz_impossible"
"""A stream that nobody has: when all that a request has against it is that it cannot be dropped, all else is valid."""
PROPERTIES: Final[Mapping[str, str]] = {
    "ksql.streams.auto.offset.reset": "earliest",
    "ksql.streams.processing.guarantee": "exactly_once_v2",
}
"""Sent with every request that makes queries."""
_CROWDED: Final = "command topic consumer"
"""Stands in what a server says that is still busy with statements that came before."""
_UNDER_WAY: Final = frozenset({"QUEUED", "PARSING", "EXECUTING"})
_PAUSES_S: Final = (0.5, 1.0, 2.0, 5.0, 10.0)
_LOOK_S: Final = 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """Says what became of a statement.

    Args:
        statement: Its text, as the server understood it.
        status: `SUCCESS`, or `WARNING` where nothing was done.
        message: What the server says.
        query: The query that it began; empty where it began none.
        warnings: What the server thinks of it.
    """

    statement: str
    status: str
    message: str = ""
    query: str = ""
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerInfo:
    """Says what a server is.

    Args:
        version: Its version.
        service: Its service id; with it begin the names of its topics and consumer groups.
        status: `RUNNING` where it takes statements.
    """

    version: str
    service: str
    status: str


class KsqldbClient:
    """Sends statements to a server.

    Args:
        rest: Carries the requests.
        clock: Waits.
        patience_s: How long a statement may be under way, seconds.
    """

    def __init__(self, rest: Rest, *, clock: Clock, patience_s: float = 300.0) -> None:
        self.url = rest.url
        self._rest, self._clock, self._patience_s = rest, clock, patience_s
        self._sequence = -1

    def close(self) -> None:
        """Close its connections."""
        self._rest.close()

    def info(self) -> ServerInfo:
        """Return what the server is.

        Raises:
            EngineError: It is not reached, or is no ksqlDB server.
        """
        found = self._rest.send("GET", "/info", about="what it is")
        try:
            said = found["KsqlServerInfo"]
            return ServerInfo(version=said["version"], service=said["ksqlServiceId"], status=said["serverStatus"])
        except (KeyError, TypeError) as error:
            raise self._no_server() from error

    def healthy(self) -> bool:
        """Return whether the server says that it, its brokers and its command topic are well.

        Raises:
            EngineError: It is not reached.
        """
        found = self._rest.send("GET", "/healthcheck", about="how it is")
        return bool(isinstance(found, dict) and found.get("isHealthy"))

    def hosts(self) -> Mapping[str, bool]:
        """Return the servers of the cluster and whether each lives; nothing where the server does not say.

        Raises:
            EngineError: It is not reached.
        """
        found = self._rest.send("GET", "/clusterStatus", about="its cluster", absent=True) or {}
        return {host: bool(said.get("hostAlive")) for host, said in found.get("clusterStatus", {}).items()}

    def ask(self, *questions: str) -> list[Mapping[str, Any]]:
        """Return the answers to statements that change nothing, such as `SHOW STREAMS;`, in order.

        Raises:
            EngineError: The server is not reached, or refuses.
        """
        return self._post(questions, {}, about="what it runs")

    def run(
        self, statements: Sequence[str], *, about: str, properties: Mapping[str, str] = PROPERTIES
    ) -> list[Done]:  # fmt: skip
        """Run statements in one request, and wait until each is done.

        The server looks at all of them before it runs the first, but it does not take back what it has run when a
        later one fails. A single statement that a crowded server does not get to is sent again.

        Args:
            statements: Their texts, each with its semicolon.
            about: What they are, for messages.
            properties: Of the queries that they make.

        Raises:
            EngineBusyError: The server is not reached, does not get to them, or has not done with one in time.
            EngineError: It refuses them, or fails; `ids` has what was done before.
        """
        pauses = [*(_PAUSES_S if len(statements) == 1 else ())]
        while True:
            try:
                return self._done(self._post(statements, properties, about=about), about)
            except EngineBusyError as error:
                if not pauses or not is_crowded(error):
                    raise
                self._clock.sleep(pauses.pop(0))

    def prove(self, statements: Sequence[str], *, about: str) -> None:
        """Have the server check statements without running them.

        A request is checked as a whole, so a last statement that cannot be right keeps all from being run; when it is
        the only one that is refused, the others are right.

        Args:
            statements: Their texts, each with its semicolon.
            about: What they are, for messages.

        Raises:
            EngineBusyError: The server is not reached, or cannot answer now.
            EngineError: It refuses one of them.
        """
        try:
            self._post([*statements, f"DROP STREAM `{PROOF}`;"], PROPERTIES, about=about)
        except EngineError as error:
            if f"{PROOF} does not exist" not in str(error.ids.get("said", "")):
                raise
        else:
            raise EngineError(
                f"{SERVER} at {self.url} has dropped a stream {PROOF}",
                hint="nobody else may have a stream of that name",
            )

    def _post(
        self, statements: Sequence[str], properties: Mapping[str, str], *, about: str
    ) -> list[Mapping[str, Any]]:  # fmt: skip
        body: dict[str, object] = {
            "ksql": "\n".join(statements), "streamsProperties": dict(properties), "sessionVariables": {},
        }  # fmt: skip
        if self._sequence >= 0:
            body["commandSequenceNumber"] = self._sequence
        try:
            found = self._rest.send("POST", "/ksql", about=about, body=body)
        except EngineError as error:
            if is_crowded(error) and not isinstance(error, EngineBusyError):
                raise EngineBusyError(error.message, hint="it has much to do; try again", **error.ids) from error
            raise
        if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
            raise self._no_server()
        return found

    def _done(self, entities: Sequence[Mapping[str, Any]], about: str) -> list[Done]:
        found: list[Done] = []
        for entity in entities:
            self._sequence = max(self._sequence, int(entity.get("commandSequenceNumber", -1)))
            made = self._ended(entity, about)
            if made.status not in {"SUCCESS", "WARNING", "TERMINATED", "RUNNING"}:
                said = self._rest.shown(made.message)
                raise EngineError(
                    f"{SERVER} at {self.url} failed with {about}: {said}",
                    hint=f"in {head(made.statement)}", said=said, done=[one.statement for one in found],
                )  # fmt: skip
            found.append(made)
        return found

    def _ended(self, entity: Mapping[str, Any], about: str) -> Done:
        """Return what became of a statement, once it is no longer under way."""
        text = str(entity.get("statementText", ""))
        warnings = tuple(str(one.get("message", "")) for one in entity.get("warnings", ()))
        if entity.get("@type") == "warning_entity":
            return Done(statement=text, status="WARNING", message=str(entity.get("message", "")), warnings=warnings)
        status = entity.get("commandStatus") or {"status": "SUCCESS", "message": ""}
        until = self._clock.monotonic() + self._patience_s
        while status["status"] in _UNDER_WAY:
            if self._clock.monotonic() >= until:
                raise EngineBusyError(
                    f"{SERVER} at {self.url} has not done with {about} within {self._patience_s:g} s",
                    hint=f"it goes on by itself with {head(text)}; then run this again", url=self.url,
                )  # fmt: skip
            self._clock.sleep(_LOOK_S)
            path = f"/status/{quote(str(entity['commandId']), safe='/')}"
            status = self._rest.send("GET", path, about=f"how far {head(text)} is")
        return Done(
            statement=text, status=status["status"], message=str(status.get("message", "")),
            query=str(status.get("queryId") or ""), warnings=warnings,
        )  # fmt: skip

    def _no_server(self) -> EngineError:
        return EngineError(f"{self.url} does not answer as a ksqlDB server does", hint="check engine.url", url=self.url)


def explained(text: str) -> str:
    """Return what an error of a server says, and of which statement.

    >>> explained('{"@type": "statement_error", "message": "no such column", "statementText": "SELECT a;"}')
    'no such column, in SELECT a;'
    """
    try:
        said = json.loads(text)
        message, statement = str(said["message"]).strip(), str(said.get("statementText") or "")
    except (ValueError, TypeError, KeyError):
        return text
    return f"{message}, in {head(statement)}" if statement else message


def head(statement: str) -> str:
    """Return the first line of a statement, for messages."""
    first, *rest = statement.strip().splitlines() or [""]
    return f"{first.rstrip()} …" if rest else first


def is_crowded(error: EngineError) -> bool:
    """Return whether a server did not get to a statement for all those that came before; it was not run."""
    return _CROWDED in str(error.ids.get("said", ""))
