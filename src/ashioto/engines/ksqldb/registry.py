"""A ksqlDB server as `infra apply` and people see it: the queries of each version, by what server and brokers say."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ashioto import naming
from ashioto.engines.base import RunningQuery
from ashioto.engines.ksqldb.client import PROPERTIES, SERVER, head, is_crowded
from ashioto.engines.ksqldb.statements import rehearsed, statements, texts
from ashioto.engines.ksqldb.there import There, look
from ashioto.engines.sql.reading import Reading
from ashioto.errors import AshiotoError, EngineBusyError, EngineError, UnknownTopicError, UnsupportedError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from ashioto.clock import Clock
    from ashioto.control.applied import Registration
    from ashioto.engines.ksqldb.client import KsqldbClient
    from ashioto.engines.ksqldb.there import RunningSql
    from ashioto.engines.sql.statements import Statement
    from ashioto.log.groups import GroupLog

    SchemaId = Callable[[str], int | None]

KIND: Final = "ksqldb"
SERVERS: Final = "_confluent-ksql-"
"""How groups, topics and transactions of every server begin."""
_GROUP: Final = SERVERS + "{service}query_{query}"
_ATTEMPTS: Final = 5
_PAUSE_S: Final = 2.0
_LOOK_S: Final = 0.5
_ENDS_S: Final = 120.0
_KNOWN_S: Final = 5.0
"""So long the query that reads ticks is not asked for again, seconds: its group tells the rest."""
_REFUSED: Final = range(400, 500)


class KsqldbEngine:
    """Runs each version of a query as streams, tables and queries whose names begin with that of the version.

    Nothing is kept beside the server and Kafka. A version of which a part is missing was cut off while it was made: it
    is taken away and made anew, so whoever is cut off can just call again.

    Args:
        log: Keeps ticks, and the consumer groups by which queries tell how far they have read.
        client: Talks to the server.
        clock: Waits.
        prefix: Stands before the names of topics on the cluster.
        schema_id: Tells the number of the registered schema of a topic's values.
        properties: Of the queries that are made; None means those that every query needs.
        preflight: Whether `compile` asks the server to check the statements; else it only makes them.
    """

    kind = KIND

    def __init__(
        self, log: GroupLog, *, client: KsqldbClient, clock: Clock, prefix: str = "",
        schema_id: SchemaId = lambda _: None, properties: Mapping[str, str] | None = None, preflight: bool = True,
    ) -> None:  # fmt: skip
        self._log, self._client, self._clock = log, client, clock
        self._prefix, self._schema_id, self._preflight = prefix, schema_id, preflight
        self._properties = PROPERTIES if properties is None else properties
        self._reading = Reading(log)
        self._service: str | None = None
        self._groups: dict[str, tuple[float, str]] = {}

    def compile(self, registration: Registration) -> list[str]:
        """Return the statements, after the server has checked them unless it has the version; changes nothing.

        Raises:
            UnsupportedError: ksqlDB cannot run the query, or refuses a statement.
            EngineError: The server is not reached.
        """
        made = self._made(registration)
        if self._preflight and not look(self._client).of(registration.name):
            self._prove(registration, made)
        return texts(made)

    def inspect(self, registrations: Sequence[Registration]) -> list[RunningQuery]:
        """Return how these versions stand, those left out of which the server has nothing or are another engine's.

        Raises:
            EngineError: The server is not reached.
        """
        wanted = [r for r in registrations if r.engine == KIND]
        known = look(self._client) if wanted else There(sources={}, queries=())
        found = [(r, known.of(r.name)) for r in wanted]
        return [self._stand(r, there) for r, there in found if there]

    def register(self, registration: Registration) -> None:
        """Make what a version needs and begin its queries; one that is whole stays as it is.

        Raises:
            UnsupportedError: ksqlDB cannot run the query.
            EngineError: The server is not reached, refuses a statement, or does not get to them.
        """
        made = self._made(registration)
        self._groups.pop(registration.name, None)
        for attempt in range(_ATTEMPTS):
            there = look(self._client).of(registration.name)
            if there and not there.lacks(made):
                return
            self._take_away(registration.name, there)
            try:
                about = f"the statements of {registration.name}"
                self._client.run(texts(made), about=about, properties=self._properties)
            except EngineBusyError as error:
                if attempt + 1 == _ATTEMPTS or not is_crowded(error):
                    raise
                self._clock.sleep(_PAUSE_S * 2**attempt)
            else:
                return

    def stop(self, registration: Registration) -> None:
        """End the queries of a version and take away what it has made, its bars apart; nothing there is no error.

        Raises:
            EngineError: The server is not reached, or refuses.
        """
        self._groups.pop(registration.name, None)
        self._take_away(registration.name, look(self._client).of(registration.name))

    def progress(self, registration: Registration) -> Mapping[int, int] | None:
        """Return up to which offset of each partition a version has read, or None when it has not begun.

        Raises:
            EngineError: The server is not reached.
        """
        now = self._clock.monotonic()
        asked, group = self._groups.get(registration.name, (float("-inf"), ""))
        if now - asked > _KNOWN_S:
            there = look(self._client).of(registration.name)
            reader = _reader(registration.name, there)
            if reader is None or _problem(there):
                return None
            group = self._group(reader)
            self._groups[registration.name] = now, group
        try:
            return self._cuts(registration, group)
        except UnknownTopicError:
            return None

    def _made(self, registration: Registration) -> list[Statement]:
        """Return the statements of a version.

        Raises:
            UnsupportedError: Its plan cannot be read, or run by ksqlDB.
        """
        try:
            query = registration.decoded()
        except AshiotoError as error:
            raise UnsupportedError(f"{registration.name}: {error.message}", hint=error.hint) from error
        topics = [naming.bars_topic(query.context, query.entity.name, period) for period in query.frames]
        known = {topic: number for topic in topics if (number := self._schema_id(topic)) is not None}
        return statements(registration, schema_ids=known, prefix=self._prefix)

    def _prove(self, registration: Registration, made: Sequence[Statement]) -> None:
        (topics,) = self._client.ask("SHOW ALL TOPICS;")
        there = {topic["name"]: len(topic["replicaInfo"]) for topic in topics.get("topics", ())}
        try:
            self._client.prove(texts(rehearsed(made, there)), about=f"the statements of {registration.name}")
        except EngineError as error:
            if error.ids.get("status") not in _REFUSED or "said" not in error.ids:
                raise
            raise UnsupportedError(
                f"{registration.context}.{registration.query}: ksqlDB refuses it: {error.ids['said']}",
                hint="rc infra sql shows the statements", query=registration.name,
            ) from error  # fmt: skip

    def _take_away(self, name: str, there: There) -> None:
        """Remove what there is of a version: a topic goes only when no query reads or writes it any more."""
        for statement in texts(there.ends()):
            self._client.run([statement], about=f"the end of a query of {name}", properties={})
        if there.queries:
            self._wait_for_end(name)
        for statement in texts(there.drops()):
            self._client.run([statement], about=f"{head(statement)} of {name}", properties={})

    def _wait_for_end(self, name: str) -> None:
        until = self._clock.monotonic() + _ENDS_S
        while left := look(self._client).of(name).queries:
            if self._clock.monotonic() >= until:
                raise EngineBusyError(
                    f"{SERVER} at {self._client.url} has not ended {left[0].id} within {_ENDS_S:g} s",
                    hint="see its log, then run this again: it goes on from here", query=name,
                )  # fmt: skip
            self._clock.sleep(_LOOK_S)

    def _stand(self, registration: Registration, there: There) -> RunningQuery:
        name = registration.name
        reader = _reader(name, there)
        missing = self._lacks(registration, there)
        if reader is None or missing:
            detail = f"{missing[0] if missing else 'the query that reads ticks'} is missing"
            return RunningQuery(name=name, state="ended", detail=detail)
        if problem := _problem(there):
            return RunningQuery(name=name, state="failed", detail=problem)
        return self._reads(registration, there, reader)

    def _lacks(self, registration: Registration, there: There) -> list[str]:
        try:
            return there.lacks(self._made(registration))
        except UnsupportedError:
            return []  # made by another version of ashioto, which could

    def _reads(self, registration: Registration, there: There, reader: RunningSql) -> RunningQuery:
        """Return how a version stands whose queries run: a query is called RUNNING also while it reads nothing."""
        name, topic = registration.name, _source(registration)
        try:
            cuts = self._cuts(registration, self._group(reader))
            left = self._reading.unread(topic, cuts or {})
        except UnknownTopicError as error:
            return RunningQuery(name=name, state="failed", detail=error.message)
        if cuts is None:
            detail = f"{reader.id} has read none of {left:,} records of {topic} yet"
            return RunningQuery(name=name, state="starting", detail=detail)
        if away := sum("UNRESPONSIVE" in query.statuses for query in there.queries):
            detail = f"a server of the cluster does not answer for {away} queries"
            return RunningQuery(name=name, state="starting", cuts=cuts, detail=detail)
        detail = f"{len(there.queries)} queries" + (f", {left:,} records to read" if left else "")
        return RunningQuery(name=name, state="running", cuts=cuts, detail=detail)

    def _cuts(self, registration: Registration, group: str) -> dict[int, int] | None:
        """Return up to where a group has read, or None where it has said nothing of records that there are."""
        topic = _source(registration)
        found = self._reading.cuts(group, topic)
        if found is not None:
            return found
        seen = self._reading.seen(topic, {})
        return None if self._reading.unread(topic, seen) else seen

    def _group(self, reader: RunningSql) -> str:
        if reader.group:
            return reader.group
        if self._service is None:
            self._service = self._client.info().service
        return _GROUP.format(service=self._service, query=reader.id)


def _reader(name: str, there: There) -> RunningSql | None:
    """Return the query that reads the ticks."""
    found = [query for query in there.queries if query.sink == f"{name}_stamped"]
    return next((query for query in found if query.id.startswith("CSAS_")), None)


def _problem(there: There) -> str:
    """Return why queries of a version do not run; nothing where they do."""
    for query in there.queries:
        if "ERROR" in query.statuses:
            return f"{query.id} has failed" + (f": {query.errors[-1]}" if query.errors else "")
    paused = [query.id for query in there.queries if "PAUSED" in query.statuses]
    return f"{paused[0]} is paused: RESUME {paused[0]};" if paused else ""


def _source(registration: Registration) -> str:
    plan = registration.decoded()
    return naming.topic(plan.context, plan.entity.name)
