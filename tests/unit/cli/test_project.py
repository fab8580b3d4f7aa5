from __future__ import annotations

import sys
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

import pytest

from ashioto.cli.project import Project, day_range, moment, open_project, pairs
from ashioto.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from typer.testing import Result

MORE = """
from datetime import datetime

import ashioto as ao
from ashioto import Field, Period


class Trade(ao.Stream):
    symbol: Field[str] = ao.key()
    at: Field[datetime] = ao.timestamp()
    price: Field[float] = ao.field()


class Note(ao.Stream):
    at: Field[datetime] = ao.timestamp()


coins = ao.Context("coins")
bars = (
    coins.events(Trade)
    .time_frame(ao.AlwaysOpen)
    .tumbling(Trade.at, Period.minutes(1), ensure_continuous=True)
    .select(close=ao.last(Trade.price))
    .to_query()
)
"""


@pytest.fixture
def two(folder: Path) -> Iterator[Project]:
    (folder / "coins_of_test.py").write_text(MORE, encoding="utf-8")
    settings = folder / "ashioto.toml"
    text = settings.read_text(encoding="utf-8").replace('"bars:trading"', '"bars:trading", "coins_of_test:coins"')
    settings.write_text(text, encoding="utf-8")
    yield open_project()
    sys.modules.pop("coins_of_test", None)


def test_one_of_several_contexts_must_be_named(two: Project) -> None:
    with pytest.raises(UsageError, match="several contexts") as caught:
        two.context(None)
    assert caught.value.hint == "--context trading or coins"
    with pytest.raises(UsageError, match="no context 'x'"):
        two.context("x")
    assert two.context("coins").name == "coins"


def test_one_of_several_streams_must_be_named(two: Project) -> None:
    coins = two.context("coins")
    assert two.entity(coins, None, kind="stream").__name__ == "Trade"
    coins.declare(sys.modules["coins_of_test"].Note)
    with pytest.raises(UsageError, match="coins has 2 streams"):
        two.entity(coins, None, kind="stream")
    with pytest.raises(UsageError, match="coins has no stream 'x'"):
        two.entity(coins, "x", kind="stream")


def test_bars_are_found_by_name_in_every_context(two: Project) -> None:
    assert [kind.__name__ for _, kind in two.bars(["TradeBar1m", "RateBar5m"])] == ["TradeBar1m", "RateBar5m"]
    assert [kind.__name__ for _, kind in two.bars([], "coins")] == ["TradeBar1m"]
    with pytest.raises(UsageError, match="no bars 'RateBar5m'"):
        two.bars(["RateBar5m"], "coins")


def test_bars_of_one_name_in_two_contexts_need_one(two: Project) -> None:
    (trading, coins) = two.contexts
    both = replace(two, contexts=[trading, trading])
    assert len(both.bars([])) == 2 * len(two.bars([], "trading"))
    with pytest.raises(UsageError, match="several contexts have bars 'RateBar5m'"):
        both.bars(["RateBar5m"])
    assert coins.name == "coins"


def test_a_context_that_is_always_open_has_no_schedule_with_rows(two: Project) -> None:
    assert two.schedule(two.context("trading")).schedule.name == "MarketSchedule"
    with pytest.raises(UsageError, match="no query of coins has a schedule"):
        two.schedule(two.context("coins"))
    assert two.query_of(two.context("coins"), "Note") is None


def test_symbols_stand_in_for_a_schedule(run: Callable[..., Result], two: Project) -> None:
    args = ("ticks", "simulate", "--context", "coins", "--seconds", 0)
    assert "nothing says which keys of Trade" in run(*args, code=2).stderr
    assert two.log is not None
    result = run(*args, "--symbols", "BTCUSD", "--symbols", "ETHUSD")
    assert "2 keys" in result.stderr
    assert "sent 0 ticks to coins.trade" in result.stdout


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("trading = ", "trading = (", "SyntaxError: '(' was never closed\nHint: look at: trading = ("),
        ("Rate.price)", "Rate.prise)", "has no attribute 'prise'\nHint: look at: open=ao.first(Rate.prise)"),
        ("ensure_continuous", "ensure_continous", "unexpected keyword argument 'ensure_continous'"),
        (".to_query()", ".select()", "select cannot follow select\nHint: legal here: when_empty, to_query"),
        ("import ashioto as ao", "import ashioto as ao\n1 / 0", "bars.py:7: ZeroDivisionError: division by zero"),
    ],
)
def test_a_mistake_in_the_projects_module_is_named_with_its_line(
    run: Callable[..., Result], folder: Path, old: str, new: str, said: str
) -> None:
    module = folder / "bars.py"
    text = module.read_text(encoding="utf-8")
    assert old in text
    module.write_text(text.replace(old, new), encoding="utf-8")
    for command in (("bars", "read", "RateBar1m"), ("dev",), ("schedule", "check")):
        sys.modules.pop("bars", None)
        told = run(*command, code=1).stderr
        assert said in told
        assert str(module.resolve()) in told


def test_options_are_read() -> None:
    assert pairs(["a=1", "b=x=y", "c="], option="--key") == {"a": "1", "b": "x=y", "c": ""}
    assert moment("2025-01-06T18:00+09:00", option="--from") == datetime(2025, 1, 6, 9, tzinfo=UTC)
    assert moment(None, option="--from") is None
    assert day_range("2025-01-06T12:00", None) == (date(2025, 1, 6), None)
    with pytest.raises(UsageError, match="--to 2025-01-05 lies before --from 2025-01-06"):
        day_range("2025-01-06", "2025-01-05")
    assert day_range("2025-01-06", "2025-01-06") == (date(2025, 1, 6), date(2025, 1, 6))
