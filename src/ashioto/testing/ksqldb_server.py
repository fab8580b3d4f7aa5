"""A stand-in for a ksqlDB server, for tests: it speaks the REST protocol and remembers what was made, but runs no SQL.

It was made after the server's documentation and source. What a real server does beyond that, it does not tell.
"""

from __future__ import annotations

import base64
import copy
import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote

from ashioto.testing.ksqldb_catalog import Catalog, RefusedError, Topic, split

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

CROWDED: Final = (
    "Could not write the statement into the command topic.\n"
    "Caused by: Timeout while waiting for command topic consumer to process command topic"
)
_SHOWS: Final = frozenset({"SHOW STREAMS", "SHOW TABLES", "SHOW QUERIES EXTENDED", "SHOW ALL TOPICS"})


class KsqldbServer:
    """Takes statements, checks a request as a whole, and runs nothing.

    Args:
        topics: Topics of the cluster that are there already, and their partitions.
        login: User and password that it wants.

    Attributes:
        catalog: What was made.
        crowded: So many statements it does not get to, from now on.
        works: So many statements it still runs before it is crowded; None is no bound.
        slow: So often a statement is under way when it is looked at.
        failing: Why queries into a stream or table fail, by its name.
        requests: The texts of the requests to run something.
        bodies: Those requests.

    >>> server = KsqldbServer(topics={"t": 1})
    >>> server.answer("GET", "/info")[1]["KsqlServerInfo"]["ksqlServiceId"]
    'default_'
    >>> server.answer("POST", "/ksql", {"ksql": "DROP STREAM `zz`;"})[1]["message"]
    'Stream zz does not exist.'
    """

    version = "8.0.7"
    service = "default_"

    def __init__(self, *, topics: Mapping[str, int] | None = None, login: tuple[str, str] | None = None) -> None:
        self.catalog = Catalog(topics={name: Topic(partitions=n) for name, n in (topics or {}).items()})
        self.crowded = 0
        self.works: int | None = None
        self.slow = 0
        self.failing: dict[str, str] = {}
        self.requests: list[str] = []
        self.bodies: list[Mapping[str, Any]] = []
        self._login = login
        self._groups: dict[tuple[str, str], dict[int, int]] = {}
        self._looks: dict[str, int] = {}
        self._sequence = -1
        self._lock = threading.Lock()

    def answer(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, authorization: str = ""
    ) -> tuple[int, Any]:
        """Return the status and the JSON that it answers with.

        Args:
            method: Of the request.
            path: Of the request.
            body: JSON of the request.
            authorization: The header of that name.
        """
        with self._lock:
            if self._login is not None and authorization != _basic(*self._login):
                return 401, {"@type": "generic_error", "error_code": 40100, "message": "Unauthorized"}
            if method == "POST" and path == "/ksql":
                return self._statements(body or {})
            known = {"/info": self._info, "/healthcheck": self._health, "/clusterStatus": self._cluster}
            if method == "GET" and path in known:
                return 200, known[path]()
            if method == "GET" and path.startswith("/status/"):
                return self._status(unquote(path.removeprefix("/status/")))
            return 404, {"@type": "generic_error", "error_code": 40400, "message": "Not Found"}

    def work(self, ends: Callable[[str], Mapping[int, int]], *, prefix: str = "") -> None:
        """Have every query that runs read all there is of topics that a log has.

        Args:
            ends: Returns where the partitions of a topic end.
            prefix: Stands before the names of topics on the cluster.
        """
        for query, known in self.catalog.queries.items():
            if known.sink in self.failing:
                known.status, known.errors = "ERROR", [self.failing[known.sink]]
                continue
            known.status = "RUNNING"
            for source in known.reads:
                topic = self.catalog.sources[source].topic.removeprefix(prefix)
                if source.endswith("_ticks"):
                    self._groups[self.group(query), topic] = dict(ends(topic))

    def group(self, query: str) -> str:
        """Return the consumer group of a query."""
        return f"_confluent-ksql-{self.service}query_{query}"

    def committed(self, group: str, topic: str) -> dict[int, int]:
        """Return up to which offset a group has read a topic."""
        return dict(self._groups.get((group, topic), {}))

    @contextmanager
    def listening(self) -> Iterator[str]:
        """Answer on a free port of this machine; yields the URL."""
        server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            server.server_close()
            thread.join()

    def _statements(self, body: Mapping[str, Any]) -> tuple[int, Any]:
        text = str(body.get("ksql", ""))
        try:
            statements = split(text)
        except RefusedError as error:
            return _error(error, text)
        if all(statement in _SHOWS for statement in statements):
            return 200, [self._show(statement) for statement in statements]
        self.requests.append(text)
        self.bodies.append(body)
        sandbox = copy.deepcopy(self.catalog)
        for statement in statements:
            try:
                sandbox.run(statement)
            except RefusedError as error:
                return _error(error, f"{statement};")
        return self._run(statements)

    def _run(self, statements: Sequence[str]) -> tuple[int, Any]:
        entities: list[dict[str, Any]] = []
        for statement in statements:
            if self._is_crowded():
                return _error(RefusedError(CROWDED, 500), f"{statement};")
            done = self.catalog.run(statement)
            if isinstance(done, str):
                entities.append({"@type": "warning_entity", "statementText": f"{statement};", "message": done})
                continue
            command, message, query = done
            self._sequence += 1
            self._looks[command] = self.slow
            state = {"status": "EXECUTING" if self.slow else "SUCCESS", "message": message, "queryId": query or None}
            entities.append({
                "@type": "currentStatus", "statementText": f"{statement};", "commandId": command, "warnings": [],
                "commandStatus": state, "commandSequenceNumber": self._sequence,
            })  # fmt: skip
        return 200, entities

    def _is_crowded(self) -> bool:
        if self.works is not None:
            if self.works == 0:
                self.works, self.crowded = None, self.crowded + 1
            else:
                self.works -= 1
        if not self.crowded:
            return False
        self.crowded -= 1
        return True

    def _status(self, command: str) -> tuple[int, Any]:
        if command not in self._looks:
            return 404, {"@type": "generic_error", "error_code": 40400, "message": "Command not found"}
        self._looks[command] -= 1
        if self._looks[command] > 0:
            return 200, {"status": "EXECUTING", "message": "Executing statement", "queryId": None}
        return 200, {"status": "SUCCESS", "message": "done", "queryId": None}

    def _show(self, statement: str) -> Mapping[str, Any]:
        said = {"statementText": f"{statement};", "warnings": []}
        if statement == "SHOW ALL TOPICS":
            topics = [{"name": n, "replicaInfo": [1] * t.partitions} for n, t in sorted(self.catalog.topics.items())]
            return {"@type": "kafka_topics", **said, "topics": topics}
        if statement == "SHOW QUERIES EXTENDED":
            return {
                "@type": "query_descriptions",
                **said,
                "queryDescriptions": [*map(self._query, self.catalog.queries)],
            }
        kind = "stream" if statement == "SHOW STREAMS" else "table"
        found = [
            {"type": kind.upper(), "name": name, "topic": source.topic, "keyFormat": "KAFKA", "valueFormat": "AVRO"}
            for name, source in self.catalog.sources.items()
            if source.kind == kind
        ]
        return {"@type": f"{kind}s", **said, f"{kind}s": found}

    def _query(self, query: str) -> Mapping[str, Any]:
        known = self.catalog.queries[query]
        errors = [{"timestamp": 0, "errorMessage": error, "type": "UNKNOWN"} for error in known.errors]
        return {
            "id": query, "statementText": known.text, "sources": list(known.reads), "sinks": [known.sink],
            "ksqlHostQueryStatus": {"localhost:8088": known.status}, "queryType": "PERSISTENT",
            "queryErrors": errors, "state": known.status,
        }  # fmt: skip

    def _info(self) -> Mapping[str, Any]:
        return {
            "KsqlServerInfo": {
                "version": self.version, "kafkaClusterId": "stand-in", "ksqlServiceId": self.service,
                "serverStatus": "RUNNING",
            }
        }  # fmt: skip

    @staticmethod
    def _health() -> Mapping[str, Any]:
        return {"isHealthy": True, "details": {"metastore": {"isHealthy": True}, "kafka": {"isHealthy": True}}}

    @staticmethod
    def _cluster() -> Mapping[str, Any]:
        return {"clusterStatus": {"localhost:8088": {"hostAlive": True, "lastStatusUpdateMs": 0}}}


def _error(error: RefusedError, statement: str) -> tuple[int, Any]:
    code = error.status * 100 + (1 if error.status == 400 else 0)
    said = {"error_code": code, "message": error.message, "statementText": statement, "entities": []}
    return error.status, {"@type": "statement_error", **said}


def _basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def _handler(server: KsqldbServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._reply(None)

        def do_POST(self) -> None:
            self._reply(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

        def _reply(self, body: Mapping[str, Any] | None) -> None:
            authorization = self.headers.get("Authorization", "")
            status, said = server.answer(self.command, self.path, body, authorization)
            content = json.dumps(said).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base class calls it so
            """Say nothing."""

    return Handler
