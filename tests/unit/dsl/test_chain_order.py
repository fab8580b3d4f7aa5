from __future__ import annotations

from itertools import pairwise, product
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import ashioto.dsl as ao
from ashioto.dsl import Context, Field
from ashioto.dsl.chain import STEPS, Framed
from ashioto.errors import ChainError, DefinitionError
from ashioto.period import Period

if TYPE_CHECKING:
    from datetime import date, datetime
    from decimal import Decimal


class Rate(ao.Stream):
    symbol: Field[str] = ao.key()
    at: Field[datetime] = ao.timestamp()
    price: Field[Decimal] = ao.decimal(18, 5)
    day: Field[date] = ao.field()


DO: dict[str, Any] = {
    "events": lambda c: c.events(Rate),
    "where": lambda c: c.where(Rate.price > 0),
    "time_frame": lambda c: c.time_frame(ao.AlwaysOpen),
    "tumbling": lambda c: c.tumbling(Rate.at, Period.minutes(1), ensure_continuous=isinstance(c, Framed)),
    "group_by": lambda c: c.group_by(Rate.symbol),
    "select": lambda c: c.select(close=ao.last(Rate.price)),
    "when_empty": lambda c: c.when_empty(close=None),
    "to_query": lambda c: c.to_query(),
}
NEXT: dict[str, tuple[str, ...]] = {
    "": ("events",),
    "events": ("where", "time_frame", "tumbling"),
    "where": ("where", "time_frame", "tumbling"),
    "time_frame": ("tumbling",),
    "tumbling": ("group_by", "select"),
    "group_by": ("select",),
    "select": ("when_empty", "to_query"),
    "when_empty": ("to_query",),
    "to_query": (),
}
WAY = ["events", "where", "time_frame", "tumbling", "group_by", "select", "when_empty", "to_query"]


def reach(step: str) -> Any:
    chain: Any = Context("trading")
    for name in WAY[: WAY.index(step) + 1] if step else []:
        chain = DO[name](chain)
    return chain


@pytest.mark.parametrize(("before", "step"), list(product(NEXT, STEPS)))
def test_each_step_follows_only_what_it_may(before: str, step: str) -> None:
    chain = reach(before)
    if step in NEXT[before]:
        DO[step](chain)
        return
    with pytest.raises(ChainError) as caught:
        DO[step](chain)
    assert caught.value.message == f"{step} cannot follow {before or 'a context'}"
    for legal in NEXT[before]:
        assert legal in caught.value.hint
    assert caught.value.exit_code == 2


@given(st.lists(st.sampled_from(STEPS), min_size=1, max_size=8))
def test_a_chain_works_exactly_if_each_pair_of_steps_does(steps: list[str]) -> None:
    legal = all(after in NEXT[before] for before, after in pairwise(["", *steps]))
    legal = legal and not ("when_empty" in steps and "time_frame" not in steps)
    chain: Any = Context("trading")
    try:
        for step in steps:
            chain = DO[step](chain)
    except (ChainError, DefinitionError):
        assert not legal
    else:
        assert legal


def test_a_chain_says_where_it_stands() -> None:
    assert repr(reach("where")) == "<trading: Rate after where, next where, time_frame, tumbling>"


def test_other_names_are_plain_attribute_errors() -> None:
    with pytest.raises(AttributeError, match="no attribute 'having'"):
        _ = reach("select").having


def test_a_step_leaves_the_chain_before_it_as_it_was() -> None:
    trading = Context("trading")
    events = trading.events(Rate)
    events.where(Rate.price > 0)
    query = events.tumbling(Rate.at, Period.minutes(1)).select(n=ao.count()).to_query()
    assert query.plan.where == ()
