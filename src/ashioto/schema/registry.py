"""A client of a Confluent-compatible schema registry."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, Self, cast
from urllib.parse import quote

from ashioto.clock import SystemClock
from ashioto.errors import RegistryError, SchemaError
from ashioto.schema.evolution import obstacles
from ashioto.schema.registrywire import UNKNOWN_PATH, Wire, certificates, no_registry

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import httpx

    from ashioto.clock import Clock

    Avro = dict[str, object]

Compatibility = Literal[
    "NONE", "BACKWARD", "BACKWARD_TRANSITIVE", "FORWARD", "FORWARD_TRANSITIVE", "FULL", "FULL_TRANSITIVE"
]
COMPATIBILITY: Final = "BACKWARD_TRANSITIVE"
"""What we ask of the schemas of a subject: the newest reads the values of all before it."""
_REVISION: Final = "revision"
"""Property that makes a schema new that was registered before and is not the newest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Registered:
    """Describes a schema of a subject.

    Args:
        id: Its number in the whole registry; values carry it.
        version: Its number in the subject.
        schema: The schema, as JSON values.
    """

    id: int
    version: int
    schema: Mapping[str, object]


class SchemaRegistry:
    """Registers and finds schemas; what a caller may see never has a password in it.

    Every call is repeated when the registry does not answer or is overloaded: all of them may be made twice.

    Args:
        url: Where the registry is, `http://` or `https://`; a user and password in it count as the arguments do.
        user: Name for basic authentication.
        password: Its password.
        ca: File of certificates to trust, instead of the system's.
        cert: File of our own certificate, with its key unless that has a file of its own.
        key: File of the key of our own certificate.
        key_password: Password of that file.
        timeout: How long to wait for an answer, seconds.
        transport: Carries requests instead of the network.
        clock: Waits between attempts.

    Raises:
        RegistryError: The URL is none of a registry, or a file of certificates cannot be used.

    >>> SchemaRegistry("http://me:secret@registry:8081/")
    SchemaRegistry('http://registry:8081')
    """

    def __init__(
        self, url: str, *, user: str | None = None, password: str | None = None, ca: Path | str | None = None,
        cert: Path | str | None = None, key: Path | str | None = None, key_password: str | None = None,
        timeout: float = 10.0, transport: httpx.BaseTransport | None = None, clock: Clock | None = None,
    ) -> None:  # fmt: skip
        verify = certificates(ca, cert, key, key_password) if ca is not None or cert is not None else None
        self._wire = Wire(
            url, user=user, password=password, verify=verify, secrets=(key_password,), timeout=timeout,
            transport=transport, clock=clock if clock is not None else SystemClock(),
        )  # fmt: skip
        self._by_id: dict[int, Avro] = {}

    def __repr__(self) -> str:
        return f"SchemaRegistry({self._wire.url!r})"

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close its connections."""
        self.close()

    def close(self) -> None:
        """Close its connections."""
        self._wire.close()

    def register(self, subject: str, avro: Mapping[str, object]) -> int:
        """Make a schema the newest of a subject and return its number; one that is the newest already stays so.

        A new subject is told first to be compatible with all its versions.

        Raises:
            RegistryError: The registry refuses the schema, or cannot be reached.
        """
        newest = self.latest(subject)
        if newest is None:
            self.set_compatibility(subject, COMPATIBILITY)
        else:
            known = self._look_up(subject, avro)
            if newest.schema == avro or (known is not None and known.version == newest.version):
                return newest.id
            if known is not None:
                avro = {**avro, _REVISION: newest.version + 1}
        answer = self._wire.send("POST", f"subjects/{_quoted(subject)}/versions", body=_said(avro), about=subject)
        return int(_member(answer, "id", int, self._wire.url))

    def by_id(self, number: int) -> Avro:
        """Return the schema of a number; it is asked for once.

        Raises:
            RegistryError: There is none (`ids` has status 404), or the registry cannot be reached.
            SchemaError: It is not Avro.
        """
        found = self._by_id.get(number)
        if found is None:
            answer = self._wire.send("GET", f"schemas/ids/{number}", about=f"schema {number}")
            found = self._by_id[number] = self._avro(answer, f"schema {number}")
        return found

    def latest(self, subject: str) -> Registered | None:
        """Return the newest schema of a subject, or None where there is no such subject.

        Raises:
            RegistryError: The registry cannot be reached.
            SchemaError: It is not Avro.
        """
        return self._registered("GET", f"subjects/{_quoted(subject)}/versions/latest", subject)

    def versions(self, subject: str) -> list[Registered]:
        """Return all schemas of a subject, oldest first.

        Raises:
            RegistryError: The registry cannot be reached.
            SchemaError: One is not Avro.
        """
        path = f"subjects/{_quoted(subject)}/versions"
        numbers = self._wire.send("GET", path, about=subject, absent=True) or []
        found = [self._registered("GET", f"{path}/{number}", subject) for number in numbers]
        return [version for version in found if version is not None]

    def incompatible(self, subject: str, avro: Mapping[str, object]) -> list[str]:
        """Return why a schema cannot follow those of a subject; nothing where it can.

        A column may not have another type in any version; beyond that the registry says what it would refuse.

        Raises:
            RegistryError: The registry cannot be reached.
            SchemaError: A schema is not one of records.
        """
        versions = self.versions(subject)
        reasons = [f"in version {v.version} {reason}" for v in versions for reason in obstacles(v.schema, avro)]
        return reasons or self._refused(subject, avro, versions)

    def compatibility(self, subject: str) -> str | None:
        """Return what the registry asks of the schemas of a subject, or of all where nothing is set for it.

        None is for a registry that does not say.

        Raises:
            RegistryError: The registry cannot be reached.
        """
        for path in (f"config/{_quoted(subject)}", "config"):
            answer = self._wire.send("GET", path, params={"defaultToGlobal": "true"}, about=subject, absent=True)
            if answer is not None:
                return str(_member(answer, "compatibilityLevel", str, self._wire.url))
        return None

    def set_compatibility(self, subject: str, level: Compatibility) -> None:
        """Say what the registry shall ask of the schemas of a subject.

        Raises:
            RegistryError: The registry refuses it, or cannot be reached.
        """
        self._wire.send("PUT", f"config/{_quoted(subject)}", body={"compatibility": level}, about=subject)

    def delete(self, subject: str) -> None:
        """Delete a subject; one that does not exist is left out.

        Values that carry its numbers stay readable where the registry keeps deleted schemas.

        Raises:
            RegistryError: The registry refuses it, or cannot be reached.
        """
        self._wire.send("DELETE", f"subjects/{_quoted(subject)}", about=subject, absent=True)

    def subjects(self) -> list[str]:
        """Return the names of all subjects, sorted.

        Raises:
            RegistryError: The registry cannot be reached.
        """
        return sorted(map(str, self._wire.send("GET", "subjects", about="subjects") or []))

    def _refused(self, subject: str, avro: Mapping[str, object], versions: Sequence[Registered]) -> list[str]:
        """Ask about all versions at once, and one by one where a registry does not know that question."""
        try:
            return self._verdict(subject, "versions", avro)
        except RegistryError as error:
            if UNKNOWN_PATH not in error.ids:
                raise
        return [
            f"in version {v.version} {reason}"
            for v in versions
            for reason in self._verdict(subject, f"versions/{v.version}", avro)
        ]

    def _look_up(self, subject: str, avro: Mapping[str, object]) -> Registered | None:
        return self._registered("POST", f"subjects/{_quoted(subject)}", subject, body=_said(avro))

    def _registered(
        self, method: str, path: str, subject: str, *, body: Mapping[str, object] | None = None
    ) -> Registered | None:
        answer = self._wire.send(method, path, body=body, about=subject, absent=True)
        if answer is None:
            return None
        number, version = (_member(answer, name, int, self._wire.url) for name in ("id", "version"))
        avro = self._avro(answer, subject)
        return Registered(id=number, version=version, schema={n: v for n, v in avro.items() if n != _REVISION})

    def _avro(self, answer: Any, about: str) -> Avro:
        kind = answer.get("schemaType", "AVRO") if isinstance(answer, dict) else "AVRO"
        text = _member(answer, "schema", str, self._wire.url)
        try:
            found = json.loads(text)
        except ValueError:
            found = None
        if kind != "AVRO" or not isinstance(found, dict):
            raise SchemaError(f"{about} is no Avro schema of records", hint="such values are not read", about=about)
        return cast("Avro", found)

    def _verdict(self, subject: str, versions: str, avro: Mapping[str, object]) -> list[str]:
        path = f"compatibility/subjects/{_quoted(subject)}/{versions}"
        answer = self._wire.send("POST", path, body=_said(avro), params={"verbose": "true"}, about=subject, absent=True)
        if answer is None or _member(answer, "is_compatible", bool, self._wire.url):
            return []
        given = answer.get("messages") or [answer.get("reason") or "the registry refuses it and does not say why"]
        return [self._wire.shown(str(reason)) for reason in given]


def _said(avro: Mapping[str, object]) -> dict[str, object]:
    return {"schema": json.dumps(avro)}


def _quoted(subject: str) -> str:
    return quote(subject, safe="")


def _member(answer: Any, name: str, kind: type, url: str) -> Any:
    found = answer.get(name) if isinstance(answer, dict) else None
    if not isinstance(found, kind):
        raise no_registry(url)
    return found
