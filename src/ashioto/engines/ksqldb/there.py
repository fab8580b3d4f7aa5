"""What of a version a ksqlDB server has, by what it lists: streams, tables and queries, found by their names."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from ashioto.engines.ksqldb.statements import is_own
from ashioto.engines.sql.statements import Create, CreateAs, Drop, Insert, Terminate
from ashioto.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ashioto.engines.ksqldb.client import KsqldbClient
    from ashioto.engines.sql.statements import SourceKind, Statement

_QUESTIONS: Final = ("SHOW STREAMS;", "SHOW TABLES;", "SHOW QUERIES EXTENDED;")
_PARTS: Final = ("ticks", "hb", "sessions", "stamped", "in", "fold", "rows", "bars")
"""Ends of names, what is read before what reads it."""
_OF_VERSION: Final = r"_(?:ticks|hb|sessions|stamped|[0-9a-z]+_(?:in|fold|rows|bars))"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningSql:
    """Describes a query as a server lists it.

    Args:
        id: Its name on the server.
        sink: The stream or table that it writes into.
        statuses: How it is on each server of the cluster: `RUNNING`, `ERROR`, `PAUSED` or `UNRESPONSIVE`.
        errors: What went wrong, the newest last.
        group: By which it tells how far it has read; empty where the server does not say.
    """

    id: str
    sink: str
    statuses: tuple[str, ...]
    errors: tuple[str, ...] = ()
    group: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class There:
    """Holds what a server has: all of it, or of one version.

    Args:
        sources: Streams and tables.
        queries: What writes into them.
    """

    sources: Mapping[str, SourceKind]
    queries: tuple[RunningSql, ...]

    def __bool__(self) -> bool:
        return bool(self.sources)

    def of(self, name: str) -> There:
        """Return what there is of a version.

        Args:
            name: Of the version; with it begin all names.

        >>> there = There(sources={"t_b_v1_ticks": "stream", "t_b_v1_x_v1_ticks": "stream"}, queries=())
        >>> list(there.of("t_b_v1").sources)
        ['t_b_v1_ticks']
        """
        whole = re.compile(re.escape(name) + _OF_VERSION)
        found = {source: kind for source, kind in self.sources.items() if whole.fullmatch(source)}
        return There(sources=found, queries=tuple(q for q in self.queries if q.sink in found))

    def lacks(self, made: Sequence[Statement]) -> list[str]:
        """Return what is missing of what statements make: streams, tables, and queries that write into them.

        Args:
            made: The statements of a version.
        """
        wanted = [s.name for s in made if isinstance(s, Create | CreateAs)]
        missing = [name for name in wanted if name not in self.sources]
        sinks = [query.sink for query in self.queries]
        for statement in made:
            if isinstance(statement, CreateAs | Insert):
                sink = statement.name if isinstance(statement, CreateAs) else statement.into
                if sink in sinks:
                    sinks.remove(sink)
                else:
                    missing.append(f"a query into {sink}")
        return missing

    def ends(self) -> list[Terminate]:
        """Return the statements that end its queries, those first that only read from others."""
        return [Terminate(query=q.id) for q in sorted(self.queries, key=lambda q: _rank(q.sink), reverse=True)]

    def drops(self) -> list[Drop]:
        """Return the statements that remove it, what reads something before what is read."""
        names = sorted(self.sources, key=lambda name: (_rank(name), name), reverse=True)
        return [Drop(kind=self.sources[name], name=name, with_topic=is_own(name)) for name in names]


def look(client: KsqldbClient) -> There:
    """Return what a server has.

    Raises:
        EngineError: It is not reached, or does not answer as such a server does.
    """
    streams, tables, queries = client.ask(*_QUESTIONS)
    try:
        sources: dict[str, SourceKind] = {one["name"]: "stream" for one in streams["streams"]}
        sources |= {one["name"]: "table" for one in tables["tables"]}
        found = tuple(_query(one) for one in queries["queryDescriptions"] if one.get("sinks"))
    except (KeyError, TypeError, AttributeError) as error:
        raise EngineError(f"{client.url} does not list what it has as a ksqlDB server does") from error
    return There(sources=sources, queries=found)


def _query(said: Mapping[str, Any]) -> RunningSql:
    return RunningSql(
        id=said["id"],
        sink=next(iter(said["sinks"])),
        statuses=tuple((said.get("ksqlHostQueryStatus") or {}).values()),
        errors=tuple(str(one["errorMessage"]) for one in said.get("queryErrors") or ()),
        group=said.get("consumerGroupId") or "",
    )


def _rank(name: str) -> int:
    return _PARTS.index(name.rpartition("_")[2])
