from __future__ import annotations

from itertools import permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ashioto.errors import PeriodError
from ashioto.period import Period

PERIODS = st.builds(Period, st.integers(1, 10_000), st.sampled_from(["s", "m", "h", "d", "w", "mo"]))
INTRADAY = st.builds(Period, st.integers(1, 10_000), st.sampled_from(["s", "m", "h"]))


@given(PERIODS)
def test_both_texts_read_back(period: Period) -> None:
    assert Period.parse(period.kind) == period
    assert Period.parse(period.iso) == period


@pytest.mark.parametrize(
    ("text", "kind", "iso"),
    [
        ("1s", "1s", "PT1S"),
        ("60s", "1m", "PT1M"),
        ("3600s", "1h", "PT1H"),
        ("90m", "90m", "PT90M"),
        ("24h", "24h", "PT24H"),
        ("P1M", "1mo", "P1M"),
        ("PT1M", "1m", "PT1M"),
        ("1w", "1w", "P1W"),
        (" 5m ", "5m", "PT5M"),
    ],
)
def test_one_length_has_one_name(text: str, kind: str, iso: str) -> None:
    assert (Period.parse(text).kind, Period.parse(text).iso) == (kind, iso)


@pytest.mark.parametrize(
    "text", ["", "5", "m", "0m", "-5m", "05m", "5M", "5min", "P5", "PT5D", "P5H", "PT", "1.5h", "5 m"]
)
def test_other_texts_are_refused(text: str) -> None:
    with pytest.raises(PeriodError, match="no such period"):
        Period.parse(text)


@pytest.mark.parametrize(("count", "unit"), [(1, "y"), (1.5, "m"), (True, "m"), ("5", "m")])
def test_wrong_parts_are_refused(count: Any, unit: Any) -> None:
    with pytest.raises(PeriodError, match="no such period"):
        Period(count, unit)


@pytest.mark.parametrize("count", [0, -1])
def test_a_period_is_positive(count: int) -> None:
    with pytest.raises(PeriodError, match="positive"):
        Period.minutes(count)


def test_a_period_shows_its_kind() -> None:
    assert (repr(Period.hours(1)), str(Period.minutes(5))) == ("Period('1h')", "5m")


def test_constructors_name_their_unit() -> None:
    made = [Period.seconds(1), Period.minutes(2), Period.hours(3), Period.days(4), Period.weeks(5), Period.months(6)]
    assert [str(p) for p in made] == ["1s", "2m", "3h", "4d", "5w", "6mo"]


@given(INTRADAY, INTRADAY)
def test_intraday_nesting_is_divisibility(period: Period, base: Period) -> None:
    assert period.holds(base) == (period.millis % base.millis == 0)


@pytest.mark.parametrize(
    ("period", "base", "fits"),
    [
        ("1d", "1h", True), ("1mo", "7h", True), ("1h", "1d", False),
        ("1w", "1d", True), ("1mo", "1d", True), ("3d", "1d", True), ("2w", "1w", True), ("12mo", "1mo", True),
        ("1mo", "1w", False), ("1w", "1mo", False), ("1w", "7d", False), ("4d", "2d", True), ("3d", "2d", False),
    ],
)  # fmt: skip
def test_nesting_of_days_and_more(period: str, base: str, fits: bool) -> None:  # noqa: FBT001  # a table of cases
    assert Period.parse(period).holds(Period.parse(base)) is fits


@given(PERIODS)
def test_a_period_holds_itself(period: Period) -> None:
    assert period.holds(period)


def test_days_have_no_fixed_length() -> None:
    with pytest.raises(PeriodError, match="no fixed length"):
        _ = Period.days(1).millis


def test_sorting_does_not_depend_on_the_order_given() -> None:
    kinds = ["1s", "5m", "24h", "1d", "7d", "1w", "1mo"]
    for shuffled in permutations(map(Period.parse, kinds)):
        assert [p.kind for p in sorted(shuffled)] == kinds


@given(st.lists(PERIODS, min_size=2, max_size=4, unique=True))
def test_sorting_puts_intraday_periods_first(periods: list[Period]) -> None:
    flags = [p.is_intraday for p in sorted(periods)]
    assert flags == sorted(flags, reverse=True)
