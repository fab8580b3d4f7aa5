"""What goes wrong is named, with the way out and the right exit code, and leaves no file behind."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from typer.testing import Result

BASE = ("--time", "ts", "--price", "bid", "--period", "1m")
HEAD = "open,close,market_date\n"
MORNING = "2025-01-06T09:00Z,2025-01-06T12:00Z,2025-01-06\n"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Good and bad files in the working directory."""
    monkeypatch.chdir(tmp_path)
    texts = {
        "t.csv": "ts,bid\n2025-01-06T09:00Z,1.5\n",
        "empty.csv": "",
        "header.csv": "ts,bid\n",
        "bad.csv": "ts,bid\n2025-01-06T09:00Z,abc\n2025-01-06T09:00Z,n/a\n",
        "twice.csv": "ts,ts,bid\n1,2,3\n",
        "notes.txt": "x",
        "none.parquet": "none",
        "overlap.csv": HEAD + MORNING + MORNING.replace("T09", "T11").replace("T12", "T13"),
        "backwards.csv": HEAD + MORNING.replace("T12", "T08"),
        "keyed.csv": f"symbol,{HEAD}A,{MORNING}",
        "nohours.csv": "a,b\n1,2\n",
    }
    for name, text in texts.items():
        Path(name).write_text(text, encoding="utf-8")
    pyarrow.parquet.write_table(pa.table({"ts": [True], "bid": [1.5]}), "flag.parquet")
    pyarrow.parquet.write_table(pa.table({"ts": [1], "bid": pa.array([0]).cast(pa.timestamp("ms"))}), "time.parquet")
    return tmp_path


@pytest.mark.parametrize(
    ("args", "code", "what", "hint"),
    [
        (("missing.csv", *BASE), 1, "no such file: missing.csv", "give Parquet or CSV files"),
        (("missing*.csv", *BASE), 1, "no such file: missing*.csv", "give"),
        ((".", *BASE), 1, ". is a folder", "'./*.parquet'"),
        (("notes.txt", *BASE), 1, "notes.txt is neither .parquet nor .csv", "convert"),
        (("none.parquet", *BASE), 1, "none.parquet cannot be read", "whole"),
        (("empty.csv", *BASE), 1, "empty.csv is empty", "rows"),
        (("header.csv", *BASE), 1, "header.csv has no rows", "ticks"),
        (("bad.csv", *BASE), 1, "none of the 2 rows of bad.csv can be used: bid is no number, e.g. 'abc'", "--price"),
        (("twice.csv", *BASE), 1, "twice.csv has 2 columns 'ts'", "rename"),
        (("flag.parquet", *BASE), 1, "column 'ts' of flag.parquet is bool, it should be times", "convert"),
        (("time.parquet", *BASE), 1, "column 'bid' of time.parquet is timestamp[ms], it should be numbers", "convert"),
        (("t.csv", *BASE, "--price", "bids"), 1, "t.csv has no column 'bids'; it has ts, bid", "--price bid?"),
        (("t.csv", *BASE, "--size", "qty"), 1, "t.csv has no column 'qty'; it has ts, bid", "--size <one of them>"),
        (("t.csv", *BASE, "--key-column", "sym"), 1, "no column 'sym'", "--key sym=..."),
        (("t.csv", *BASE, "--period", "2m,3m"), 1, "3m is not a whole number of 2m", "4m would fit 2m"),
        (("t.csv", *BASE, "--period", "1d,1h,7m"), 1, "1h is not a whole number of 7m", "fit"),
        (("t.csv", *BASE, "--period", "1x"), 1, "no such period: '1x'", "write e.g. 1s"),
        (("t.csv", *BASE, "--period", "1m,1m"), 1, "the period 1m is named twice", "once"),
        (("t.csv", *BASE, "--sessions", "XNYSE"), 1, "no calendar 'XNYSE'", "XNYS"),
        (("t.csv", *BASE, "--sessions", "overlap.csv"), 1, "2025-01-06 and 2025-01-06 overlap", "shorten"),
        (
            ("t.csv", *BASE, "--sessions", "backwards.csv"),
            1,
            "opens at or after its close",
            "close must lie after open",
        ),
        (("t.csv", *BASE, "--sessions", "nohours.csv"), 1, "has no open, close, market_date; it has a, b", "one row"),
        (("t.csv", *BASE, "--sessions", "gone.csv"), 1, "no such file: gone.csv", "give"),
        (("t.csv", *BASE, "--out", "gone/b.csv"), 1, "no such folder: gone", "make it first"),
        (("t.csv", *BASE, "--sessions", "keyed.csv"), 2, "column 'symbol', which is no key", "--key-column symbol"),
        (("t.csv", *BASE, "--tz", "Europe/Berln"), 2, "no time zone 'Europe/Berln'", "Europe/Berlin"),
        (("t.csv", *BASE, "--now", "soon"), 2, "--now soon: no time", "ISO 8601"),
        (("t.csv", *BASE, "--key", "open=1"), 2, "no key can be called 'open'", "another name"),
        (("t.csv", *BASE, "--key", "a=1", "--key", "a=2"), 2, "--key names a column twice", "once"),
        (("t.csv", *BASE, "--key", "a"), 2, "--key a: no name=value", "--key symbol=EURUSD"),
        (("t.csv", *BASE, "--out", "t.csv"), 2, "--out t.csv is one of the files to read", "another"),
        (("*.csv", *BASE, "--out", "./t.csv"), 2, "--out t.csv is one of the files to read", "another"),
        (("t.csv", *BASE, "--out", "b.txt"), 2, "b.txt is neither .parquet nor .csv", "ending"),
        (("t.csv", *BASE, "--out", "b.csv", "--rejects", "b.csv"), 2, "--out and --rejects are both b.csv", "two"),
        (("t.csv", *BASE, "--sessions", "keyed.csv", "--out", "keyed.csv"), 2, "one of the files to read", "another"),
    ],
)
def test_it_is_named_with_a_hint(
    run: Callable[..., Result], folder: Path, args: tuple[str, ...], code: int, what: str, hint: str
) -> None:
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    out = () if "--out" in args else ("--out", "out.parquet")
    said = run("bars", "build", *args, *out, code=code).stderr
    message, _, way_out = said.partition("\nHint: ")
    assert what in message
    assert hint in way_out
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


@pytest.mark.parametrize(
    "args",
    [
        ("t.csv", "--price", "bid", "--period", "1m", "--out", "b.csv"),
        ("t.csv", *BASE),
        (*BASE, "--out", "b.csv"),
        ("t.csv", *BASE, "--out", "b.csv", "--align", "noon"),
        ("t.csv", *BASE, "--out", "b.csv", "--scale", "19"),
        ("t.csv", *BASE, "--out", "b.csv", "--time-unit", "m"),
        ("t.csv", *BASE, "--out", "b.csv", "--grace", "-1"),
        ("t.csv", *BASE, "--out", "b.csv", "--threads", "0"),
        ("t.csv", *BASE, "--out", "b.csv", "--what"),
    ],
)
def test_wrong_calls_are_refused(run: Callable[..., Result], args: tuple[str, ...]) -> None:
    assert "Usage:" in run("bars", "build", *args, code=2).stderr


def test_a_failure_leaves_the_old_bars(run: Callable[..., Result], folder: Path) -> None:
    run("bars", "build", "t.csv", *BASE, "--out", "bars.csv")
    before = (folder / "bars.csv").read_bytes()
    run("bars", "build", "bad.csv", *BASE, "--out", "bars.csv", "--rejects", "r.csv", code=1)
    assert (folder / "bars.csv").read_bytes() == before
    assert not list(folder.glob(".*"))
