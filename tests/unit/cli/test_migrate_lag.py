from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from ashioto.cli.migrate_lag import rows_of, show_all, until
from ashioto.clock import ManualClock
from ashioto.migration.lag import Lag

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from typer.testing import Result

    from ashioto.cli.project import Project

BEHIND = Lag(
    query="trading_rate_bars_v1", partition=0, read=40, end=100, seconds=6.0, state="behind", read_rate=25.0,
    write_rate=5.0,
)  # fmt: skip


def test_lag_is_told_of_every_registered_query(run: Callable[..., Result], project: Project) -> None:
    assert "no query is registered: rc infra apply" in run("migrate", "lag", "--interval", 0).output
    run("infra", "apply")
    said = run("migrate", "lag", "--interval", 0).output
    assert "trading_rate_bars_v1" in said
    assert "not begun" in said
    (row,) = json.loads(run("migrate", "lag", "--interval", 0, "--json").stdout)
    assert (row["query"], row["records"], row["per_second"]) == ("trading_rate_bars_v1", 0, None)
    assert project.contexts[0].name == "trading"


def test_watching_prints_one_look_after_another(run: Callable[..., Result], project: Project) -> None:
    assert project.log is not None
    run("infra", "apply")
    said = run("migrate", "lag", "--watch", "--interval", 0.01, "--seconds", 0, "--json").stdout
    assert [json.loads(line)["query"] for line in said.splitlines()] == ["trading_rate_bars_v1"]


@pytest.mark.parametrize(
    ("args", "said"),
    [(("--watch", "--interval", "0"), "would never rest"), (("--context", "other"), "no context 'other'")],
)
def test_wrong_options_are_named(
    run: Callable[..., Result], project: Project, args: tuple[str, ...], said: str
) -> None:
    assert project.log is not None
    assert said in run("migrate", "lag", *args, code=2).output


def test_people_read_the_time_left() -> None:
    (row,) = rows_of([BEHIND], as_json=False)
    assert (row["records"], row["ticks/s"], row["time left"]) == (60, 25.0, "0:00:03")
    assert "detail" not in row
    stuck = Lag(
        query="q", partition=0, read=0, end=9, seconds=1.0, state="behind", detail="x", read_rate=1.0, write_rate=2.0
    )
    (row,) = rows_of([stuck], as_json=False)
    assert (row["time left"], row["detail"]) == ("never at this pace", "x")
    assert rows_of([BEHIND], as_json=True) == [BEHIND.row()]


def test_watching_ends_after_the_time_asked_for() -> None:
    clock = ManualClock()

    def looks() -> Iterator[list[Lag]]:
        while True:
            yield [BEHIND]
            clock.advance(1_000)

    assert len(list(until(looks(), clock, 2.5))) == 4


def test_looks_are_printed_as_tables_where_nobody_watches(capsys: pytest.CaptureFixture[str]) -> None:
    show_all(iter([[BEHIND], []]), as_json=False)
    said = capsys.readouterr().out
    assert "trading_rate_bars_v1" in said
    assert said.strip().endswith("no query is registered: rc infra apply")
