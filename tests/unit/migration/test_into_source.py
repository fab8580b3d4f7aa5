from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import pytest
from tests.support_engine import DAY, bars
from tests.support_migration import FRAMES, LATER, contents, live, place_of, some_ticks, tick_file, ticks_of

from ashioto.migration import into_source
from ashioto.migration.into_source import SendOptions, send_into_source
from ashioto.migration.jobs import Jobs
from ashioto.testing import CrashingLog
from ashioto.testing.crashing_log import CrashError

if TYPE_CHECKING:
    from pathlib import Path


def test_ticks_go_into_the_source_once_and_a_cut_off_run_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(into_source, "BATCH_BYTES", 2_000)
    query, rows = bars(*FRAMES, retention=60 * DAY), some_ticks(400)
    market = live(query, [], now=0)
    source = ticks_of(tick_file(tmp_path / "t.parquet", query.plan.entity, rows))
    ways: tuple[Literal["before", "after"], ...] = ("before", "after")
    for when in ways:
        broken = CrashingLog(market.log, crash_at=3, when=when)
        with pytest.raises(CrashError):
            send_into_source(place_of(broken, market.clock, LATER), query.plan, source)
    report = send_into_source(place_of(market.log, market.clock, LATER), query.plan, source)
    assert report.before > 0
    assert market.records("t.trade") == len(rows)
    assert send_into_source(place_of(market.log, market.clock, LATER), query.plan, source).ticks is None
    assert market.records("t.trade") == len(rows)
    market.at(LATER)
    assert contents(market) == contents(live(query, rows))
    again = send_into_source(place_of(market.log, market.clock, LATER), query.plan, source, SendOptions(resume=False))
    assert again.sent == len(rows)


def test_ticks_too_old_for_the_engine_are_counted_and_the_pace_is_kept(tmp_path: Path) -> None:
    query, rows = bars("1m", retention=DAY), some_ticks(100)
    market = live(query, [], now=0)
    source = ticks_of(tick_file(tmp_path / "t.parquet", query.plan.entity, rows))
    began = market.clock.monotonic()
    report = send_into_source(
        place_of(market.log, market.clock, LATER), query.plan, source, SendOptions(max_rate=10)
    )  # fmt: skip
    assert report.too_old == len(rows)
    assert market.clock.monotonic() - began >= len(rows) / 10 - 1
    known = Jobs(market.log, ("dev", "local"), "t").known(report.job.id)
    assert known is not None
    assert (known.state, known.done) == ("done", len(rows))
