"""The index of a schedule says what the schedule says, whatever was written, and only what changed is written again."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

import ashioto as ao
from ashioto import Field, Period
from ashioto.deploy.bootstrap import wanted_topics
from ashioto.engines.sql.index import (
    INDEX_SCHEMA,
    Index,
    difference,
    index_batches,
    index_of,
    index_repairs,
    rows_in,
)
from ashioto.engines.sql.sessions import RECORD_MS, DayRow, LabelledSession, day_rows, index_parts
from ashioto.errors import ScheduleError
from ashioto.log.partition import partition_of
from ashioto.schema.sessions import sessions_by_key
from ashioto.tables import EntitySet
from ashioto.testing import MemoryLog

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ashioto.log.base import Appended, Batch, Fence

MONDAY = datetime(2025, 1, 6, tzinfo=UTC)
HOUR = timedelta(hours=1)


class Rate(ao.Stream):
    symbol: Field[str] = ao.key()
    broker: Field[str] = ao.key()
    at: Field[datetime] = ao.timestamp()


class Hours(ao.Table):
    broker: Field[str] = ao.key()
    symbol: Field[str] = ao.key()
    open: Field[datetime] = ao.key()
    close: Field[datetime] = ao.field()
    market_date: Field[date] = ao.field()


trading = ao.Context("trading")
query = (
    trading.events(Rate)
    .time_frame(
        Hours,
        (Rate.symbol == Hours.symbol)
        & (Rate.broker == Hours.broker)
        & (Hours.open <= Rate.at)
        & (Rate.at < Hours.close),
        day_key=Hours.market_date,
    )
    .tumbling(Rate.at, Period.minutes(1))
    .select(ticks=ao.count())
    .to_query()
)


class CountingLog(MemoryLog):
    """Keeps what each call has appended."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[list[Batch]] = []

    def append(self, batches: Sequence[Batch], *, fence: Fence | None = None) -> list[Appended]:
        self.calls.append(list(batches))
        return super().append(batches, fence=fence)


def the_index() -> Index:
    found = index_of("trading", query.plan.time_frame)
    assert found is not None
    return found


INDEX = the_index()
SESSIONS = st.builds(
    lambda broker, symbol, opens, hours, day: Hours(
        broker=broker, symbol=symbol, open=MONDAY + opens * HOUR, close=MONDAY + (opens + hours) * HOUR,
        market_date=date(2025, 1, 6) + timedelta(days=day),
    ),
    st.sampled_from(["FX", "FX\x1f"]), st.sampled_from(["A", "B"]), st.sampled_from(range(0, 96, 6)),
    st.sampled_from([1, 6, 24, 48]), st.integers(-2, 40),
)  # fmt: skip


def a_log(*, index: bool = True) -> CountingLog:
    log = CountingLog()
    log.create(wanted_topics([trading], partitions=3, in_sql=index))
    return log


def wanted(log: MemoryLog) -> list[DayRow]:
    """The rows of all that is in the schedule, by key."""
    sessions = sessions_by_key(INDEX.frame, log.view("trading.hours").data)
    rows = day_rows({index_parts(INDEX.frame, parts): held for parts, held in sessions.items()})
    return sorted(rows, key=lambda row: row.key)


def changed(call: list[Batch]) -> dict[bytes, bool]:
    """The keys that a call has written to the index, and whether their rows were taken back."""
    found: dict[bytes, bool] = {}
    for batch in call:
        if batch.topic == INDEX.topic:
            assert batch.tombstones is not None
            assert set(batch.timestamps.tolist()) == {RECORD_MS}
            keys = batch.keys.to_pylist()
            assert {partition_of(key, 3) for key in keys} == {batch.partition}
            found |= dict(zip(keys, batch.tombstones.tolist(), strict=True))
    return found


@given(st.lists(st.lists(SESSIONS, min_size=1, max_size=3), max_size=8))
def test_whatever_is_written_the_index_agrees_and_nothing_is_written_for_nothing(edits: list[list[Hours]]) -> None:
    log = a_log()
    hours = EntitySet(trading, Hours, log)
    for rows in edits:
        before = {row.key: row for row in rows_in(log, INDEX)}
        calls = len(log.calls)
        try:
            hours.add_range(rows) if len(rows) > 1 else hours.add(rows[0])
        except ScheduleError:
            assert len(log.calls) == calls
            continue
        after = {row.key: row for row in wanted(log)}
        assert rows_in(log, INDEX) == list(after.values())
        assert len(log.calls) == calls + 1
        differs = {key for key in before | after if before.get(key) != after.get(key)}
        assert changed(log.calls[-1]) == {key: key not in after for key in differs}
    assert difference(log, INDEX).rows == ()


@given(st.lists(SESSIONS, max_size=4), st.lists(st.tuples(st.integers(0, 5), st.booleans()), max_size=4))
def test_what_was_harmed_is_found_and_mended(sessions: list[Hours], harms: list[tuple[int, bool]]) -> None:
    log = a_log()
    for row in sessions:
        try:
            EntitySet(trading, Hours, log).add(row)
        except ScheduleError:
            continue
    sound = wanted(log)
    strange = LabelledSession(open_ms=1, close_ms=2, day=3, week=4, month=5)
    extra = DayRow(key=b"1\x1fFX\x1fZ\x1f0000000000000", sessions=(strange,))
    harmed = {}
    for at, take in harms:
        key = [*sound, extra][at % (len(sound) + 1)].key
        harmed[key] = DayRow(key=key, sessions=() if take else (strange,))
    log.append(index_batches(INDEX, list(harmed.values()), 3))
    there = {row.key for row in rows_in(log, INDEX)}
    found = difference(log, INDEX)
    assert {row.key for row in found.missing} == {row.key for row in sound} - there
    assert {row.key for row in found.different} == {row.key for row in sound if row.key in harmed} & there
    assert {row.key for row in found.extra} == there - {row.key for row in sound}
    log.append(index_repairs(log, INDEX))
    assert rows_in(log, INDEX) == sound
    assert index_repairs(log, INDEX) == []


def test_without_an_index_only_the_schedule_is_written() -> None:
    log = a_log(index=False)
    row = Hours(broker="FX", symbol="A", open=MONDAY, close=MONDAY + HOUR, market_date=MONDAY.date())
    EntitySet(trading, Hours, log).add(row)
    assert [batch.topic for batch in log.calls[-1]] == ["trading.hours"]


def test_a_session_over_midnight_stands_in_both_days() -> None:
    log = a_log()
    night = Hours(
        broker="FX", symbol="A", open=MONDAY + 22 * HOUR, close=MONDAY + 30 * HOUR, market_date=date(2025, 1, 7)
    )
    EntitySet(trading, Hours, log).add(night)
    assert [(row.key[-13:], row.sessions[0].day) for row in rows_in(log, INDEX)] == [
        (b"1736121600000", 1736208000000),
        (b"1736208000000", 1736208000000),
    ]


def test_the_values_are_what_engines_declare() -> None:
    assert str(INDEX_SCHEMA.field("sessions").type) == (
        "list<item: struct<open_ms: int64, close_ms: int64, day: int64, week: int64, month: int64>>"
    )
