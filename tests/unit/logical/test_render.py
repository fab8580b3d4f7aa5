from __future__ import annotations

from dataclasses import replace

import pytest

from ashioto.logical.nodes import DATE, TEXT, TIMESTAMP, Agg, Col, DataType, Expr, Lit, Op, Previous, Query
from ashioto.logical.render import render, render_expr
from ashioto.logical.validate import check_query

MONEY = DataType(name="decimal", precision=18, scale=3)


def test_a_plan_reads_from_ticks_to_bars(query: Query) -> None:
    condition = Op(op=">", args=(Col(name="price"), Lit(type=MONEY, value=1500)))
    plan = check_query(replace(query, where=(condition, condition)))
    assert render(plan).splitlines() == [
        "query trading.rate_bars",
        "  ticks     Rate, late up to 7d",
        "  where     (price > 1.500)",
        "            (price > 1.500)",
        "  sessions  MarketSchedule [open, close) on day, where Rate.symbol = MarketSchedule.symbol",
        "  periods   5m 1h, aligned to the clock, continuous, final 5s after their end",
        "  by        symbol, venue",
        "  select    high = max(price)",
        "            close = last(price)",
        "            ticks = count()",
        "  if empty  high = previous(close)",
        "            close = previous(close)",
        "            ticks = 0",
    ]


def test_what_is_not_there_is_not_written(query: Query) -> None:
    plan = replace(query, time_frame=None, continuous=False, group_by=(), align="session", retention_ms=90_500)
    text = render(plan)
    assert "sessions" not in text
    assert "if empty" not in text
    assert "late up to 90500ms" in text
    assert "aligned to the session's open\n" in text
    assert "by        one series" in text


@pytest.mark.parametrize(
    ("expr", "text"),
    [
        (Lit(type=MONEY, value=-5), "-0.005"),
        (Lit(type=TIMESTAMP, value=1), "1970-01-01T00:00:00.001000+00:00"),
        (Lit(type=DATE, value=-1), "1969-12-31"),
        (Lit(type=TEXT, value="it's"), '"it\'s"'),
        (Lit(type=TEXT, value=None), "null"),
        (Op(op="not", args=(Op(op="neg", args=(Previous(output="x"),)),)), "(not (-previous(x)))"),
        (Op(op="or", args=(Col(name="a"), Col(name="b"))), "(a or b)"),
        (Op(op="least", args=(Agg(func="count", arg=None),)), "least(count())"),
    ],
)
def test_expressions_read_as_written(expr: Expr, text: str) -> None:
    assert render_expr(expr) == text
