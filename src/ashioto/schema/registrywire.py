"""Requests to a schema registry: repeated where that helps, with errors that say what is wrong and no secrets."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Any, Final

import httpx

from ashioto.errors import RegistryBusyError, RegistryError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from ashioto.clock import Clock
    from ashioto.errors import AshiotoError

ABSENT: Final = 404
_NOT_ASKED_SO: Final = 405
UNKNOWN_PATH: Final = "unknown_path"
"""Among the ids of an error: what was asked for is no question that the registry knows."""
_ATTEMPTS: Final = 4
_FIRST_PAUSE_S: Final = 0.1
_AGAIN: Final = frozenset({408, 429, 500, 502, 503, 504})
_REFUSED: Final = frozenset({409, 422})
_LONGEST: Final = 500
_HEADERS: Final = {
    "Accept": "application/vnd.schemaregistry.v1+json, application/json",
    "Content-Type": "application/vnd.schemaregistry.v1+json",
}


class Wire:
    """Sends requests to a registry.

    Args:
        url: Where it is; a user and password in it are used and not kept in `url`.
        user: Name for basic authentication.
        password: Its password.
        verify: Certificates to trust and to show; None is the system's.
        secrets: What must never be shown, beside the passwords.
        timeout: How long to wait for an answer, seconds.
        transport: Carries requests instead of the network.
        clock: Waits between attempts.

    Raises:
        RegistryError: The URL is none of a registry.
    """

    def __init__(
        self, url: str, *, user: str | None, password: str | None, verify: ssl.SSLContext | None,
        secrets: tuple[str | None, ...], timeout: float, transport: httpx.BaseTransport | None, clock: Clock,
    ) -> None:  # fmt: skip
        base, auth = _address(url, user, password)
        self.url = str(base).rstrip("/")
        self._clock, self._timeout = clock, timeout
        self._secrets = [secret for secret in (*secrets, auth[1] if auth else None) if secret]
        self._client = httpx.Client(
            base_url=self.url, auth=auth, verify=True if verify is None else verify, timeout=timeout,
            transport=transport, headers=_HEADERS,
        )  # fmt: skip

    def close(self) -> None:
        """Close its connections."""
        self._client.close()

    def send(
        self, method: str, path: str, *, about: str, body: Mapping[str, object] | None = None,
        params: Mapping[str, str] | None = None, absent: bool = False,
    ) -> Any:  # fmt: skip
        """Return the JSON of an answer.

        Args:
            method: How to ask; all that is asked may be asked twice.
            path: Below the URL.
            about: What is asked about, for messages.
            body: JSON to send.
            params: Behind the path.
            absent: Whether there may be nothing: then None is returned.

        Raises:
            RegistryError: The registry refuses, fails, or is not reached; `ids` has the status of its answer, or
                `UNKNOWN_PATH` where it does not know the question.
        """
        answer = self._answer(method, path, body, params)
        if answer.status_code == _NOT_ASKED_SO or (answer.status_code == ABSENT and not _speaks(answer)):
            raise no_registry(self.url, **{UNKNOWN_PATH: path})
        if answer.status_code == ABSENT and absent:
            return None
        if not answer.is_success:
            raise self._error(answer, about)
        try:
            return answer.json()
        except ValueError as error:
            raise no_registry(self.url) from error

    def shown(self, text: str) -> str:
        """Return text that may be shown: without secrets, and not too long."""
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return text if len(text) <= _LONGEST else f"{text[:_LONGEST]} …"

    def _answer(
        self, method: str, path: str, body: Mapping[str, object] | None, params: Mapping[str, str] | None
    ) -> httpx.Response:
        pause = _FIRST_PAUSE_S
        for attempt in range(1, _ATTEMPTS + 1):
            last = attempt == _ATTEMPTS
            try:
                answer = self._client.request(method, path, json=body, params=params)
            except httpx.TransportError as error:
                if last:
                    raise self._unreachable(error) from error
            else:
                if last or answer.status_code not in _AGAIN:
                    return answer
            self._clock.sleep(pause)
            pause *= 2
        raise AssertionError

    def _unreachable(self, error: httpx.TransportError) -> RegistryBusyError:
        if isinstance(error, httpx.TimeoutException):
            why, hint = f"did not answer within {self._timeout:g} s", "see whether it is overloaded, then try again"
        else:
            why, hint = (
                f"was not reached: {self.shown(str(error))}",
                "check its URL and certificates, and that it runs",
            )
        return RegistryBusyError(f"the schema registry {self.url} {why}", hint=hint, url=self.url)

    def _error(self, answer: httpx.Response, about: str) -> RegistryError:
        status = answer.status_code
        if status in {401, 403}:
            what, hint = f"does not let this client in ({status})", "check user, password and rights"
        elif status in _REFUSED:
            what, hint = (
                f"refuses {about}: {self._message(answer)}",
                "keep the columns as they are, or write to a new topic",
            )
        elif status == ABSENT:
            what, hint = f"does not know {about}", "check its URL, and whether somebody has deleted it"
        else:
            what, hint = f"failed ({status}): {self._message(answer)}", "see its own log"
        kind = RegistryBusyError if status in _AGAIN else RegistryError
        return kind(f"the schema registry {self.url} {what}", hint=hint, url=self.url, status=status, about=about)

    def _message(self, answer: httpx.Response) -> str:
        try:
            return self.shown(str(answer.json()["message"]))
        except (ValueError, KeyError, TypeError):
            return self.shown(answer.text or answer.reason_phrase)


def _address(url: str, user: str | None, password: str | None) -> tuple[httpx.URL, tuple[str, str] | None]:
    """Return a URL without user and password, and those apart."""
    try:
        whole = httpx.URL(url)
    except httpx.InvalidURL:
        whole = httpx.URL()
    if whole.scheme not in {"http", "https"} or not whole.host:
        raise RegistryError(
            "the URL of the schema registry is none", hint="it looks like https://registry.example.com:8081"
        )
    name, word = user if user is not None else whole.username, password if password is not None else whole.password
    return whole.copy_with(userinfo=None, query=None, fragment=None), (name, word or "") if name else None


def certificates(
    ca: Path | str | None, cert: Path | str | None, key: Path | str | None, key_password: str | None,
    *, whose: str = "the schema registry", error: type[AshiotoError] = RegistryError,
) -> ssl.SSLContext:  # fmt: skip
    """Return certificates to trust and to show.

    Args:
        ca: File of certificates to trust, instead of the system's.
        cert: File of our own certificate.
        key: File of its key.
        key_password: Password of that file.
        whose: Server they are for, for messages.
        error: What to raise.

    Raises:
        RegistryError: A file cannot be used; or what was named instead.
    """
    named = ", ".join(str(file) for file in (ca, cert, key) if file is not None)
    try:
        context = ssl.create_default_context(cafile=ca)
        if cert is not None:
            context.load_cert_chain(cert, key, key_password or "")
    except (OSError, ValueError) as why:  # ssl.SSLError is an OSError
        raise error(
            f"the certificates for {whose} cannot be used: {why}", hint=f"check {named}", files=named
        ) from why  # fmt: skip
    return context


def no_registry(url: str, **ids: str) -> RegistryError:
    """Return the error for answers that no registry gives.

    Args:
        url: Where it was asked.
        ids: What else programs may want to know.

    >>> print(no_registry("http://registry"))
    http://registry does not answer as a schema registry does
    Hint: check the path of the URL; some end in /apis/ccompat/v7
    """
    hint = "check the path of the URL; some end in /apis/ccompat/v7"
    return RegistryError(f"{url} does not answer as a schema registry does", hint=hint, url=url, **ids)


def _speaks(answer: httpx.Response) -> bool:
    """Return whether "not found" means what was asked for: a path that does not exist has no code of its own."""
    try:
        return int(answer.json()["error_code"]) > ABSENT
    except (ValueError, TypeError, KeyError):
        return False
