from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import ashioto as ao
from ashioto import Field, Period
from ashioto.dsl.bar import BarBinding
from ashioto.errors import ConfigError, UsageError
from ashioto.migration.mapping import FOLDER, BarMap, find_map, load_map

if TYPE_CHECKING:
    from datetime import datetime
    from decimal import Decimal
    from pathlib import Path

YAML = """
columns:
  bucket_start: ts
  open: o
constants: {broker: FX, ticks: 0, volume: 1.5, market_date: 2025-01-06}
scale: {open: 5}
bucket: end
time_zone: Asia/Tokyo
time_unit: ms
day_zone: Etc/GMT+5
"""
TOML = """
bucket = "end"
time_zone = "Asia/Tokyo"
time_unit = "ms"
day_zone = "Etc/GMT+5"
[columns]
bucket_start = "ts"
open = "o"
[constants]
broker = "FX"
ticks = 0
volume = 1.5
market_date = 2025-01-06
[scale]
open = 5
"""


@pytest.fixture(scope="module")
def binding() -> BarBinding:
    class Rate(ao.Stream):
        broker: Field[str] = ao.key()
        at: Field[datetime] = ao.timestamp()
        price: Field[Decimal] = ao.decimal(18, 5)

    context = ao.Context("mapped")
    query = (
        context.events(Rate)
        .time_frame(ao.AlwaysOpen)
        .tumbling(Rate.at, Period.minutes(1))
        .select(open=ao.first(Rate.price), ticks=ao.count())
        .to_query()
    )
    return BarBinding.of(context, query.plan, Period.minutes(1))


def load(tmp_path: Path, text: str, name: str = "mine.yaml") -> BarMap:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return load_map(path)


def test_yaml_and_toml_say_the_same(tmp_path: Path) -> None:
    one, other = load(tmp_path, YAML), load(tmp_path, TOML, "mine.toml")
    assert one.columns == other.columns == {"bucket_start": "ts", "open": "o"}
    assert one.constants == other.constants == {
        "broker": "FX", "ticks": "0", "volume": "1.5", "market_date": "2025-01-06"
    }  # fmt: skip
    assert one.scale == other.scale == {"open": 5}
    for found in (one, other):
        assert (found.bucket, found.time_zone, found.time_unit, found.day_zone) == (
            "end", "Asia/Tokyo", "ms", "Etc/GMT+5"
        )  # fmt: skip


def test_nothing_said_means_that_columns_keep_their_names(tmp_path: Path) -> None:
    found = load(tmp_path, "# nothing yet\n")
    assert (found.source("open"), found.bucket, found.time_zone, found.time_unit) == ("open", "start", "UTC", None)


@pytest.mark.parametrize(
    ("text", "what", "hint"),
    [
        ("colums: {open: o}", "no such key: colums", "did you mean columns?"),
        ("columns: {open: 3}", "columns.open is 3, not the name of a column", "open: bid_open"),
        ("columns: {open: ''}", "columns.open is ''", ""),
        ("columns: [open]", "columns is ['open'], not names with values", "columns: {open: ...}"),
        ("constants: {open: [1]}", "constants.open is [1], not one value", "text, a number"),
        ("scale: {open: five}", "scale.open is 'five', not a number of digits", "0 to 18"),
        ("scale: {open: 19}", "scale.open is 19", "0 to 18"),
        ("scale: {open: true}", "scale.open is True", "0 to 18"),
        ("bucket: middle", "bucket is 'middle'", "start, end"),
        ("time_unit: m", "time_unit is 'm'", "s, ms, us, ns"),
        ("time_zone: Asia/Tokio", "time_zone: no time zone 'Asia/Tokio'", "did you mean Asia/Tokyo"),
        ("day_zone: 5", "day_zone is 5, not the name of a zone", "e.g. UTC"),
        ("columns: {open: o}\nconstants: {open: 1}", "open is under columns and under constants", "one of them"),
        ("scale: {open: 2}\nconstants: {open: 1}", "scale.open: open is a constant", "as it is meant"),
        ("columns: {open: o, open: p}", "line 1: open stands there twice", "migrate.md"),
        ("columns: {open: o", "is no YAML: line", "migrate.md"),
        ("? [a]\n: 1", "line 1: a name is text, not a sequence", "migrate.md"),
        ("- columns", "is a list, not names with values", "columns: {bucket_start: ts}"),
    ],
)
def test_what_is_not_known_is_refused_with_file_key_and_hint(tmp_path: Path, text: str, what: str, hint: str) -> None:
    with pytest.raises(ConfigError) as found:
        load(tmp_path, text)
    assert found.value.message.startswith(f"{tmp_path / 'mine.yaml'}: ")
    assert what in found.value.message
    assert hint in found.value.hint


def test_broken_toml_and_bytes_that_are_no_text_are_said_so(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"mine\.toml: is no TOML: Invalid value"):
        load(tmp_path, "bucket = ", "mine.toml")
    (tmp_path / "raw.yaml").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match=r"raw\.yaml: cannot be read"):
        load_map(tmp_path / "raw.yaml")


@pytest.mark.parametrize(
    ("found", "what", "hint"),
    [
        (BarMap(columns={"opn": "o"}), "columns.opn is no column of mapped.rate_bars_1m", "did you mean open?"),
        (BarMap(constants={"symbol": "A"}), "constants.symbol is no column", "there are broker"),
        (BarMap(constants={"period": "1m"}), "constants.period is no column", "there are"),
        (BarMap(scale={"ticks": 2}), "scale.ticks: ticks is int64, which has no digits", "leave it out"),
        (BarMap(constants={"broker": None}), "constants.broker is null", "give broker a value"),
    ],
)
def test_columns_that_bars_do_not_have_are_refused(binding: BarBinding, found: BarMap, what: str, hint: str) -> None:
    with pytest.raises(ConfigError) as error:
        found.check(binding)
    assert what in error.value.message
    assert hint in error.value.hint


def test_a_mapping_that_fits_passes(binding: BarBinding) -> None:
    BarMap(columns={"period": "frame", "open": "o"}, constants={"broker": "FX"}, scale={"open": 5}).check(binding)


def test_keys_of_the_command_line_stand_above_the_mapping() -> None:
    found = BarMap(columns={"broker": "b", "open": "o"}, constants={"symbol": "A"}).with_constants(
        {"broker": "X", "symbol": "B"}
    )
    assert (found.columns, found.constants) == ({"open": "o"}, {"symbol": "B", "broker": "X"})


def test_maps_are_found_by_name_or_path(tmp_path: Path) -> None:
    folder = tmp_path / FOLDER
    folder.mkdir(parents=True)
    (folder / "vendor.yaml").write_text("")
    (folder / "other.toml").write_text("")
    (tmp_path / "here.yaml").write_text("")
    assert find_map("vendor", tmp_path) == folder / "vendor.yaml"
    assert find_map("other", tmp_path) == folder / "other.toml"
    assert find_map("other.toml", tmp_path) == folder / "other.toml"
    assert find_map(str(tmp_path / "here.yaml"), tmp_path) == tmp_path / "here.yaml"
    with pytest.raises(UsageError, match="--map vendr: there is no such mapping") as error:
        find_map("vendr", tmp_path)
    assert error.value.hint == "did you mean vendor?"
    with pytest.raises(UsageError) as error:
        find_map("zzz.yaml", tmp_path)
    assert error.value.hint == "there are other, vendor"
