"""An import that is cut off anywhere and run again ends where it would have ended."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import ashioto as ao
from ashioto import BarAddOptions, Field, Period
from ashioto.bars.timebucket import BarTable
from ashioto.deploy.bootstrap import ensure_topics
from ashioto.dsl.bar import BarBinding
from ashioto.errors import InputError
from ashioto.files.reading import open_files
from ashioto.migration.mapping import BarMap
from ashioto.migration.upsert import BarUpsert, UpsertReport
from ashioto.testing import CrashingLog, MemoryLog
from ashioto.testing.crashing_log import CrashError

if TYPE_CHECKING:
    from datetime import datetime
    from decimal import Decimal
    from pathlib import Path

    from ashioto.log.base import Log

START = 1_736_154_000_000
SMALL = BarAddOptions(batch_bytes=500)


class Rate(ao.Stream):
    symbol: Field[str] = ao.key()
    at: Field[datetime] = ao.timestamp()
    price: Field[Decimal] = ao.decimal(18, 5)


imported = ao.Context("imported")
query = (
    imported.events(Rate)
    .time_frame(ao.AlwaysOpen)
    .tumbling(Rate.at, Period.minutes(1))
    .select(close=ao.last(Rate.price), ticks=ao.count())
    .to_query(name="rate_bars")
)


@pytest.fixture
def log() -> MemoryLog:
    made = MemoryLog()
    ensure_topics(made, [imported])
    return made


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A hundred bars of two series, in row groups of ten."""
    starts = [START + 60_000 * (row // 2) for row in range(100)]
    bars = pa.table({
        "symbol": ["A", "B"] * 50,
        "bucket_start": pa.array(starts, pa.timestamp("ms", tz="UTC")),
        "close": [1.0 + row / 1000 for row in range(100)],
        "ticks": [1] * 100,
    })  # fmt: skip
    pq.write_table(bars, tmp_path / "bars.parquet", row_group_size=10)
    return tmp_path / "bars.parquet"


def work(log: Log, *files: Path) -> BarUpsert:
    table = BarTable(BarBinding.of(imported, query.plan, Period.minutes(1)), log)
    return BarUpsert(table, open_files([str(file) for file in files]), BarMap())


def content(log: Log) -> pa.Table:
    return BarTable(BarBinding.of(imported, query.plan, Period.minutes(1)), log).read_all()


def test_cut_off_anywhere_and_run_again_it_ends_the_same(file: Path) -> None:
    whole = MemoryLog()
    ensure_topics(whole, [imported])
    counted = CrashingLog(whole, crash_at=10**9)
    work(counted, file).run(SMALL)
    assert counted.appends > 3
    for crash_at in range(1, counted.appends + 1):
        for when in ("before", "after"):
            log = MemoryLog()
            ensure_topics(log, [imported])
            with pytest.raises(CrashError):
                work(CrashingLog(log, crash_at=crash_at, when=when), file).run(SMALL)
            again = work(log, file).run(SMALL)
            assert again.added.rows == 100
            assert content(log).equals(content(whole))
            assert work(log, file).run(SMALL).is_unchanged


def test_a_dry_run_counts_what_the_real_one_does(log: MemoryLog, file: Path) -> None:
    would = work(log, file).run(dry_run=True)
    assert content(log).num_rows == 0
    did = work(log, file).run()
    assert (would.added, would.dry_run, did.dry_run) == (did.added, True, False)
    assert work(log, file).run(dry_run=True).is_unchanged


def test_a_bar_of_two_files_is_refused_and_what_came_before_is_told(log: MemoryLog, file: Path, tmp_path: Path) -> None:
    bars = pq.read_table(file)
    pq.write_table(bars.slice(40, 1), tmp_path / "again.parquet")
    with pytest.raises(
        InputError, match=r"row 1 of .*again\.parquet \(A .*\): the bar stands in the files before"
    ) as found:
        work(log, file, tmp_path / "again.parquet").run(SMALL)
    assert found.value.ids["rule"] == "duplicate"


def test_how_far_the_files_have_been_read_is_told(log: MemoryLog, file: Path) -> None:
    told: list[int] = []
    table = BarTable(BarBinding.of(imported, query.plan, Period.minutes(1)), log)
    report = BarUpsert(table, open_files([str(file)]), BarMap(), told=told.append).run()
    assert isinstance(report, UpsertReport)
    assert told == sorted(told)
    assert told[-1] == file.stat().st_size
