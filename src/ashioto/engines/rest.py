"""Requests to servers that run queries: repeated where that helps, with errors that show no secrets."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import httpx

from ashioto.errors import EngineBusyError, EngineError
from ashioto.schema.registrywire import certificates

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Mapping

    from ashioto.clock import Clock
    from ashioto.config import EngineConfig

ABSENT: Final = 404
_ATTEMPTS: Final = 4
_FIRST_PAUSE_S: Final = 0.1
_AGAIN: Final = frozenset({408, 429, 502, 503, 504})
_SAFE: Final = frozenset({"GET", "DELETE"})
_LONGEST: Final = 2_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """Says how servers let this client in.

    Args:
        user: Who logs in; None where nobody does.
        password: Its password.
        verify: Certificates to trust and to show; None is the system's.
        secrets: What must never be shown, beside the password.
    """

    user: str | None = None
    password: str | None = field(default=None, repr=False)
    verify: ssl.SSLContext | None = None
    secrets: tuple[str, ...] = field(default=(), repr=False)


def access_of(engine: EngineConfig) -> Access:
    """Return how the servers of an engine let this client in.

    Args:
        engine: Its settings.

    Raises:
        ConfigError: A file of a secret cannot be read.
        EngineError: A certificate cannot be used.

    >>> from ashioto.config import EngineConfig
    >>> access_of(EngineConfig(kind="flink")).user is None
    True
    """
    key_password = None if engine.key_password is None else engine.key_password.reveal()
    has_files = engine.ca is not None or engine.cert is not None
    return Access(
        user=engine.user or None,
        password=None if engine.password is None else engine.password.reveal(),
        verify=certificates(
            engine.ca, engine.cert, engine.key, key_password, whose=f"the servers of {engine.kind}", error=EngineError
        ) if has_files else None,
        secrets=() if key_password is None else (key_password,),
    )  # fmt: skip


class Rest:
    """Sends requests to one server.

    Args:
        url: Where it is.
        name: What it is, for messages.
        access: How it lets this client in.
        clock: Waits between attempts.
        explain: Makes the text of an answer that is none into one for people.
        timeout_s: How long to wait for an answer, seconds.
        transport: Carries requests instead of the network.
    """

    def __init__(
        self, url: str, *, name: str, access: Access, clock: Clock, explain: Callable[[str], str] = str,
        timeout_s: float = 30.0, transport: httpx.BaseTransport | None = None,
    ) -> None:  # fmt: skip
        self.url, self.name = url.rstrip("/"), name
        self._clock, self._explain, self._timeout_s = clock, explain, timeout_s
        self._secrets = sorted((s for s in (*access.secrets, access.password) if s), key=len, reverse=True)
        auth = None if access.user is None else (access.user, access.password or "")
        self._client = httpx.Client(
            base_url=self.url, auth=auth, verify=True if access.verify is None else access.verify, timeout=timeout_s,
            transport=transport, headers={"Accept": "application/json"},
        )  # fmt: skip

    def close(self) -> None:
        """Close its connections."""
        self._client.close()

    def send(
        self, method: str, path: str, *, about: str, body: Mapping[str, object] | None = None, absent: bool = False
    ) -> Any:
        """Return the JSON of an answer.

        Args:
            method: How to ask. What changes nothing when it is done twice is asked again where there is no answer.
            path: Below the URL.
            about: What is asked for, for messages.
            body: JSON to send.
            absent: Whether there may be nothing: then None is returned.

        Raises:
            EngineBusyError: The server is not reached, or cannot answer now.
            EngineError: It refuses or fails; `ids` has the status of its answer.
        """
        answer = self._answer(method, path, body)
        if answer.status_code == ABSENT and absent:
            return None
        if not answer.is_success:
            raise self._error(answer, about)
        try:
            return answer.json()
        except ValueError as error:
            raise EngineError(
                f"{self.name} at {self.url} does not answer as one does", hint="check its URL", url=self.url
            ) from error

    def shown(self, text: str) -> str:
        """Return text that may be shown: without secrets, and not too long."""
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return text if len(text) <= _LONGEST else f"{text[:_LONGEST]} …"

    def _answer(self, method: str, path: str, body: Mapping[str, object] | None) -> httpx.Response:
        pause = _FIRST_PAUSE_S
        for attempt in range(1, _ATTEMPTS + 1):
            last = attempt == _ATTEMPTS
            try:
                answer = self._client.request(method, path, json=body)
            except httpx.TransportError as error:
                unsent = isinstance(error, httpx.ConnectError | httpx.ConnectTimeout)
                if last or not (unsent or method in _SAFE):
                    raise self._unreachable(error) from error
            else:
                if last or answer.status_code not in _AGAIN or method not in _SAFE:
                    return answer
            self._clock.sleep(pause)
            pause *= 2
        raise AssertionError

    def _unreachable(self, error: httpx.TransportError) -> EngineBusyError:
        if isinstance(error, httpx.TimeoutException):
            why, hint = f"did not answer within {self._timeout_s:g} s", "see whether it is overloaded, then try again"
        else:
            why = f"was not reached: {self.shown(str(error))}"
            hint = "check its URL and certificates, and that it runs"
        return EngineBusyError(f"{self.name} at {self.url} {why}", hint=hint, url=self.url)

    def _error(self, answer: httpx.Response, about: str) -> EngineError:
        status = answer.status_code
        if status in {401, 403}:
            what, hint = f"does not let this client in ({status})", "check user, password and rights"
        elif status == ABSENT:
            what, hint = f"does not know {about}", "check its URL, and that it is of a version that is supported"
        else:
            said = self.shown(self._explain(answer.text) or answer.reason_phrase)
            what, hint = f"refuses {about}: {said}" if status < 500 else f"failed with {about}: {said}", ""
        kind = EngineBusyError if status in _AGAIN else EngineError
        said = self.shown(self._explain(answer.text))
        return kind(f"{self.name} at {self.url} {what}", hint=hint, url=self.url, status=status, said=said)
