from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ashioto.errors import InputError, UnsupportedError
from ashioto.logical.codec import VERSION, checksum, decode_query, encode_query
from ashioto.logical.nodes import (
    AGG_NAMES,
    FLOAT64,
    INT64,
    OPS,
    Agg,
    Col,
    Column,
    DataType,
    EmptyRule,
    Entity,
    Lit,
    Op,
    Output,
    Previous,
    Query,
    TimeFrame,
)
from ashioto.logical.validate import check_query
from ashioto.period import Period

if TYPE_CHECKING:
    from collections.abc import Callable

NAMES = st.text(max_size=6)
SIMPLE: list[Any] = ["text", "int64", "float64", "timestamp", "date", "bool"]
TYPES = st.builds(DataType, name=st.sampled_from(SIMPLE)) | st.builds(
    DataType, name=st.just("decimal"), precision=st.integers(1, 18), scale=st.integers(0, 18)
)


def lits(kind: DataType) -> st.SearchStrategy[Lit]:
    values: dict[str, st.SearchStrategy[Any]] = {
        "text": st.text(),
        "float64": st.floats(allow_nan=False, allow_infinity=False),
        "bool": st.booleans(),
    }
    return st.builds(Lit, type=st.just(kind), value=st.none() | values.get(kind.name, st.integers()))


LITS = TYPES.flatmap(lits)
EXPRS: st.SearchStrategy[Any] = st.recursive(
    LITS | st.builds(Col, name=NAMES) | st.builds(Previous, output=NAMES) | st.just(Agg(func="count", arg=None)),
    lambda inner: (
        st.builds(Agg, func=st.sampled_from(AGG_NAMES), arg=inner)
        | st.builds(Op, op=st.sampled_from(sorted(OPS)), args=st.lists(inner, max_size=3).map(tuple))
    ),
    max_leaves=6,
)
COLUMNS = st.builds(
    Column,
    name=NAMES,
    type=TYPES,
    role=st.sampled_from(["key", "timestamp", "sequence", "value"]),
    default=st.none() | LITS,
)
ENTITIES = st.builds(
    Entity, name=NAMES, kind=st.sampled_from(["stream", "table"]), columns=st.lists(COLUMNS, max_size=3).map(tuple)
)
PERIODS = st.builds(Period, st.integers(1, 90), st.sampled_from(["s", "m", "h", "d", "w", "mo"]))
FRAMES = st.builds(
    TimeFrame,
    schedule=ENTITIES,
    join=st.lists(st.tuples(NAMES, NAMES), max_size=3).map(tuple),
    open_column=NAMES,
    close_column=NAMES,
    day_column=NAMES,
)
QUERIES = st.builds(
    Query,
    context=NAMES,
    name=NAMES,
    entity=ENTITIES,
    where=st.lists(EXPRS, max_size=2).map(tuple),
    time_frame=st.none() | FRAMES,
    frames=st.lists(PERIODS, max_size=3).map(tuple),
    align=st.sampled_from(["clock", "session"]),
    continuous=st.booleans(),
    grace_ms=st.integers(),
    retention_ms=st.integers(),
    group_by=st.lists(NAMES, max_size=2).map(tuple),
    outputs=st.lists(st.builds(Output, name=NAMES, expr=EXPRS), max_size=2).map(tuple),
    when_empty=st.lists(
        st.builds(EmptyRule, name=NAMES, expr=LITS | st.builds(Previous, output=NAMES)), max_size=2
    ).map(tuple),
)


@settings(deadline=None)
@given(QUERIES)
def test_a_plan_reads_back_equal_and_writes_the_same_bytes(query: Query) -> None:
    text = encode_query(query)
    again = decode_query(text)
    assert again == query
    assert encode_query(again) == text
    assert text.isascii()


@settings(deadline=None)
@given(QUERIES, st.integers(0, 4), st.booleans())
def test_formatting_has_no_meaning(query: Query, indent: int, keep: bool) -> None:  # noqa: FBT001  # drawn
    loose = json.loads(encode_query(query))
    shuffled = dict(reversed(loose.items())) if keep else loose
    text = json.dumps(shuffled, indent=indent or None, ensure_ascii=keep)
    assert decode_query(text) == query
    assert checksum(decode_query(text)) == checksum(query)


def test_the_text_is_canonical(query: Query) -> None:
    text = encode_query(check_query(query))
    plan = json.loads(text)
    assert plan["version"] == VERSION
    assert text == json.dumps(plan, sort_keys=True, separators=(",", ":"))


def test_orders_without_meaning_do_not_change_the_checksum(query: Query) -> None:
    plan = check_query(query)
    assert plan.time_frame is not None
    joined = replace(plan, time_frame=replace(plan.time_frame, join=(("a", "b"), ("c", "d"))))
    turned = replace(
        joined,
        frames=joined.frames[::-1],
        when_empty=joined.when_empty[::-1],
        time_frame=replace(plan.time_frame, join=(("c", "d"), ("a", "b"))),
    )
    assert encode_query(turned) != encode_query(joined)
    assert checksum(turned) == checksum(joined)


CHANGES: dict[str, Callable[[Query], dict[str, Any]]] = {
    "context": lambda _: {"context": "analytics"},
    "name": lambda _: {"name": "other"},
    "frames": lambda q: {"frames": q.frames[:1]},
    "align": lambda _: {"align": "session"},
    "continuous": lambda _: {"continuous": False},
    "grace": lambda _: {"grace_ms": 1},
    "retention": lambda _: {"retention_ms": 1},
    "no sessions": lambda _: {"time_frame": None},
    "close": lambda q: {"time_frame": replace(q.time_frame, close_column="day") if q.time_frame else None},
    "group order": lambda q: {"group_by": q.group_by[::-1]},
    "output order": lambda q: {"outputs": q.outputs[::-1]},
    "output": lambda q: {"outputs": q.outputs[1:]},
    "empty": lambda q: {"when_empty": (EmptyRule(name="high", expr=Lit(type=INT64, value=0)), *q.when_empty[1:])},
    "where": lambda _: {"where": (Op(op=">", args=(Col(name="size"), Lit(type=INT64, value=0))),)},
    "entity": lambda q: {"entity": replace(q.entity, columns=q.entity.columns[:-1])},
}


@pytest.mark.parametrize("change", CHANGES)
def test_every_meaning_changes_the_checksum(query: Query, change: str) -> None:
    plan = check_query(query)
    assert checksum(replace(plan, **CHANGES[change](plan))) != checksum(plan)


def test_the_order_of_conditions_and_their_constants_count(query: Query) -> None:
    made = {
        checksum(replace(query, where=where))
        for where in [
            (Lit(type=INT64, value=0), Lit(type=FLOAT64, value=0.0)),
            (Lit(type=FLOAT64, value=0.0), Lit(type=INT64, value=0)),
            (Lit(type=DataType(name="decimal", precision=18, scale=2), value=0),),
            (Lit(type=DataType(name="decimal", precision=18, scale=3), value=0),),
            (Lit(type=INT64, value=None),),
        ]
    }
    assert len(made) == 5


def test_a_float_has_one_text_however_it_was_written(query: Query) -> None:
    whole, point = (replace(query, where=(Lit(type=FLOAT64, value=v),)) for v in (3, 3.0))
    assert whole == point
    assert checksum(whole) == checksum(point)


def test_the_checksum_of_a_known_plan_never_changes(query: Query) -> None:
    assert checksum(check_query(query)) == "50bbeb821227e2106d80fd48a91f053730f3241742a912df256b8872e3f0e18d"


@pytest.mark.parametrize("version", [0, 2, "1", True, None])
def test_another_version_is_refused(query: Query, version: object) -> None:
    text = json.dumps(json.loads(encode_query(query)) | {"version": version})
    with pytest.raises(UnsupportedError, match=f"of version {version}") as caught:
        decode_query(text)
    assert "reads version 1" in caught.value.hint


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "{}", '{"name": "x"}'])
def test_what_is_no_plan_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="this is no plan"):
        decode_query(text)


@pytest.mark.parametrize("key", ["context", "entity", "time_frame", "frames", "outputs", "when_empty"])
def test_a_damaged_plan_is_refused(query: Query, key: str) -> None:
    plan = json.loads(encode_query(query))
    for damaged in ({k: v for k, v in plan.items() if k != key}, plan | {"outputs": [{"name": "x", "expr": {}}]}):
        with pytest.raises(InputError, match="this plan is damaged"):
            decode_query(json.dumps(damaged))
    unknown = plan | {"where": [{"op": "%", "args": []}]}
    with pytest.raises(InputError, match="unknown operator '%'"):
        decode_query(json.dumps(unknown))
