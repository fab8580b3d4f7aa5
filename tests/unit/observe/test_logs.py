"""What ashioto logs is one line a record, for people or for programs."""

from __future__ import annotations

import json
import logging
from datetime import UTC, date, datetime
from decimal import Decimal
from io import StringIO
from typing import Any, Literal

import pytest

from ashioto.errors import LogBusyError, UsageError
from ashioto.observe.logs import JsonFormatter, TextFormatter, configure_logs, fields

ASHIOTO = logging.getLogger("ashioto")
HEARTBEAT = logging.getLogger("ashioto.heartbeat")
AT = datetime(2026, 11, 27, 19, tzinfo=UTC).timestamp()


def record(message: str, *args: object, level: int = logging.INFO, error: BaseException | None = None) -> Any:
    info = None if error is None else (type(error), error, error.__traceback__)
    made = logging.LogRecord("ashioto.heartbeat", level, "", 0, message, args, info)
    made.created = AT + 0.25
    return made


def raised(error: Exception) -> Exception:
    try:
        raise error
    except type(error) as caught:
        return caught


def written(fmt: Literal["text", "json"], *, level: str = "INFO") -> StringIO:
    out = StringIO()
    configure_logs(fmt=fmt, level=level, stream=out)
    return out


@pytest.mark.parametrize(
    ("level", "shown"),
    [
        (logging.DEBUG, "DEBUG heartbeat"),
        (logging.INFO, "INFO  heartbeat"),
        (logging.WARNING, "WARN  heartbeat"),
        (logging.ERROR, "ERROR heartbeat"),
        (logging.CRITICAL, "FATAL heartbeat"),
    ],
)
def test_text_lines_have_time_level_and_part(level: int, shown: str) -> None:
    line = TextFormatter().format(record("took over %s (epoch %d)", "trading", 3, level=level))
    assert line == f"2026-11-27T19:00:00.250Z {shown}  took over trading (epoch 3)"


def test_an_error_in_text_is_one_line_with_its_place() -> None:
    error = raised(LogBusyError("the log is held by process 7", hint="stop it"))
    line = TextFormatter().format(record("cannot renew", level=logging.ERROR, error=error))
    told, _, place = line.partition(" (test_logs.py:")
    assert told.startswith("2026-11-27T19:00:00.250Z ERROR heartbeat  cannot renew")
    assert told.endswith("cannot renew: LogBusyError: the log is held by process 7 | Hint: stop it")
    assert place.rstrip(")").isdecimal()


def test_an_error_that_was_never_raised_has_no_place() -> None:
    line = TextFormatter().format(record("cannot renew", error=LogBusyError("the log is held")))
    assert line.endswith("cannot renew: LogBusyError: the log is held")


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r", "\u2028", "\n\n"])
def test_no_message_makes_two_lines(ending: str) -> None:
    message = f"one{ending}2026-11-27T19:00:00.250Z INFO  heartbeat  forged"
    text, line = TextFormatter().format(record(message)), JsonFormatter().format(record(message))
    assert text.endswith("one | 2026-11-27T19:00:00.250Z INFO  heartbeat  forged")
    assert "\n" not in line
    assert json.loads(line)["message"] == message


def test_json_lines_have_the_fields_behind_the_rest() -> None:
    made = record("took over %s", "trading")
    made.fields = {"context": "trading", "epoch": 3}
    assert list(json.loads(JsonFormatter().format(made)).items()) == [
        ("time", "2026-11-27T19:00:00.250Z"),
        ("level", "INFO"),
        ("logger", "ashioto.heartbeat"),
        ("message", "took over trading"),
        ("context", "trading"),
        ("epoch", 3),
    ]


def test_a_field_never_hides_an_entry_of_the_record() -> None:
    made = record("took over")
    made.fields = {"message": "mine", "traceback": "mine too"}
    line = json.loads(JsonFormatter().format(made))
    assert (line["message"], line["message_"], line["traceback_"]) == ("took over", "mine", "mine too")


def test_an_error_in_json_is_three_entries_on_one_line() -> None:
    error = raised(LogBusyError("the log is held", hint="stop it"))
    text = JsonFormatter().format(record("cannot renew", error=error))
    line = json.loads(text)
    assert "\n" not in text
    assert (line["error"], line["error_message"]) == ("LogBusyError", "the log is held\nHint: stop it")
    assert line["traceback"].startswith("Traceback")
    assert "test_logs.py" in line["traceback"]


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (Decimal("1.50"), "1.50"),
        (date(2026, 11, 27), "2026-11-27"),
        (float("nan"), "nan"),
        ([1.5, float("inf")], "[1.5, inf]"),
        ({("trading", "Rate"): 1}, "{('trading', 'Rate'): 1}"),
        ("足音", "足音"),
        (None, None),
    ],
)
def test_any_field_can_be_written(value: object, shown: object) -> None:
    made = record("odd")
    made.fields = {"value": value}
    line = json.loads(JsonFormatter().format(made), parse_constant=pytest.fail)
    assert line["value"] == shown


def test_fields_travel_with_a_log_call() -> None:
    out = written("json")
    HEARTBEAT.info("took over", extra=fields(context="trading", epoch=3))
    line = json.loads(out.getvalue())
    assert (line["context"], line["epoch"]) == ("trading", 3)


def test_text_leaves_the_fields_to_programs() -> None:
    out = written("text")
    HEARTBEAT.info("took over trading", extra=fields(epoch=3))
    assert out.getvalue().endswith(" INFO  heartbeat  took over trading\n")


def test_the_time_is_utc_and_now() -> None:
    out = written("json")
    before = datetime.now(UTC).replace(microsecond=0)
    HEARTBEAT.info("now")
    stamp = json.loads(out.getvalue())["time"]
    assert stamp.endswith("Z")
    assert before <= datetime.fromisoformat(stamp) <= datetime.now(UTC)


def test_configuring_twice_writes_once_and_the_newest_settings_hold() -> None:
    first, second = written("text"), written("json", level="warning")
    HEARTBEAT.info("left out")
    HEARTBEAT.warning("said once")
    assert first.getvalue() == ""
    assert [json.loads(line)["message"] for line in second.getvalue().splitlines()] == ["said once"]


def test_handlers_of_others_stay() -> None:
    other = logging.NullHandler()
    ASHIOTO.addHandler(other)
    written("text")
    written("text")
    assert other in ASHIOTO.handlers
    assert len([h for h in ASHIOTO.handlers if isinstance(h.formatter, TextFormatter)]) == 1


def test_the_rest_of_the_process_is_left_alone() -> None:
    root = logging.getLogger()
    before = root.handlers[:], root.level
    out = written("json", level="DEBUG")
    logging.getLogger("somebody.else").warning("not ours")
    assert (root.handlers[:], root.level) == before
    assert out.getvalue() == ""


def test_lines_do_not_reach_the_root_as_well(caplog: pytest.LogCaptureFixture) -> None:
    out = written("text")
    HEARTBEAT.warning("once")
    assert caplog.records == []
    assert out.getvalue().count("once") == 1


def test_stderr_is_the_default(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs(fmt="text")
    HEARTBEAT.info("to people")
    assert capsys.readouterr().err.endswith("to people\n")


def test_unknown_settings_are_named_with_those_known_and_change_nothing() -> None:
    before = ASHIOTO.handlers[:]
    with pytest.raises(UsageError, match="no log level 'LOUD'") as caught:
        configure_logs(fmt="text", level="LOUD")
    assert "WARNING" in caught.value.hint
    with pytest.raises(UsageError, match="no log format 'xml'") as caught:
        configure_logs(fmt="xml")  # type: ignore[arg-type]  # as it may come from a settings file
    assert caught.value.hint == "there are text and json"
    assert ASHIOTO.handlers == before
