from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ashioto.errors import UsageError
from ashioto.files.times import TimeReader, is_time, zone_of
from ashioto.schema.arrow import int64_view

AT = datetime(2025, 1, 6, 9, 30, tzinfo=UTC)
MS = int(AT.timestamp() * 1000)
BERLIN = ZoneInfo("Europe/Berlin")


def times(array: pa.Array, **how: Any) -> list[int | str | None]:
    """Milliseconds, the reason where a row is bad, None where it is null."""
    found = TimeReader(**how).read(array)
    assert found.values.type == pa.timestamp("ms", tz="UTC")
    out: list[Any] = int64_view(found.values).tolist()
    for reason, mask in found.bad:
        for row in np.flatnonzero(mask).tolist():
            out[row] = reason
    for row in [] if found.null is None else np.flatnonzero(found.null).tolist():
        out[row] = None
    return out


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_every_layout_says_the_same_time(unit: str) -> None:
    number = MS * {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}[unit] // 1000
    layouts = [
        pa.array([number, None]),
        pa.array([number, None], pa.uint64()),
        pa.array([float(number), None]),
        pa.array([f"{number}", None]),
        pa.array([f" {number}.0", None]),
        pa.array([AT, None], pa.timestamp(unit, tz="UTC")),
        pa.array([AT, None], pa.timestamp(unit, tz="Asia/Tokyo")),
        pa.array([AT.replace(tzinfo=None), None], pa.timestamp(unit)),
    ]
    assert [times(array) for array in layouts] == [[MS, None]] * len(layouts)


@pytest.mark.parametrize(
    "text",
    [
        "2025-01-06T09:30:00Z",
        "2025-01-06 09:30:00.000000000Z",
        "2025-01-06T09:30",
        "2025-01-06 18:30:00+09:00",
        "2025-01-06T18:30+0900",
        "2025-01-06T04:30:00-05",
        "  2025-01-06T09:30:00Z ",
    ],
)
def test_iso_text_is_read_alone_and_among_others(text: str) -> None:
    others = ["x", "2025-01-06", None, "2025-02-30", "17361558"]
    for kind in (pa.string(), pa.large_string()):
        assert times(pa.array([text], kind)) == [MS]
        assert times(pa.array([text, *others], kind))[:4] == [MS, "is no time", MS - 34_200_000, None]
        assert times(pa.array([*others, text], kind).dictionary_encode())[3:] == ["is no time", 17_361_558_000, MS]


def test_what_is_finer_than_a_millisecond_is_cut_off() -> None:
    assert times(pa.array([1_999, -1], pa.timestamp("us", tz="UTC"))) == [1, -1]
    assert times(pa.array([999_999, -1_000_001], pa.timestamp("ns"))) == [0, -2]
    assert times(pa.array(["1970-01-01T00:00:00.0019999Z"])) == [1]
    assert times(pa.array([1_582_329_602.111, 1_582_329_602.1119])) == [1_582_329_602_111] * 2


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 4 * 10**12), min_size=1, max_size=20))
def test_seconds_with_a_fraction_are_exact(numbers: list[int]) -> None:
    assert times(pa.array([n / 1000 for n in numbers]), unit="s") == numbers
    assert times(pa.array([f"{n // 1000}.{n % 1000:03}" for n in numbers]), unit="s") == numbers


def test_the_unit_is_told_once() -> None:
    reader = TimeReader()
    assert int64_view(reader.read(pa.array([None, 0, MS * 1000])).values).tolist()[2] == MS
    assert reader.unit == "us"
    assert int64_view(reader.read(pa.array([5_000])).values).tolist() == [5]
    assert times(pa.array([MS]), unit="us") == [MS // 1000]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.datetimes(datetime(1971, 1, 1), datetime(2037, 1, 1)), min_size=1, max_size=20),  # noqa: DTZ001  # local
    st.sampled_from(["Europe/Berlin", "America/New_York", "Asia/Tokyo", "Australia/Lord_Howe", "UTC"]),
)
def test_local_times_are_those_of_the_zone(moments: list[datetime], zone: str) -> None:
    def wanted(moment: datetime) -> int | str:
        first, second = (moment.replace(tzinfo=ZoneInfo(zone), fold=fold) for fold in (0, 1))
        if first.utcoffset() == second.utcoffset():
            return (first - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)
        earlier = (first.utcoffset() or timedelta()) < (second.utcoffset() or timedelta())
        return f"{'does not exist' if earlier else 'is there twice'} in {zone}"

    expected = [wanted(moment) for moment in moments]
    assert times(pa.array(moments, pa.timestamp("us")), zone=zone) == expected
    assert times(pa.array([m.isoformat() for m in moments]), zone=zone) == expected
    assert times(pa.array([*(m.isoformat() for m in moments), "x"]), zone=zone) == [*expected, "is no time"]


def test_the_edges_of_summer_time_are_found() -> None:
    local = ["2025-03-30T01:59", "2025-03-30T02:00", "2025-03-30T03:00", "2025-10-26T02:59", "2025-10-26T03:00"]
    assert times(pa.array(local), zone="Europe/Berlin") == [
        1_743_296_340_000,
        "does not exist in Europe/Berlin",
        1_743_296_400_000,
        "is there twice in Europe/Berlin",
        1_761_444_000_000,
    ]


def test_times_with_an_offset_do_not_care_for_the_zone() -> None:
    tokyo = timezone(timedelta(hours=9))
    assert times(pa.array([AT], pa.timestamp("s", tz="UTC")), zone="Europe/Berlin") == [MS]
    assert times(pa.array([AT.astimezone(tokyo).isoformat(), "2025-01-06T10:30"]), zone="Europe/Berlin") == [MS, MS]


def test_dates_begin_at_midnight_of_the_zone() -> None:
    day = pa.array([date(2025, 1, 6)])
    assert times(day) == [MS - 34_200_000]
    assert times(day, zone="Asia/Tokyo") == [MS - 34_200_000 - 32_400_000]


@pytest.mark.parametrize(
    "array",
    [
        pa.array([2**62]),
        pa.array([2**64 - 1], pa.uint64()),
        pa.array([1e300]),
        pa.array([float("nan")]),
        pa.array([float("-inf")]),
        pa.array([-(2**62)], pa.timestamp("s")),
    ],
)
def test_times_nobody_can_write_down_are_bad(array: pa.Array) -> None:
    assert times(array, unit="s") == ["is out of range"]


def test_what_can_hold_times() -> None:
    kinds = [
        pa.string(),
        pa.int32(),
        pa.float64(),
        pa.date32(),
        pa.timestamp("ns"),
        pa.dictionary(pa.int8(), pa.string()),
    ]
    assert all(map(is_time, kinds))
    assert not any(map(is_time, [pa.bool_(), pa.decimal128(10, 2), pa.list_(pa.int64()), pa.time32("s")]))


@pytest.mark.parametrize(("name", "hint"), [("Europe/Berln", "Europe/Berlin"), ("../x", "e.g. UTC"), ("", "e.g. UTC")])
def test_unknown_zones_have_a_hint(name: str, hint: str) -> None:
    with pytest.raises(UsageError, match=hint):
        zone_of(name)
    with pytest.raises(UsageError, match="no time zone"):
        TimeReader(zone=name)
