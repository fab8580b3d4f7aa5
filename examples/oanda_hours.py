"""Builds bars that open where the bar before closed, the convention of Oanda's hours and days.

    python examples/oanda_hours.py TICKS.parquet BARS.parquet [bid|ask]

The ticks need the columns ts, bid and ask. `rc bars build` opens a bar at its first tick; any other convention is a
matter of `select`: here the open is the previous close, and high and low reach to it.
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

import ashioto as ao
from ashioto import Field, Period
from ashioto.engines.embedded.batch import BatchBuilder
from ashioto.files.reading import open_file
from ashioto.files.rows import ColumnSource, RowReader
from ashioto.schedule.calendars import widest
from ashioto.schedule.sessions import Schedule


class Rate(ao.Stream):
    """A quote."""

    symbol: Field[str] = ao.key()
    at: Field[datetime] = ao.timestamp()
    price: Field[Decimal] = ao.decimal(18, 5)


opened = ao.coalesce(ao.previous("close"), ao.first(Rate.price))

hours = (
    ao.Context("vendor")
    .events(Rate)
    .time_frame(ao.AlwaysOpen)
    .tumbling(Rate.at, Period.hours(1), Period.days(1))
    .select(
        open=opened,
        high=ao.greatest(ao.max(Rate.price), opened),
        low=ao.least(ao.min(Rate.price), opened),
        close=ao.last(Rate.price),
        ticks=ao.count(),
    )
    .to_query()
)


def build(ticks: Path, side: str) -> dict[Period, pa.Table]:
    """Return the bars of one side of the quotes, by period."""
    source = ColumnSource(columns={"at": "ts", "price": side}, constants={"symbol": "EURUSD"})
    reader, file = RowReader(Rate.__entity__, source), open_file(ticks)
    builder = BatchBuilder(hours.plan, Schedule.of({}, default=widest("24x7")))
    rows = 0
    for part in file.parts(reader.wanted(file)):
        good = reader.read(part).batch
        builder.add(good, first_seq=rows)
        rows += good.num_rows
    return builder.finish(now_ms=int(datetime.now(UTC).timestamp() * 1000), trim=True)


if __name__ == "__main__":
    ticks, out, side = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3] if len(sys.argv) > 3 else "bid"
    parts = [t.add_column(0, "period", [[period.kind] * t.num_rows]) for period, t in build(ticks, side).items()]
    pq.write_table(pa.concat_tables(parts), out)
    print(f"wrote {out}")
