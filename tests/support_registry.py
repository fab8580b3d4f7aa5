"""A schema registry in memory that answers as a Confluent-compatible one does; what is compatible, tests decide."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import httpx

if TYPE_CHECKING:
    from collections.abc import Callable

Reply = tuple[int, Any]
NO_SUBJECT: Reply = (404, {"error_code": 40401, "message": "Subject not found."})
NO_SCHEMA: Reply = (404, {"error_code": 40403, "message": "Schema not found"})


class MemoryRegistry(httpx.MockTransport):
    """Keeps schemas by number and subjects by name; `refuses` says why a subject may not get a schema.

    `level` is what it asks where nothing is set; without `asks_of_all` it judges by one version at a time.
    """

    def __init__(self) -> None:
        super().__init__(self._reply)
        self.schemas: list[str] = []
        self.kept: dict[str, list[int]] = {}
        self.levels: dict[str, str] = {}
        self.level = "BACKWARD"
        self.asks_of_all = True
        self.requests: list[tuple[str, str]] = []
        self.refuses: Callable[[str, Any], list[str]] = lambda _subject, _schema: []

    def _reply(self, request: httpx.Request) -> httpx.Response:
        path = request.url.raw_path.decode().partition("?")[0]
        self.requests.append((request.method, path))
        what, *rest = [unquote(part) for part in path.strip("/").split("/")]
        body = json.loads(request.content) if request.content else {}
        status, answer = getattr(self, f"_{what}")(request.method, rest, body)
        return httpx.Response(status, json=answer)

    def _subjects(self, method: str, rest: list[str], body: dict[str, Any]) -> Reply:
        if not rest:
            return 200, [*self.kept]
        subject = rest[0]
        if method == "POST" and rest[1:] == ["versions"]:
            return self._registered(subject, body["schema"])
        return self._subject(method, subject, rest[1:], body) if subject in self.kept else NO_SUBJECT

    def _subject(self, method: str, subject: str, rest: list[str], body: dict[str, Any]) -> Reply:
        if method == "DELETE":
            return 200, [n + 1 for n in range(len(self.kept.pop(subject)))]
        if method == "POST":
            same = [n for n, number in enumerate(self.kept[subject]) if self.schemas[number] == body["schema"]]
            return self._version(subject, same[0]) if same else NO_SCHEMA
        if rest == ["versions"]:
            return 200, [n + 1 for n in range(len(self.kept[subject]))]
        return self._version(subject, -1 if rest[1] == "latest" else int(rest[1]) - 1)

    def _version(self, subject: str, at: int) -> Reply:
        numbers = self.kept[subject]
        version = at + 1 if at >= 0 else len(numbers)
        number = numbers[at]
        return 200, {"subject": subject, "id": number, "version": version, "schema": self.schemas[number]}

    def _registered(self, subject: str, schema: str) -> Reply:
        if reasons := self.refuses(subject, json.loads(schema)):
            return 409, {"error_code": 409, "message": reasons[0]}
        if schema not in self.schemas:
            self.schemas.append(schema)
        number = self.schemas.index(schema)
        if number not in self.kept.setdefault(subject, []):
            self.kept[subject].append(number)
        return 200, {"id": number}

    def _schemas(self, _method: str, rest: list[str], _body: object) -> Reply:
        number = int(rest[1])
        return (200, {"schema": self.schemas[number]}) if number < len(self.schemas) else NO_SCHEMA

    def _compatibility(self, _method: str, rest: list[str], body: dict[str, Any]) -> Reply:
        if len(rest) == len(["subjects", "s", "versions"]) and not self.asks_of_all:
            return 404, {"detail": "Not Found"}
        if rest[1] not in self.kept:
            return NO_SUBJECT
        reasons = self.refuses(rest[1], json.loads(body["schema"]))
        return 200, {"is_compatible": not reasons, "messages": reasons}

    def _config(self, method: str, rest: list[str], body: dict[str, Any]) -> Reply:
        if not rest:
            return 200, {"compatibilityLevel": self.level}
        if method == "PUT":
            self.levels[rest[0]] = body["compatibility"]
            return 200, body
        if rest[0] not in self.levels:
            return 404, {"error_code": 40408, "message": "no level"}
        return 200, {"compatibilityLevel": self.levels[rest[0]]}
