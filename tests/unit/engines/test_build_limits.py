from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet
import pytest

from ashioto.engines.embedded.build.limits import BAR_BYTES, BUCKET_BYTES, check_size, machine_memory
from ashioto.engines.embedded.build.options import BuildOptions
from ashioto.engines.embedded.build.plan import query_of
from ashioto.engines.embedded.build.run import FileBuild
from ashioto.errors import InputError
from ashioto.files.schedules import frame_of
from ashioto.period import Period
from ashioto.schedule.calendars import widest

if TYPE_CHECKING:
    from pathlib import Path

    from ashioto.files.rejected import Rejected
    from ashioto.logical.nodes import Query

HOUR = 3_600_000
DAY = 24 * HOUR


class Nobody:
    def read(self, done: int, total: int, rows: int) -> None: ...

    def rejected(self, rows: Rejected) -> None: ...


def query(*periods: str, fill: bool = True) -> Query:
    frames = tuple(map(Period.parse, periods))
    how = BuildOptions(files=(), periods=frames, time="ts", price="price", now_ms=0, fill=fill)
    return query_of(how, frame_of(()), scale=0, size_scale=0)


@pytest.mark.parametrize(("fill", "size"), [(True, BAR_BYTES), (False, BUCKET_BYTES)])
def test_more_buckets_than_memory_are_refused(fill: bool, size: int) -> None:  # noqa: FBT001  # a parameter of the test
    span, needed = (0, 9 * DAY - 1), (9 * 24 * 60 + 9 * 24) * size
    plan = query("1m", "1h", "1d", fill=fill)
    check_size(plan, widest("24x7"), span, int(needed / 0.79))
    with pytest.raises(InputError, match=r"1970-01-01T00:00:00Z .* there are 13,176 bars of one key"):
        check_size(plan, widest("24x7"), span, int(needed / 0.81))


def test_days_and_ticks_outside_sessions_are_no_reason() -> None:
    check_size(query("1d"), widest("24x7"), (0, 9 * DAY), 1)
    check_size(query("1s"), widest("fx"), (2 * DAY, 40_000 * DAY), 1)  # a Saturday


def test_one_wrong_time_does_not_eat_the_machine(tmp_path: Path) -> None:
    table = pa.table({"ts": pa.array([0, 1_735_732_800_000]).cast(pa.timestamp("ms")), "price": [1.5, 1.5]})
    pyarrow.parquet.write_table(table, tmp_path / "t.parquet")
    how = BuildOptions(
        files=(str(tmp_path / "t.parquet"),), periods=(Period.seconds(1),), time="ts", price="price", now_ms=0
    )
    if machine_memory() < 300e9:
        with pytest.raises(InputError, match="is one of these times wrong"):
            FileBuild(how, Nobody()).run()
