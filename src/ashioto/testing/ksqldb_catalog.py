"""What a stand-in for a ksqlDB server remembers, and what statements do to it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

_NAME: Final = r"(?:`(?P<quoted>[^`]+)`|(?P<plain>\w+))"
_CREATE: Final = re.compile(rf"CREATE (?P<kind>STREAM|TABLE) (?P<unless>IF NOT EXISTS )?{_NAME}", re.ASCII)
_INSERT: Final = re.compile(rf"INSERT INTO {_NAME}", re.ASCII)
_DROP: Final = re.compile(rf"DROP (?P<kind>STREAM|TABLE) (?P<unless>IF EXISTS )?{_NAME}(?P<topic> DELETE TOPIC)?")
_TERMINATE: Final = re.compile(rf"TERMINATE {_NAME}", re.ASCII)
_READS: Final = re.compile(rf"\b(?:FROM|JOIN)\s+{_NAME}", re.ASCII)
_OPTION: Final = re.compile(r"\b(KAFKA_TOPIC|PARTITIONS|RETENTION_MS)\s*=\s*(?:'([^']*)'|(-?\d+))")
_TEXT: Final = re.compile(r"'(?:[^']|'')*'")
_PIECE: Final = re.compile(r"'(?:[^']|'')*'|`(?:[^`]|``)*`|[^;'`]+|[;'`]")
_WEEK_MS: Final = 604_800_000


class RefusedError(Exception):
    """Says why a statement is refused.

    Args:
        message: What the server would say.
        status: Of its answer.

    >>> RefusedError("no").status
    400
    """

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.message, self.status = message, status


@dataclass(slots=True)
class Source:
    """A stream or table.

    >>> Source(kind="stream", topic="t").reads
    ()
    """

    kind: str
    topic: str
    reads: tuple[str, ...] = ()


@dataclass(slots=True)
class Query:
    """A query that never ends.

    >>> Query(sink="bars", reads=("ticks",), text="").status
    'RUNNING'
    """

    sink: str
    reads: tuple[str, ...]
    text: str
    status: str = "RUNNING"
    errors: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Topic:
    """A topic of the cluster.

    >>> Topic().partitions
    1
    """

    partitions: int = 1
    retention_ms: int = -1


@dataclass(slots=True)
class Catalog:
    """Remembers streams, tables, queries and topics.

    >>> catalog = Catalog(topics={"t": Topic()})
    >>> catalog.run("CREATE STREAM `ticks` (`a` VARCHAR) WITH (KAFKA_TOPIC = 't', VALUE_FORMAT = 'AVRO')")
    ('stream/`ticks`/create', 'Stream created', '')
    >>> catalog.run("CREATE STREAM `b` WITH (KAFKA_TOPIC = 'b') AS SELECT * FROM `ticks` EMIT CHANGES")[2]
    'CSAS_B_1'
    >>> catalog.run("DROP STREAM `ticks`")
    Traceback (most recent call last):
        ...
    ashioto.testing.ksqldb_catalog.RefusedError: Cannot drop ticks.
    The following streams and/or tables read from this source: [b].
    You need to drop them before dropping ticks.
    """

    topics: dict[str, Topic] = field(default_factory=dict)
    sources: dict[str, Source] = field(default_factory=dict)
    queries: dict[str, Query] = field(default_factory=dict)
    made: int = 0

    def run(self, text: str) -> tuple[str, str, str] | str:
        """Do what a statement says; returns its command id, a message and the id of its query, or a warning.

        Raises:
            RefusedError: It is not right.
        """
        if found := _CREATE.match(text):
            return self._create(found, text)
        if found := _INSERT.match(text):
            return self._insert(_name(found), text)
        if found := _DROP.fullmatch(text):
            return self._drop(found)
        if found := _TERMINATE.fullmatch(text):
            return self._terminate(_name(found))
        raise RefusedError(f"line 1:1: Syntax Error\nUnknown statement '{text.split(maxsplit=1)[0]}'")

    def _create(self, found: re.Match[str], text: str) -> tuple[str, str, str] | str:
        name, kind = _name(found), found["kind"].lower()
        if name in self.sources:
            known = self.sources[name].kind
            if found["unless"]:
                return f"Cannot add {kind} `{name}`: A {known} with the same name already exists."
            raise RefusedError(f"Cannot add {kind} '{name}': A {known} with the same name already exists")
        options = {key: said or number for key, said, number in _OPTION.findall(text)}
        topic, reads = options["KAFKA_TOPIC"], self._reads(text)
        self._topic(topic, options, reads, windowed="WINDOW TUMBLING" in _bare(text))
        self.sources[name] = Source(kind=kind, topic=topic, reads=reads)
        query = self._begin("CSAS" if kind == "stream" else "CTAS", name, reads, text) if reads else ""
        message = f"Created query with ID {query}" if query else f"{kind.capitalize()} created"
        return f"{kind}/`{name}`/create", message, query

    def _topic(self, name: str, options: dict[str, str], reads: tuple[str, ...], *, windowed: bool) -> None:
        """Make the topic of a new source, or see whether the one that is there is as it would be made."""
        known = self.topics.get(name)
        if not reads:
            if known is None and "PARTITIONS" not in options:
                raise RefusedError(f"Topic '{name}' does not exist. If you want to create a new topic, say PARTITIONS")
            self.topics.setdefault(name, Topic(partitions=int(options.get("PARTITIONS", 1))))
            return
        first = self.topics[self.sources[reads[0]].topic]
        kept = int(options.get("RETENTION_MS", first.retention_ms))
        wanted = Topic(partitions=first.partitions, retention_ms=max(kept, _WEEK_MS) if windowed else kept)
        if known is not None and known != wanted:
            raise RefusedError(
                f"A Kafka topic with the name '{name}' already exists, with different partition/replica/retention "
                f"configuration than required. KSQL expects {wanted.partitions} partitions (topic has "
                f"{known.partitions}), and {wanted.retention_ms} retention (topic has {known.retention_ms})."
            )
        self.topics[name] = wanted

    def _insert(self, name: str, text: str) -> tuple[str, str, str]:
        if name not in self.sources:
            raise RefusedError(f"{name} does not exist.")
        query = self._begin("INSERTQUERY", name, self._reads(text), text)
        return f"stream/`{name}`/create", f"Created query with ID {query}", query

    def _begin(self, word: str, sink: str, reads: tuple[str, ...], text: str) -> str:
        self.made += 1
        query = f"{word}_{self.made}" if word == "INSERTQUERY" else f"{word}_{sink.upper()}_{self.made}"
        self.queries[query] = Query(sink=sink, reads=reads, text=text)
        return query

    def _reads(self, text: str) -> tuple[str, ...]:
        found = tuple(_name(match) for match in _READS.finditer(_bare(text)))
        for name in found:
            if name not in self.sources:
                raise RefusedError(f"{name} does not exist.")
        return found

    def _drop(self, found: re.Match[str]) -> tuple[str, str, str]:
        name, kind = _name(found), found["kind"].lower()
        command = f"{kind}/`{name}`/drop"
        source = self.sources.get(name)
        if source is None:
            if found["unless"]:
                return command, f"Source `{name}` does not exist.", ""
            raise RefusedError(f"{kind.capitalize()} {name} does not exist.")
        if source.kind != kind:
            raise RefusedError(f"Incompatible data source type is {source.kind}, but statement was DROP {kind.upper()}")
        if found["topic"] and (others := [n for n, s in self.sources.items() if s.topic == source.topic and n != name]):
            raise RefusedError(
                f"Refusing to delete topic. Found other data sources ({', '.join(sorted(others))}) using topic "
                f"{source.topic}", 500
            )  # fmt: skip
        self._check_unread(name)
        del self.sources[name]
        self.queries = {i: q for i, q in self.queries.items() if q.sink != name}
        if found["topic"]:
            self.topics.pop(source.topic, None)
        return command, f"Source `{name}` (topic: {source.topic}) was dropped.", ""

    def _check_unread(self, name: str) -> None:
        if readers := sorted(other for other, source in self.sources.items() if name in source.reads):
            raise RefusedError(
                f"Cannot drop {name}.\nThe following streams and/or tables read from this source: "
                f"[{', '.join(readers)}].\nYou need to drop them before dropping {name}."
            )
        inserts = {i: q for i, q in self.queries.items() if i.startswith("INSERTQUERY")}
        reading = sorted(i for i, query in inserts.items() if name in query.reads)
        writing = sorted(i for i, query in inserts.items() if name == query.sink)
        if reading or writing:
            raise RefusedError(
                f"Cannot drop {name}.\nThe following queries read from this source: [{', '.join(reading)}].\n"
                f"The following queries write into this source: [{', '.join(writing)}].\n"
                f"You need to terminate them before dropping {name}."
            )

    def _terminate(self, query: str) -> tuple[str, str, str]:
        if query not in self.queries:
            raise RefusedError(f"Unknown queryId: {query}")
        del self.queries[query]
        return f"terminate/{query}/execute", "Query terminated.", ""


def split(script: str) -> list[str]:
    """Return the statements of a text, without their semicolons.

    >>> split("DROP STREAM `a;b`; TERMINATE c;")
    ['DROP STREAM `a;b`', 'TERMINATE c']
    """
    found, said = [], ""
    for piece in _PIECE.findall(script):
        if piece == ";":
            found.append(said.strip())
            said = ""
        else:
            said += piece
    if said.strip():
        raise RefusedError("line 1:1: Syntax Error\nExpecting ';'")
    return found


def _name(found: re.Match[str]) -> str:
    return found["quoted"] or found["plain"].upper()


def _bare(text: str) -> str:
    return _TEXT.sub("''", text)
