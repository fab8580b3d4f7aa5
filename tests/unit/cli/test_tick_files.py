from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest

import ashioto as ao
from ashioto import Field
from ashioto.cli.tick_files import ColumnSource, expand, map_columns, read_batches
from ashioto.errors import InputError
from ashioto.tables.convert import batch_of_arrow

if TYPE_CHECKING:
    from pathlib import Path


class Rate(ao.Stream):
    symbol: Field[str] = ao.key()
    line: Field[int] = ao.key(default=1)
    at: Field[datetime] = ao.timestamp()
    price: Field[Decimal] = ao.decimal(18, 5)
    size: Field[float] = ao.field(default=0.0)


RATE = Rate.__entity__
AT = datetime(2025, 1, 6, 9, 30, tzinfo=UTC)
MS = int(AT.timestamp() * 1000)
SOURCE = ColumnSource(columns={"at": "ts", "price": "bid"}, constants={"symbol": "EURUSD"})


def ticks(**changes: object) -> pa.Table:
    return pa.table({"ts": [MS, MS + 1], "bid": [1.5, 2.25], "other": ["x", "y"], **changes})


def stored(table: pa.Table, source: ColumnSource = SOURCE) -> pa.RecordBatch:
    return batch_of_arrow(RATE, map_columns(RATE, table, source))


@pytest.mark.parametrize(
    "times",
    [
        pa.array([MS // 1000] * 2),
        pa.array([MS] * 2),
        pa.array([MS * 1000] * 2),
        pa.array([MS * 1_000_000] * 2),
        pa.array([AT] * 2, pa.timestamp("us", tz="UTC")),
        pa.array([AT.replace(tzinfo=None)] * 2, pa.timestamp("ns")),
        pa.array(["2025-01-06T09:30:00Z"] * 2),
        pa.array(["2025-01-06 18:30:00+09:00"] * 2),
    ],
)
def test_times_are_read_in_every_common_form(times: pa.Array) -> None:
    assert stored(ticks(ts=times)).column("at").to_pylist() == [AT, AT]


def test_numbers_written_as_text_are_read() -> None:
    made = stored(ticks(bid=["1.5", "2.25"], size=["1", "2.5"]))
    assert made.column("price").cast(pa.decimal128(18, 5)).to_pylist() == [Decimal("1.5"), Decimal("2.25")]
    assert made.column("size").to_pylist() == [1.0, 2.5]


def test_constants_and_numbers_make_keys() -> None:
    source = ColumnSource(columns={**SOURCE.columns, "symbol": "id"}, constants={"line": "7"})
    made = stored(ticks(id=[5, 6]), source)
    assert made.column("symbol").to_pylist() == ["5", "6"]
    assert made.column("line").to_pylist() == [7, 7]


def test_columns_nobody_asked_for_are_dropped() -> None:
    assert map_columns(RATE, ticks(), SOURCE).column_names == ["symbol", "at", "price"]


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (ColumnSource(columns={"prise": "bid"}), "Rate has no column 'prise'"),
        (
            ColumnSource(columns={"at": "ts", "price": "ask"}, constants={"symbol": "A"}),
            "no column 'ask'; it has ts, bid",
        ),
        (ColumnSource(columns={"at": "ts", "price": "bid"}), "no column 'symbol'"),
        (ColumnSource(columns={"at": "ts", "price": "other"}, constants={"symbol": "A"}), r"Rate\.price is decimal"),
        (ColumnSource(columns={"at": "other", "price": "bid"}, constants={"symbol": "A"}), r"Rate\.at is timestamp"),
    ],
)
def test_what_cannot_be_mapped_is_named(source: ColumnSource, message: str) -> None:
    with pytest.raises(InputError, match=message):
        map_columns(RATE, ticks(), source)


def test_parquet_and_csv_hold_the_same(tmp_path: Path) -> None:
    pyarrow.parquet.write_table(ticks(), tmp_path / "t.parquet")
    pyarrow.csv.write_csv(ticks(), tmp_path / "t.csv")
    first, second = (list(read_batches(tmp_path / name)) for name in ("t.parquet", "t.csv"))
    assert stored(first[0]).equals(stored(second[0]))


def test_globs_stand_for_files_in_order(tmp_path: Path) -> None:
    for name in ("b.csv", "a.csv", "c.parquet"):
        (tmp_path / name).touch()
    assert [p.name for p in expand([str(tmp_path / "*.csv"), str(tmp_path / "c.parquet")])] == [
        "a.csv",
        "b.csv",
        "c.parquet",
    ]


def test_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        expand([str(tmp_path / "none*.csv")])
    (tmp_path / "ticks.txt").touch()
    with pytest.raises(InputError, match=r"ticks\.txt is neither"):
        expand([str(tmp_path / "ticks.txt")])
    (tmp_path / "empty.csv").touch()
    with pytest.raises(InputError, match=r"empty\.csv is empty"):
        list(read_batches(tmp_path / "empty.csv"))
    (tmp_path / "bad.parquet").write_bytes(b"none")
    with pytest.raises(InputError, match=r"bad\.parquet cannot be read"):
        list(read_batches(tmp_path / "bad.parquet"))
