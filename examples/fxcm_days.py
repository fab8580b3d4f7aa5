"""Writes a schedule whose days begin at midnight of UTC-5, as FXCM's do.

    python examples/fxcm_days.py 2014-05-01 2014-05-09 days.csv
    rc bars build TICKS.parquet --time ts --price bid --period 1d --no-fill --sessions days.csv --out days.parquet

Any other day is made the same way: days, weeks and months of bars go by the market date of the session that holds a
tick.
"""

from __future__ import annotations

import csv
import sys
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

OPEN = time(5, tzinfo=UTC)


def days(first: date, last: date) -> list[tuple[str, str, str]]:
    """Return open, close and market date of every day from the first to the last."""
    found = []
    for number in range((last - first).days + 1):
        day = first + timedelta(days=number)
        opened = datetime.combine(day, OPEN)
        found.append((opened.isoformat(), (opened + timedelta(days=1)).isoformat(), day.isoformat()))
    return found


def main(first: str, last: str, target: str) -> None:
    """Write the schedule file."""
    with Path(target).open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(("open", "close", "market_date"))
        rows.writerows(days(date.fromisoformat(first), date.fromisoformat(last)))


if __name__ == "__main__":
    main(*sys.argv[1:])
