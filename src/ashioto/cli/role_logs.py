"""How resident commands log, and end when something is wrong: as one more line of their log."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

from ashioto.errors import AshiotoError, UsageError

if TYPE_CHECKING:
    import logging
    from collections.abc import Iterator

    from ashioto.observe.logs import LogFormat


def log_format_of(text: str) -> LogFormat:
    """Return what `--log-format` says.

    Raises:
        UsageError: It is neither `text` nor `json`.

    >>> log_format_of("json")
    'json'
    """
    if text == "text":
        return "text"
    if text == "json":
        return "json"
    raise UsageError(f"--log-format {text}: no such format", hint="text or json")


@contextmanager
def role_logs(logger: logging.Logger, *, log_format: str, log_level: str) -> Iterator[None]:
    """Log to stderr while a role runs; what ends it is told there too where programs read it.

    Args:
        logger: Of the role.
        log_format: `text` or `json`.
        log_level: The least that is logged.

    Raises:
        UsageError: There is no such format or level.
        typer.Exit: The role ended with an error, and a line of JSON says which; else the error itself.
    """
    from ashioto.observe.logs import configure_logs, fields

    fmt = log_format_of(log_format)
    configure_logs(fmt=fmt, level=log_level)
    try:
        yield
    except AshiotoError as error:
        if fmt == "text":
            raise
        logger.error(error.message, extra=fields(hint=error.hint, exit_code=error.exit_code))  # noqa: TRY400  # no traceback for users
        raise typer.Exit(error.exit_code) from None
