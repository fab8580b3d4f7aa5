"""Calendars equal what others recorded of them, row by row."""

from __future__ import annotations

import json
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.support_shared import shared

from ashioto.schedule.calendars import calendar_sessions
from ashioto.schedule.sessions import Sessions

if TYPE_CHECKING:
    from numpy.typing import NDArray


def milliseconds(table: pa.Table, name: str) -> NDArray[np.int64]:
    return np.array(table[name].cast(pa.timestamp("ms", tz="UTC")).cast(pa.int64()).to_pylist(), dtype=np.int64)


def recorded(name: str) -> Sessions:
    """Read sessions; a row with a break is two."""
    table = pq.read_table(shared(f"data/calendars/{name}_2010_2026.parquet"))
    days = np.array(table["session"].cast(pa.int32()).to_pylist(), dtype=np.int64)
    opens, closes = milliseconds(table, "open"), milliseconds(table, "close")
    broken = table["break_start"].is_valid().to_numpy()
    halves = table.filter(pa.array(broken))
    starts, ends = (milliseconds(halves, n) if len(halves) else closes[:0] for n in ("break_start", "break_end"))
    mornings = closes.copy()
    mornings[broken] = starts
    return Sessions.build(
        np.concatenate([opens, ends]), np.concatenate([mornings, closes[broken]]), np.concatenate([days, days[broken]])
    )


@pytest.mark.parametrize(("name", "sessions_a_day"), [("XNYS", 1), ("XTKS", 2)])
def test_an_exchange_has_the_recorded_sessions(name: str, sessions_a_day: int) -> None:
    wanted = recorded(name)
    found = calendar_sessions(name, date(2010, 1, 1), date(2026, 12, 31))
    assert list(found) == list(wanted)
    assert len(found) == sessions_a_day * len({*found.days.tolist()})


def test_fx_has_the_recorded_hours() -> None:
    book: dict[str, Any] = json.loads(shared("data/calendars/market_hours_fx_us.json").read_text())
    hours = book["Forex-interactivebrokers-[*]"]
    zone = ZoneInfo(hours["exchangeTimeZone"])
    monday = date(2024, 1, 1)
    for week in range(0, 52 * 7, 7):
        wanted: list[list[int]] = []
        for step in range(-1, 5):
            day = monday + timedelta(days=week + step)
            for stretch in hours[f"{day:%A}".lower()]:
                begin, end = (moment(day, stretch[bound], zone) for bound in ("start", "end"))
                if wanted and wanted[-1][1] == begin:
                    wanted[-1][1] = end
                else:
                    wanted.append([begin, end])
        found = calendar_sessions("fx", monday + timedelta(days=week), monday + timedelta(days=week + 6))
        assert wanted == [[int(found.opens[0]), int(found.closes[-1])]]
        assert (found.opens[1:] == found.closes[:-1]).all()


def moment(day: date, text: str, zone: ZoneInfo) -> int:
    """Read `17:00:00`, or `1.00:00:00` for the midnight that ends a day."""
    days, _, clock = text.rpartition(".")
    at = datetime.combine(day + timedelta(days=int(days or 0)), datetime.strptime(clock, "%H:%M:%S").time(), zone)  # noqa: DTZ007 -- a time of day
    return round(at.timestamp() * 1000)
