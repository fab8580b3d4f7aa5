"""What is wrong with where a server is, and with how it lets this client in."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from ashioto.config.models import EngineConfig, KafkaConfig, RegistryConfig

Found = tuple[str, str, str]
"""Key, what is wrong with it, and the way out."""


def of_url(key: str, url: str, example: str) -> Iterator[Found]:
    """Yield what is wrong with the URL of a server.

    Args:
        key: Of the setting.
        url: Its value.
        example: One that is right.
    """
    section, _, name = key.partition(".")
    if "@" in url:
        hint = f"set {section}.user, and ASHIOTO_{section.upper()}__PASSWORD"
        yield key, f"{key} has a user or a password in it", hint
    if _scheme(url) not in {"http", "https"}:
        yield key, f"{key} is no URL", f'e.g. {name} = "{example}"'


def of_login(section: str, config: RegistryConfig | EngineConfig, urls: Sequence[str]) -> Iterator[Found]:
    """Yield what is wrong with how a server lets this client in.

    Args:
        section: Of the settings.
        config: They.
        urls: Of the server.
    """
    if config.user and config.password is None:
        hint = f"set ASHIOTO_{section.upper()}__PASSWORD, or {section}.password_file"
        yield f"{section}.password", f"there is no password of {config.user}", hint
    if config.password is not None and not config.user:
        yield f"{section}.user", f"{section} has a password, but no user", f"set {section}.user"
    if all(_scheme(url) == "http" for url in urls) and (config.ca or config.cert):
        key = f"{section}.ca" if config.ca else f"{section}.cert"
        yield key, f"{key} is of no use with an http:// URL", "use https://, or leave it out"
    yield from of_certificate(section, config)


def _scheme(url: str) -> str:
    """Return the scheme of a URL; nothing where it names no host, or no port that there can be."""
    try:
        parts = urlsplit(url)
        place = parts.hostname, parts.port
    except ValueError:
        return ""
    return parts.scheme if place[0] else ""


def of_certificate(section: str, config: KafkaConfig | RegistryConfig | EngineConfig) -> Iterator[Found]:
    """Yield what is wrong with the files of certificates.

    Args:
        section: Of the settings.
        config: They.
    """
    if config.key is not None and config.cert is None:
        yield f"{section}.cert", f"{section}.key is set, but {section}.cert is not", f"set {section}.cert too"
    if config.key_password is not None and config.key is None and config.cert is None:
        yield f"{section}.key", f"{section}.key_password is set, but no key", f"set {section}.key"
    for key in ("ca", "cert", "key"):
        path: Path | None = getattr(config, key)
        if path is not None and not path.exists():
            yield f"{section}.{key}", f"{section}.{key}: no such file: {path}", "correct the path"
