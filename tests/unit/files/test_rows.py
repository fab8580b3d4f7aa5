from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest

import ashioto as ao
from ashioto import Field
from ashioto.errors import InputError, UsageError
from ashioto.files.reading import open_file
from ashioto.files.rows import ColumnSource, RowReader, Rows
from ashioto.schema.arrow import storage_schema

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


class Rate(ao.Stream):
    symbol: Field[str] = ao.key()
    line: Field[int] = ao.key(default=1)
    at: Field[datetime] = ao.timestamp()
    price: Field[Decimal] = ao.decimal(18, 5)
    size: Field[float] = ao.field(default=0.0)
    venue: Field[str] = ao.field(default="none")
    day: Field[date] = ao.field(default=date(2000, 1, 1))
    open: Field[bool] = ao.field(default=False)


RATE = Rate.__entity__
AT = datetime(2025, 1, 6, 9, 30, tzinfo=UTC)
MS = int(AT.timestamp() * 1000)
SOURCE = ColumnSource(columns={"at": "ts", "price": "bid"}, constants={"symbol": "EURUSD"})


def ticks(**changes: object) -> pa.Table:
    return pa.table({"ts": [MS, MS + 1], "bid": [1.5, 2.25], "other": ["x", "y"], **changes})


@pytest.fixture
def read(tmp_path: Path) -> Callable[..., Rows]:
    def run(table: pa.Table, source: ColumnSource = SOURCE, *, csv: bool = False) -> Rows:
        path = tmp_path / ("t.csv" if csv else "t.parquet")
        (pyarrow.csv.write_csv if csv else pyarrow.parquet.write_table)(table, path)
        reader, file = RowReader(RATE, source), open_file(path)
        (part, *_) = file.parts(reader.wanted(file))
        return reader.read(part)

    return run


def test_rows_have_the_columns_of_the_stream(read: Callable[..., Rows]) -> None:
    for csv in (False, True):
        batch = read(ticks(), csv=csv).batch
        assert batch.schema == storage_schema(RATE)
        assert (
            batch.drop_columns(["at", "price"]).to_pylist()
            == [{"symbol": "EURUSD", "line": 1, "size": 0.0, "venue": "none", "day": date(2000, 1, 1), "open": False}]
            * 2
        )
        assert batch.column("price").cast(pa.decimal128(18, 5)).to_pylist() == [Decimal("1.5"), Decimal("2.25")]


def test_columns_of_every_type_are_read(read: Callable[..., Rows]) -> None:
    more = {
        "symbol": [5, 6],
        "line": [7.0, 8.0],
        "size": [Decimal("1.5"), Decimal(2)],
        "venue": pa.array(["a", "b"]).dictionary_encode(),
        "day": pa.array([date(2025, 1, 6)] * 2),
        "open": [True, False],
    }
    source = ColumnSource(columns=SOURCE.columns)
    first, second = (read(ticks(**more), source, csv=csv) for csv in (False, True))
    assert first.rejected is None
    assert first.batch.column("symbol").to_pylist() == ["5", "6"]
    assert first.batch.column("line").to_pylist() == [7, 8]
    assert first.batch.column("size").to_pylist() == [1.5, 2.0]
    assert first.batch.column("open").to_pylist() == [True, False]
    assert second.batch.equals(first.batch)


def test_nothing_in_a_column_with_a_default_takes_it(read: Callable[..., Rows]) -> None:
    more = {"line": [None, 2], "size": [None, 1.5], "venue": ["a", None], "day": [None, date(2025, 1, 6)]}
    for csv in (False, True):
        rows = read(ticks(**more), csv=csv)
        assert rows.rejected is None
        assert rows.batch.column("line").to_pylist() == [1, 2]
        assert rows.batch.column("size").to_pylist() == [0.0, 1.5]
        assert rows.batch.column("venue").to_pylist() == ["a", "none"]
        assert rows.batch.column("day").to_pylist() == [date(2000, 1, 1), date(2025, 1, 6)]


def test_bad_rows_are_set_aside_with_their_first_reason(read: Callable[..., Rows]) -> None:
    table = pa.table(
        {
            "ts": ["2025-01-06T09:30", "x", "2025-01-06T09:31", "2025-01-06T09:32", "2025-01-06T09:33", None],
            "bid": ["1.5", "y", None, "NaN", "2.5", "3"],
            "line": ["1", "1", "1", "1", "1.5", "1"],
        }
    )
    rows = read(table, csv=True)
    assert rows.batch.num_rows == 1
    assert rows.rejected is not None
    assert [(row.row, row.reason, row.value) for row in rows.rejected] == [
        (2, "ts is no time", "x"),
        (3, "bid is null", ""),
        (4, "bid is NaN or infinite", "NaN"),
        (5, "line is no whole number of 64 bits", "1.5"),
        (6, "ts is null", ""),
    ]
    assert rows.rejected.counts().total() == len(rows.rejected) == 5
    assert rows.rejected.examples()["bid is null"].row == 3
    assert rows.rejected.to_table().column_names == ["file", "row", "reason", "value"]


def test_broken_lines_are_among_the_rejected(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text(f"ts,bid\n{MS},1\n{MS}\n{MS},x\n{MS},1,2\n{MS},{'9' * 200}\n", encoding="utf-8")
    reader, file = RowReader(RATE, SOURCE), open_file(path)
    found = [row for part in file.parts(["ts", "bid"]) if (bad := reader.read(part).rejected) for row in bad]
    assert [(row.row, row.reason) for row in found] == [
        (2, "the line has too few cells"),
        (3, "bid is no number"),
        (4, "the line has too many cells"),
        (5, "bid is too large for the scale 5"),
    ]
    assert found[-1].value == "9" * 80 + "…"


def test_keys_that_are_no_text_are_set_aside(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(f"ts,bid,symbol\n{MS},1,A\n{MS},1,".encode() + b"\xff\n" + f"{MS},1,\n{MS},1,NA\n".encode())
    reader, file = RowReader(RATE, ColumnSource(columns=SOURCE.columns)), open_file(path)
    rows = reader.read(next(file.parts(reader.wanted(file))))
    assert rows.batch.column("symbol").to_pylist() == ["A", "NA"]
    assert rows.rejected is not None
    assert [(r.row, r.reason, r.value) for r in rows.rejected] == [
        (2, "symbol is no UTF-8 text", "\\xff"),
        (3, "symbol is null", ""),
    ]


def test_rounding_is_counted(read: Callable[..., Rows]) -> None:
    assert read(ticks(bid=[1.123456, 1.5])).rounded == {"bid": 1}
    assert read(ticks()).rounded == {}


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (ColumnSource(columns={"prise": "bid"}), "Rate has no column 'prise'"),
        (
            ColumnSource(columns={"at": "ts", "price": "ask"}, constants={"symbol": "A"}),
            "no column 'ask'; it has ts, bid",
        ),
        (ColumnSource(columns={"at": "ts", "price": "bid"}), "no column 'symbol'"),
        (
            ColumnSource(columns={"at": "ts", "price": "flag"}, constants={"symbol": "A"}),
            "'flag' .* is bool, .* numbers",
        ),
        (
            ColumnSource(columns={"at": "flag", "price": "bid"}, constants={"symbol": "A"}),
            "'flag' .* is bool, .* times",
        ),
        (ColumnSource(columns={**SOURCE.columns, "symbol": "bid"}), "'bid' .* is double, .* text"),
        (ColumnSource(columns={**SOURCE.columns, "venue": "none"}, constants={"symbol": "A"}), "no column 'none'"),
    ],
)
def test_columns_that_cannot_be_read_are_named(read: Callable[..., Rows], source: ColumnSource, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        read(ticks(flag=[True, False]), source)
    assert caught.value.hint


def test_hints_name_the_option_and_the_nearest_column(read: Callable[..., Rows]) -> None:
    columns, keys = {"at": "ts", "price": "prise"}, {"symbol": "A"}
    source = ColumnSource(columns=columns, constants=keys, options={"price": "--price "})
    with pytest.raises(InputError, match=r"did you mean --price price\?"):
        read(ticks(price=[1, 2]), source)
    with pytest.raises(InputError, match=r"--map symbol=<one of them> or --key symbol=\.\.\."):
        read(ticks(), ColumnSource(columns=SOURCE.columns))


def test_a_column_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("ts,ts,bid\n1,2,3\n", encoding="utf-8")
    with pytest.raises(InputError, match="2 columns 'ts'"):
        RowReader(RATE, SOURCE).wanted(open_file(path))


def test_constants_must_be_what_their_column_is() -> None:
    RowReader(RATE, ColumnSource(constants={"line": "7"}))
    with pytest.raises(UsageError, match="line=x: 'x' is no whole number"):
        RowReader(RATE, ColumnSource(constants={"line": "x"}))
