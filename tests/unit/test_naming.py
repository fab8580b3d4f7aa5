from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ashioto import naming
from ashioto.errors import DefinitionError, PeriodError
from ashioto.period import Period

PERIODS = st.builds(Period, st.integers(1, 999), st.sampled_from(["s", "m", "h", "d", "w", "mo"]))
ENTITIES = st.from_regex(r"[A-Z][A-Za-z0-9]{0,12}", fullmatch=True)


@given(ENTITIES, PERIODS)
def test_a_bar_name_says_entity_and_period(entity: str, period: Period) -> None:
    found, kind = naming.parse_bar_name(naming.bar_name(entity, period))
    assert (found, kind) == (entity, period)


def test_an_entity_may_have_bar_in_its_name() -> None:
    assert naming.parse_bar_name("CrowBarBar1mo") == ("CrowBar", Period.months(1))


@pytest.mark.parametrize("name", ["RateBar", "Rate5m", "rateBar5m", "RateBar5x", "Bar5m", "RateBar05m", ""])
def test_a_name_that_is_no_bar_is_refused(name: str) -> None:
    with pytest.raises(DefinitionError, match="does not name a bar"):
        naming.parse_bar_name(name)


def test_a_bar_has_one_name() -> None:
    with pytest.raises(PeriodError, match="RateBar1h"):
        naming.parse_bar_name("RateBar60m")


@pytest.mark.parametrize("name", ["", "Trading", "1trading", "tra-ding", "trading.eu", "取引", "_x"])
def test_a_context_is_a_lower_case_identifier(name: str) -> None:
    with pytest.raises(DefinitionError, match="no name for a context"):
        naming.check_context(name)


@given(st.from_regex(r"[a-z][a-z0-9_]{0,12}", fullmatch=True))
def test_lower_case_identifiers_name_contexts(name: str) -> None:
    assert naming.check_context(name) == name


@pytest.mark.parametrize(
    ("name", "snake"),
    [("Rate", "rate"), ("RateTick", "rate_tick"), ("HTTPRate", "http_rate"), ("FX", "fx"), ("L2Quote", "l2_quote")],
)
def test_snake_case(name: str, snake: str) -> None:
    assert naming.snake(name) == snake


def test_topics_follow_from_names() -> None:
    assert [
        naming.topic("trading", "Rate"),
        naming.by_day_topic("trading", "MarketSchedule"),
        naming.heartbeat_topic("trading", "Rate"),
        naming.bars_topic("trading", "Rate", Period.months(1)),
        naming.late_topic("trading", "Rate"),
    ] == [
        "trading.rate",
        "trading.market_schedule_by_day",
        "trading.rate_hb",
        "trading.rate_bars_1mo",
        "trading.rate_late",
    ]
