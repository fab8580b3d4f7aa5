"""Secrets of the settings: known by where they come from, read when they are used, and never shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ashioto.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path


class Secret:
    """Holds a secret, or the file that it is in; nothing that prints it says more than that there is one.

    Args:
        text: The secret; None where it is in a file.
        file: The file; white space around the secret does not count.

    >>> secret = Secret(text="canary")
    >>> secret, f"{secret}", secret.reveal()
    (Secret(***), 'Secret(***)', 'canary')
    """

    __slots__ = ("_file", "_text")

    def __init__(self, *, text: str | None = None, file: Path | None = None) -> None:
        self._text, self._file = text, file

    def __repr__(self) -> str:
        return "Secret(***)"

    def __reduce__(self) -> str | tuple[object, ...]:
        """Refuse to be copied to where it could be read."""
        raise TypeError("a secret is not pickled")

    def reveal(self) -> str:
        """Return the secret.

        Raises:
            ConfigError: Its file cannot be read, or is empty; names the file.
        """
        if self._text is not None or self._file is None:
            return self._text or ""
        try:
            found = self._file.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "it is no text"
            raise ConfigError(
                f"the secret in {self._file} cannot be read: {why}", hint="correct the file, or its rights",
                file=str(self._file),
            ) from None  # fmt: skip
        if not found:
            raise ConfigError(f"{self._file} holds no secret", hint="write it there", file=str(self._file))
        return found
