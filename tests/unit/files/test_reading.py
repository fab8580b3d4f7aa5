from __future__ import annotations

import gzip
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ashioto.errors import InputError
from ashioto.files import reading
from ashioto.files.reading import Part, expand, open_file, open_files

if TYPE_CHECKING:
    from pathlib import Path

TABLE = pa.table({"ts": [1, 2, 3], "symbol": ["A", "NA", None], "price": [1.5, 2.25, None]})


def rows(parts: list[Part]) -> list[dict[str, object]]:
    return [row for part in parts for row in part.rows.to_pylist()]


def written(folder: Path, table: pa.Table = TABLE) -> list[Path]:
    pyarrow.parquet.write_table(table, folder / "t.parquet", row_group_size=2)
    pyarrow.csv.write_csv(table, folder / "t.csv")
    (folder / "t.csv.gz").write_bytes(gzip.compress((folder / "t.csv").read_bytes()))
    return [folder / "t.parquet", folder / "t.csv", folder / "t.csv.gz"]


def test_columns_come_in_the_order_they_are_asked_for(tmp_path: Path) -> None:
    for path in written(tmp_path):
        file = open_file(path)
        assert file.schema.names == ["ts", "symbol", "price"]
        parts = list(file.parts(["price", "ts", "price"]))
        assert [str(row["ts"]) for row in rows(parts)] == ["1", "2", "3"]
        assert {tuple(part.rows.schema.names) for part in parts} == {("price", "ts")}
        assert parts[-1].done == file.size


def test_cells_of_csv_stay_text_and_only_empty_ones_are_null(tmp_path: Path) -> None:
    _, plain, packed = written(tmp_path)
    for path in (plain, packed):
        found = rows(list(open_file(path).parts(["symbol", "price"])))
        assert found == [
            {"symbol": "A", "price": "1.5"},
            {"symbol": "NA", "price": "2.25"},
            {"symbol": None, "price": None},
        ]


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_the_separator_is_found(tmp_path: Path, separator: str) -> None:
    path = tmp_path / "t.csv"
    path.write_text(f"\ufeffts{separator}price\r\n1{separator}2.5\r\n", encoding="utf-8")
    assert rows(list(open_file(path).parts(["ts", "price"]))) == [{"ts": "1", "price": "2.5"}]


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from(["good", "short", "long", "empty"]), max_size=60), st.integers(200, 400))
def test_broken_lines_are_left_out_and_every_row_keeps_its_number(tmp_path: Path, lines: list[str], block: int) -> None:
    texts = {"short": "1", "long": "1,2,3", "empty": ""}
    path = tmp_path / "t.csv"
    body = [texts.get(kind, f"{number},{'x' * 20}") for number, kind in enumerate(lines)]
    path.write_text("\n".join(["row,text", *body]) + "\n", encoding="utf-8")
    kept = [kind for kind in lines if kind != "empty"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reading, "BLOCK_BYTES", block)
        parts = list(open_file(path).parts(["row"]))
    numbers = [(part.number(at), row["row"]) for part in parts for at, row in enumerate(part.rows.to_pylist())]
    good = [str(number) for number, kind in enumerate(lines) if kind == "good"]
    places = [place for place, kind in enumerate(kept, 1) if kind == "good"]
    assert numbers == list(zip(places, good, strict=True))
    broken = [(line.row, line.cells, line.text) for part in parts for line in part.broken]
    assert broken == [
        (place, {"short": 1, "long": 3}[kind], texts[kind]) for place, kind in enumerate(kept, 1) if kind in texts
    ]


def test_a_csv_file_is_read_block_by_block(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "t.csv"
    path.write_text("a\n" + "1234567\n" * 1000, encoding="utf-8")
    monkeypatch.setattr(reading, "BLOCK_BYTES", 800)
    parts = list(open_file(path).parts(["a"]))
    assert len(parts) > 5
    assert [part.first for part in parts] == [sum(p.rows.num_rows for p in parts[:i]) for i in range(len(parts))]
    assert [part.done for part in parts] == sorted(part.done for part in parts)


def test_a_parquet_file_is_read_part_by_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "t.parquet"
    pyarrow.parquet.write_table(pa.table({"a": range(1000)}), path)
    monkeypatch.setattr(reading, "PART_ROWS", 300)
    parts = list(open_file(path).parts(["a"]))
    assert [part.rows.num_rows for part in parts] == [300, 300, 300, 100]
    assert parts[1].number(0) == 301


def test_files_without_rows_have_none(tmp_path: Path) -> None:
    written(tmp_path, TABLE.slice(0, 0))
    (tmp_path / "u.csv").write_text("ts,price", encoding="utf-8")
    for path, columns in ((tmp_path / "t.parquet", ["ts"]), (tmp_path / "t.csv", ["ts"]), (tmp_path / "u.csv", ["ts"])):
        assert rows(list(open_file(path).parts(columns))) == []


def test_names_and_globs_stand_for_files_in_order_each_once(tmp_path: Path) -> None:
    for name in ("b.csv", "a.csv", "c.parquet", "odd[1].csv"):
        (tmp_path / name).touch()
    names = [str(tmp_path / name) for name in ("c.parquet", "[ab].csv", "a.csv", "*.csv", "odd[1].csv")]
    assert [path.name for path in expand(names)] == ["c.parquet", "a.csv", "b.csv", "odd[1].csv"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("none.csv", None, "no such file: .*none.csv"),
        ("none*.parquet", None, "no such file"),
        ("ticks.txt", b"x", "is neither .parquet nor .csv"),
        ("empty.csv", b"", "is empty"),
        ("blank.csv", b"\n\n", "is empty"),
        ("empty.parquet", b"", "is empty"),
        ("bad.parquet", b"none", "cannot be read"),
        ("wide.csv", "ü,b\n1,2\n".encode("latin-1"), "cannot be read: 'utf-8' codec"),
        ("packed.csv.gz", b"no gzip", "cannot be read"),
    ],
)
def test_files_that_cannot_be_read_are_named(tmp_path: Path, name: str, content: bytes | None, message: str) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=message) as caught:
        open_files([str(tmp_path / name)])
    assert caught.value.hint


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is a folder"):
        open_files([str(tmp_path)])


def test_a_file_with_broken_pages_is_named(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    pyarrow.parquet.write_table(pa.table({"a": range(100_000)}), path, compression="none")
    raw = bytearray(path.read_bytes())
    raw[4:40_000] = b"\xff" * 39_996
    path.write_bytes(raw)
    with pytest.raises(InputError, match=r"t\.parquet cannot be read"):
        list(open_file(path).parts(["a"]))
