from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import ashioto as ao
from ashioto import Field, Period
from ashioto.dsl.bar import BarBinding
from ashioto.errors import ConfigError, InputError, UsageError
from ashioto.files.reading import open_file
from ashioto.migration.mapping import BarMap
from ashioto.migration.reading import BarPart, BarReader, key_constants

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

HEADER = "broker,bucket_start,open,volume,mean,ticks\n"
ROW = "FX,2025-01-06T09:00:00Z,1.10001,5,1.5,3\n"


@pytest.fixture(scope="module")
def binding() -> Callable[[Period], BarBinding]:
    class Rate(ao.Stream):
        broker: Field[str] = ao.key()
        at: Field[datetime] = ao.timestamp()
        price: Field[Decimal] = ao.decimal(18, 5)
        size: Field[Decimal] = ao.decimal(18, 2)

    context = ao.Context("read")
    query = (
        context.events(Rate)
        .time_frame(ao.AlwaysOpen)
        .tumbling(Rate.at, Period.minutes(1), Period.days(1), Period.weeks(1), Period.months(1))
        .select(open=ao.first(Rate.price), volume=ao.sum(Rate.size), mean=ao.avg(Rate.price), ticks=ao.count())
        .to_query()
    )
    return lambda period: BarBinding.of(context, query.plan, period)


@pytest.fixture
def read(tmp_path: Path, binding: Callable[[Period], BarBinding]) -> Callable[..., list[BarPart]]:
    """Read CSV text or a table as bars of a minute."""

    def reading(
        given: str | pa.Table, mapping: BarMap | None = None, *, whole: bool = True, period: str = "1m"
    ) -> list[BarPart]:
        path = tmp_path / ("bars.csv" if isinstance(given, str) else "bars.parquet")
        if isinstance(given, str):
            path.write_text(given, encoding="utf-8")
        else:
            pq.write_table(given, path)
        reader = BarReader(binding(Period.parse(period)), mapping or BarMap(), whole=whole)
        return list(reader.parts(open_file(path)))

    return reading


def rows(parts: list[BarPart]) -> list[dict[str, Any]]:
    return [row for part in parts for row in part.bars.to_pylist()]


def test_columns_keep_their_names_and_numbers_their_digits(read: Callable[..., list[BarPart]]) -> None:
    assert rows(read(HEADER + ROW)) == [
        {
            "broker": "FX",
            "bucket_start": datetime(2025, 1, 6, 9, tzinfo=UTC),
            "open": Decimal("1.10001"),
            "volume": Decimal("5.00"),
            "mean": 1.5,
            "ticks": 3,
        }
    ]


def test_a_mapping_renames_scales_and_fills_in(read: Callable[..., list[BarPart]]) -> None:
    mapping = BarMap(
        columns={"bucket_start": "t", "open": "o", "mean": "m"},
        constants={"broker": "X", "volume": None, "ticks": "0"},
        scale={"open": 3, "mean": 1},
    )
    (row,) = rows(read("t,o,m,other\n1736154000000,1100,15,?\n", mapping))
    assert (row["broker"], row["volume"], row["ticks"]) == ("X", None, 0)
    assert (row["open"], row["mean"]) == (Decimal("1.10000"), 1.5)
    assert row["bucket_start"] == datetime(2025, 1, 6, 9, tzinfo=UTC)


def test_whole_numbers_may_have_more_digits_than_are_kept_as_long_as_those_are_zero(
    read: Callable[..., list[BarPart]],
) -> None:
    table = pa.table(
        {"broker": ["X"], "bucket_start": [0], "open": [110001000], "volume": [1], "mean": [1.0], "ticks": [1]}
    )
    (row,) = rows(read(table, BarMap(scale={"open": 8})))
    assert row["open"] == Decimal("1.10001")
    with pytest.raises(InputError, match="open has more than 5 digits after the point: '110001001'"):
        read(table.set_column(2, "open", [[110001001]]), BarMap(scale={"open": 8}))
    with pytest.raises(InputError, match=r"open does not fit decimal\(18, 5\)"):
        read(table.set_column(2, "open", [[10**15]]), BarMap(scale={"open": 1}))


@pytest.mark.parametrize(
    ("period", "said", "mapping", "start"),
    [
        ("1m", "2025-01-06T09:01", BarMap(bucket="end"), datetime(2025, 1, 6, 9, tzinfo=UTC)),
        ("1m", "2025-01-06T18:00", BarMap(time_zone="Asia/Tokyo"), datetime(2025, 1, 6, 9, tzinfo=UTC)),
        ("1m", "1736154000", BarMap(time_unit="s"), datetime(2025, 1, 6, 9, tzinfo=UTC)),
        ("1d", "2025-01-06T05:00Z", BarMap(day_zone="Etc/GMT+5"), datetime(2025, 1, 6, tzinfo=UTC)),
        ("1d", "2025-07-07", BarMap(day_zone="Asia/Tokyo", time_zone="Asia/Tokyo"), datetime(2025, 7, 7, tzinfo=UTC)),
        ("1d", "2025-01-07", BarMap(bucket="end"), datetime(2025, 1, 6, tzinfo=UTC)),
        ("1w", "2025-01-13", BarMap(bucket="end"), datetime(2025, 1, 6, tzinfo=UTC)),
        ("1mo", "2025-03-01", BarMap(bucket="end"), datetime(2025, 2, 1, tzinfo=UTC)),
    ],
)
def test_times_become_bucket_starts(
    read: Callable[..., list[BarPart]], period: str, said: str, mapping: BarMap, start: datetime
) -> None:
    (row,) = rows(read(HEADER + ROW.replace("2025-01-06T09:00:00Z", said), mapping, period=period))
    assert row["bucket_start"] == start


def test_days_are_named_by_the_market_date_where_there_is_no_start(read: Callable[..., list[BarPart]]) -> None:
    text = "broker,market_date,open,volume,mean,ticks\nFX,2025-01-06,1,1,1,1\n"
    (row,) = rows(read(text, period="1d"))
    assert (row["bucket_start"], row["market_date"]) == (datetime(2025, 1, 6, tzinfo=UTC), date(2025, 1, 6))
    with pytest.raises(InputError, match="has no column 'bucket_start'"):
        read(text)


def test_rows_of_other_periods_are_left_out_and_rows_keep_their_numbers(read: Callable[..., list[BarPart]]) -> None:
    head = "period," + HEADER
    text = head + "5m," + ROW + "1m," + ROW + "PT1M," + ROW.replace("09:00", "09:01") + "odd," + ROW
    (part, *_) = read(text)
    assert (part.bars.num_rows, part.other, part.number(0), part.number(1)) == (2, 2, 2, 3)
    with pytest.raises(InputError, match=r"row 2 of .*: open is no number: 'x'"):
        read(head + "5m," + ROW + "1m," + ROW.replace("1.10001", "x"))
    found = read(text.replace("period", "frame", 1), BarMap(columns={"period": "frame"}))
    assert found[0].bars.num_rows == 2
    with pytest.raises(InputError, match="has no column 'frame'"):
        read(text, BarMap(columns={"period": "frame"}))


def test_selected_columns_may_be_missing_where_bars_are_only_compared(read: Callable[..., list[BarPart]]) -> None:
    (row,) = rows(read("broker,bucket_start,close\nFX,2025-01-06,1\n", whole=False))
    assert set(row) == {"broker", "bucket_start"}
    with pytest.raises(InputError, match="has no column 'o'"):
        read("broker,bucket_start\nFX,2025-01-06\n", BarMap(columns={"open": "o"}), whole=False)


@pytest.mark.parametrize(
    ("text", "mapping", "message", "hint"),
    [
        (
            HEADER.replace("open", "opne") + ROW,
            None,
            "has no column 'open'; it has broker",
            "did you mean columns: {open: opne}",
        ),
        (HEADER.replace("volume", "x") + ROW, None, "has no column 'volume'", "constants: {volume: 0}"),
        (HEADER.replace("broker", "b") + ROW, None, "has no column 'broker'", "--key broker=..."),
        (HEADER.replace("open", "volume") + ROW, None, "has no column 'open'", "columns: {open:"),
        (HEADER.replace("mean", "open") + ROW, None, "has 2 columns 'open'", "rename one of them"),
        (HEADER + ROW.replace("1.10001", "1,1"), None, "row 1 of", "in quotes"),
        (HEADER + ROW + ROW.replace("1.10001", "1.1x"), None, "row 2 of", "open is decimal(18, 5)"),
        (HEADER + ROW.replace("FX", ""), None, "broker is null", "mend the row"),
        (HEADER + ROW.replace("2025-01-06T09:00:00Z", ""), None, "bucket_start is null", "time_zone"),
        (HEADER + ROW.replace("2025-01-06T09:00:00Z", "soon"), None, "bucket_start is no time: 'soon'", "time_zone"),
        (HEADER + ROW, BarMap(scale={"open": 5}), "open is no whole number of 64 bits: '1.10001'", "scale.open"),
        (
            HEADER + ROW.replace("2025-01-06T09:00:00Z", "2025-03-30T02:30"),
            BarMap(time_zone="Europe/Berlin"),
            "bucket_start does not exist in Europe/Berlin",
            "time_zone",
        ),
    ],
)
def test_what_is_no_bar_is_refused_with_row_and_way_out(
    read: Callable[..., list[BarPart]], text: str, mapping: BarMap | None, message: str, hint: str
) -> None:
    with pytest.raises(InputError) as found:
        read(text, mapping)
    assert message in found.value.message
    assert hint in found.value.hint


def test_days_that_begin_elsewhere_are_refused_until_the_zone_is_said(read: Callable[..., list[BarPart]]) -> None:
    text = HEADER + ROW.replace("2025-01-06T09:00:00Z", "2025-01-06T05:00Z")
    with pytest.raises(InputError, match="bucket_start is not midnight in UTC") as found:
        read(text, period="1d")
    assert "day_zone" in found.value.hint


def test_types_that_cannot_be_read_are_named(read: Callable[..., list[BarPart]]) -> None:
    table = pa.table({"broker": ["X"], "bucket_start": [True], "open": [1], "volume": [1], "mean": [1.0], "ticks": [1]})
    with pytest.raises(InputError, match=r"column 'bucket_start' of .* is bool, it should be times"):
        read(table)
    nothing = table.set_column(1, "bucket_start", [[0]]).set_column(3, "volume", pa.nulls(1))
    assert rows(read(nothing))[0]["volume"] is None


def test_rounding_is_counted_by_column_of_the_file(read: Callable[..., list[BarPart]]) -> None:
    parts = read(HEADER + ROW.replace(",5,", ",5.123,"))
    assert [part.rounded for part in parts if part.rounded] == [{"volume": 1}]


def test_constants_that_cannot_be_read_are_refused(binding: Callable[[Period], BarBinding]) -> None:
    with pytest.raises(ConfigError, match=r"constants\.open: 'x' is no number"):
        BarReader(binding(Period.minutes(1)), BarMap(constants={"open": "x"}), whole=True)


def test_keys_of_the_command_line_must_be_key_columns(binding: Callable[[Period], BarBinding]) -> None:
    with pytest.raises(UsageError, match="no key column 'brokr'") as found:
        key_constants(binding(Period.minutes(1)), {"brokr": "X"}, BarMap())
    assert found.value.hint == "did you mean broker?"
    assert key_constants(binding(Period.minutes(1)), {"broker": "X"}, BarMap()).constants == {"broker": "X"}
