"""What ashioto logs, one line a record: text for people or JSON for programs, in UTC."""

from __future__ import annotations

import json
import logging
import traceback
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from ashioto.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import TextIO

LogFormat = Literal["text", "json"]

_ROOT: Final = "ashioto"
_SHORT: Final = {"WARNING": "WARN", "CRITICAL": "FATAL"}
_OWN: Final = frozenset({"time", "level", "logger", "message", "error", "error_message", "traceback"})


def configure_logs(*, fmt: LogFormat, level: str = "INFO", stream: TextIO | None = None) -> None:
    """Send what ashioto logs to one stream; called again, the new settings replace the old.

    Other loggers of the process are left alone, and ashioto's lines do not reach them.

    Args:
        fmt: `text` for people, `json` for programs.
        level: The least that is logged: DEBUG, INFO, WARNING or ERROR, in any case.
        stream: Where to; stderr by default.

    Raises:
        UsageError: There is no such level or format.
    """
    formatters = {"text": TextFormatter, "json": JsonFormatter}
    if fmt not in formatters:
        raise UsageError(f"no log format {fmt!r}", hint=f"there are {' and '.join(formatters)}", format=fmt)
    number = logging.getLevelNamesMapping().get(level.upper())
    if number is None:
        raise UsageError(f"no log level {level!r}", hint="use DEBUG, INFO, WARNING or ERROR", level=level)
    handler = _Handler(stream)
    handler.setFormatter(formatters[fmt]())
    logger = logging.getLogger(_ROOT)
    for old in [h for h in logger.handlers if isinstance(h, _Handler)]:
        logger.removeHandler(old)
    logger.addHandler(handler)
    logger.setLevel(number)
    logger.propagate = False


def fields(**values: object) -> dict[str, Mapping[str, object]]:
    """Return values as the `extra` of a log call; JSON lines show them, text lines say what the message says.

    >>> fields(context="trading", epoch=3)
    {'fields': {'context': 'trading', 'epoch': 3}}
    """
    return {"fields": values}


class TextFormatter(logging.Formatter):
    """Writes a record as one line for people: time, level, part of ashioto, message, error.

    >>> record = logging.LogRecord("ashioto.heartbeat", logging.INFO, "", 0, "took over trading", None, None)
    >>> record.created = 1_795_806_000.0
    >>> print(TextFormatter().format(record))
    2026-11-27T19:00:00.000Z INFO  heartbeat  took over trading
    """

    def format(self, record: logging.LogRecord) -> str:
        """Return the line of a record."""
        level = _SHORT.get(record.levelname, record.levelname)
        message, error = record.getMessage(), _error(record)
        if error is not None:
            frames = traceback.extract_tb(error.__traceback__)
            where = f" ({Path(frames[-1].filename).name}:{frames[-1].lineno})" if frames else ""
            message = f"{message}: {type(error).__name__}: {error}{where}"
        line = " | ".join(part for part in message.splitlines() if part)
        return f"{_time(record)} {level:<5} {record.name.removeprefix(f'{_ROOT}.')}  {line}"


class JsonFormatter(logging.Formatter):
    """Writes a record as one JSON object on a line.

    A field that has the name of one of the record's own entries gets an underscore behind it. What JSON cannot hold is
    written as text.

    >>> record = logging.LogRecord("ashioto.heartbeat", logging.INFO, "", 0, "took over", None, None)
    >>> record.created, record.fields = 1_795_806_000.0, {"epoch": 3}
    >>> sorted(json.loads(JsonFormatter().format(record)))
    ['epoch', 'level', 'logger', 'message', 'time']
    """

    def format(self, record: logging.LogRecord) -> str:
        """Return the line of a record."""
        line: dict[str, object] = {
            "time": _time(record),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        given: Mapping[str, object] = getattr(record, "fields", {})
        line |= {f"{name}_" if name in _OWN else name: value for name, value in given.items()}
        error = _error(record)
        if error is not None:
            line["error"], line["error_message"] = type(error).__name__, str(error)
            line["traceback"] = "".join(traceback.format_exception(error))
        return _dumped(line)


class _Handler(logging.StreamHandler["TextIO"]):
    """Tells our handler from those that others have added."""


def _dumped(line: Mapping[str, object]) -> str:
    try:
        return json.dumps(line, ensure_ascii=False, allow_nan=False, default=str)
    except (TypeError, ValueError):
        return json.dumps({name: str(value) for name, value in line.items()}, ensure_ascii=False)


def _error(record: logging.LogRecord) -> BaseException | None:
    return record.exc_info[1] if record.exc_info else None


def _time(record: logging.LogRecord) -> str:
    moment = datetime.fromtimestamp(record.created, UTC).replace(tzinfo=None)
    return f"{moment.isoformat(timespec='milliseconds')}Z"
