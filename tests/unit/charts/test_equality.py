from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pytest

from ashioto.charts.equality import Equality, equality_of, terminal_lines, write_equality
from ashioto.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

DAY = date(2025, 1, 6)


def cell(symbol: str, day: int, *, equal: int, missing: int = 0) -> dict[str, object]:
    counts = {"equal": equal, "unequal": 0, "missing": missing, "extra": 0}
    return {"broker": "FX", "symbol": symbol, "day": DAY + timedelta(days=day), **counts}


@pytest.fixture
def equality() -> Equality:
    cells = [cell("A", 0, equal=4), cell("A", 1, equal=99, missing=1), cell("A", 2, equal=1, missing=1)]
    return equality_of(pa.Table.from_pylist([*cells, cell("B", 0, equal=0, missing=3)]))


def test_rates_stand_by_series_and_day(equality: Equality) -> None:
    assert equality.series == ("FX A", "FX B")
    assert equality.days == tuple(DAY + timedelta(days=n) for n in range(3))
    np.testing.assert_array_equal(equality.rates, [[1.0, 0.99, 0.5], [0.0, np.nan, np.nan]])


def test_a_terminal_shows_a_block_a_day(equality: Equality) -> None:
    head, one, other, legend = (line.plain for line in terminal_lines(equality, width=80, rows=10))
    assert head.split() == ["2025-01-06", "2025-01-08"]
    assert (one, other) == ("FX A  █▓▒", "FX B  ░··")
    assert "no bars" in legend


def test_days_that_do_not_fit_share_a_block_and_the_worst_counts() -> None:
    cells = [cell("A", day, equal=int(day != 35), missing=int(day == 35)) for day in range(100)]
    lines = [line.plain for line in terminal_lines(equality_of(pa.Table.from_pylist(cells)), width=30, rows=10)]
    blocks = lines[1].removeprefix("FX A  ")
    assert (len(blocks), blocks.count("░"), blocks.index("░")) == (20, 1, 7)
    assert "a block is 5 days" in lines[-1]


def test_the_worst_series_are_shown_where_there_are_too_many() -> None:
    cells = [cell(f"S{n}", 0, equal=n, missing=10 - n) for n in range(10)]
    lines = [line.plain for line in terminal_lines(equality_of(pa.Table.from_pylist(cells)), width=80, rows=2)]
    assert [line.split()[1] for line in lines[1:3]] == ["S0", "S1"]
    assert lines[3] == "… and 8 more series, none of them worse"


@pytest.mark.parametrize("name", ["days.png", "days.html"])
def test_pictures_are_written(equality: Equality, tmp_path: Path, name: str) -> None:
    write_equality(equality, tmp_path / "made" / name, title="equal bars")
    written = (tmp_path / "made" / name).read_bytes()
    assert (b"\x89PNG" if name.endswith("png") else b"<html>") in written[:100]
    assert len(written) > 1000


def test_other_endings_are_refused(equality: Equality, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"cannot draw a \.pdf file"):
        write_equality(equality, tmp_path / "days.pdf", title="")
