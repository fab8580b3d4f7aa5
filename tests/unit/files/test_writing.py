from __future__ import annotations

import csv
import io
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet
import pytest

from ashioto.errors import InputError, UsageError
from ashioto.files.writing import TableWriter, check_target

if TYPE_CHECKING:
    from pathlib import Path

AT = datetime(2025, 1, 6, 9, 30, 0, 120_000, tzinfo=UTC)
SCHEMA = pa.schema(
    [
        ("symbol", pa.string()),
        ("at", pa.timestamp("ms", tz="UTC")),
        ("day", pa.date32()),
        ("price", pa.decimal128(18, 5)),
        ("final", pa.bool_()),
        ("ticks", pa.int64()),
    ]
)
TABLE = pa.Table.from_pylist(
    [
        {"symbol": "A", "at": AT, "day": date(2025, 1, 6), "price": Decimal("1.5"), "final": True, "ticks": 3},
        {"symbol": None, "at": None, "day": None, "price": Decimal("-0.00001"), "final": False, "ticks": None},
    ],
    schema=SCHEMA,
)


def test_csv_has_iso_times_and_plain_numbers(tmp_path: Path) -> None:
    with TableWriter(tmp_path / "t.csv", SCHEMA) as writer:
        writer.write(TABLE)
        writer.write(TABLE.slice(0, 1))
    assert (tmp_path / "t.csv").read_text(encoding="utf-8").splitlines() == [
        "symbol,at,day,price,final,ticks",
        "A,2025-01-06T09:30:00.120Z,2025-01-06,1.50000,true,3",
        ",,,-0.00001,false,",
        "A,2025-01-06T09:30:00.120Z,2025-01-06,1.50000,true,3",
    ]


def test_text_with_separators_is_quoted() -> None:
    stream = io.BytesIO()
    odd = ["a,b", 'say "x"', "two\nlines", "plain"]
    schema = pa.schema([('na"me', pa.string())])
    with TableWriter(stream, schema) as writer:
        writer.write(pa.table([odd], schema=schema))
    assert not stream.closed
    assert [row[0] for row in csv.reader(io.StringIO(stream.getvalue().decode()))] == ['na"me', *odd]


def test_parquet_keeps_types(tmp_path: Path) -> None:
    with TableWriter(tmp_path / "t.parquet", SCHEMA) as writer:
        writer.write(TABLE)
        writer.write(TABLE)
    assert pyarrow.parquet.read_table(tmp_path / "t.parquet").equals(pa.concat_tables([TABLE, TABLE]))
    assert pyarrow.parquet.ParquetFile(tmp_path / "t.parquet").metadata.row_group(0).column(0).compression == "ZSTD"


@pytest.mark.parametrize("name", ["t.csv", "t.parquet"])
def test_nothing_at_all_has_a_header(tmp_path: Path, name: str) -> None:
    with TableWriter(tmp_path / name, SCHEMA):
        pass
    assert (tmp_path / name).stat().st_size


@pytest.mark.parametrize("name", ["t.csv", "t.parquet"])
def test_a_failure_leaves_what_was_there(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("before", encoding="utf-8")

    def fail() -> None:
        with TableWriter(tmp_path / name, SCHEMA) as writer:
            writer.write(TABLE)
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_text(encoding="utf-8") == "before"


@pytest.mark.parametrize(
    ("name", "error", "message"),
    [
        ("t.txt", UsageError, "neither .parquet nor .csv"),
        ("t", UsageError, "neither"),
        ("none/t.csv", InputError, "no such folder"),
        ("folder.csv", InputError, "is a folder"),
    ],
)
def test_targets_that_cannot_be_written_are_named(
    tmp_path: Path, name: str, error: type[Exception], message: str
) -> None:
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(error, match=message):
        check_target(tmp_path / name)
