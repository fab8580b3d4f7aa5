from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal

import pytest

from ashioto.cli.output import json_line, plain, print_rows, table_of, text

AT = datetime(2025, 1, 6, 9, 30, tzinfo=UTC)
ROWS = [
    {"symbol": "A", "at": AT, "price": Decimal("1.50"), "synthetic": False},
    {"symbol": "B", "at": AT, "price": None, "synthetic": True},
]


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (AT.astimezone(timezone(timedelta(hours=9))), "2025-01-06 09:30:00Z"),
        (AT + timedelta(milliseconds=7), "2025-01-06 09:30:00.007Z"),
        (Decimal("0E-5"), "0.00000"),
        (False, "no"),
        (date(2025, 1, 6), "2025-01-06"),
        (7, "7"),
    ],
)
def test_values_are_said_plainly(value: object, said: str) -> None:
    assert text(value) == said


def test_json_holds_text_for_decimals_and_times_and_null_for_nan() -> None:
    row = {"at": AT, "price": Decimal("1.50"), "bad": float("nan"), "n": 3, "no": None, "day": date(2025, 1, 6)}
    assert json.loads(json_line(row)) == {
        "at": "2025-01-06T09:30:00Z",
        "price": "1.50",
        "bad": None,
        "n": 3,
        "no": None,
        "day": "2025-01-06",
    }
    assert plain(AT + timedelta(milliseconds=7)) == "2025-01-06T09:30:00.007Z"


def test_rows_print_as_table_json_or_a_word(capsys: pytest.CaptureFixture[str]) -> None:
    print_rows(ROWS, title="rates", as_json=False)
    table = capsys.readouterr().out
    assert all(word in table for word in ("rates", "symbol", "2025-01-06 09:30:00Z", "1.50", "yes"))
    print_rows(ROWS, title="rates", as_json=True)
    assert [row["symbol"] for row in json.loads(capsys.readouterr().out)] == ["A", "B"]
    print_rows([], title="rates", as_json=True)
    assert json.loads(capsys.readouterr().out) == []
    print_rows([], title="rates", as_json=False, empty="no rates")
    assert capsys.readouterr().out == "no rates\n"


def test_wide_tables_are_not_cut_when_nobody_watches(capsys: pytest.CaptureFixture[str]) -> None:
    print_rows([{f"column_{i}": "x" * 20 for i in range(12)}], title="wide", as_json=False)
    assert capsys.readouterr().out.count("x" * 20) == 12


def test_bars_without_ticks_are_dim() -> None:
    assert [row.style for row in table_of(ROWS, title="rates").rows] == ["", "dim"]
