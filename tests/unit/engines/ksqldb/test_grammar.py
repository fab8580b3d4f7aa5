"""Every statement that is sent is one of ksqlDB's language, whatever people call their columns and compare with."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from lark.exceptions import UnexpectedInput
from tests.support_ksqldb_grammar import RESERVED, names, parse, texts
from tests.support_sql import registration
from tests.unit.engines.ksqldb.test_statements import GOLDEN, QUERIES

import ashioto as ao
from ashioto import Field
from ashioto.engines.ksqldb.dialect import KSQLDB
from ashioto.engines.ksqldb.statements import drops, script, statements
from ashioto.engines.ksqldb.statements import texts as printed
from ashioto.engines.sql.ast import Const, column, infix
from ashioto.engines.sql.printer import Printer
from ashioto.engines.sql.statements import From, Insert, Select, Terminate

if TYPE_CHECKING:
    from lark import Token, Tree

    from ashioto.engines.sql.ast import Sql
from ashioto.logical.outputs import MARKER_COLUMNS

HOSTILE = st.text(st.one_of(st.characters(), st.sampled_from("'`${}\\;\"-\x1f\n")), max_size=30).filter(
    lambda said: not any(0xD800 <= ord(letter) < 0xE000 for letter in said)
)
WORDS = sorted(
    {*(word.lower() for word in RESERVED), "select", "from", "size", "window", "group", "order_", "key_", "at_"}
)


@pytest.mark.parametrize("name", sorted(QUERIES))
def test_scripts_are_understood(name: str) -> None:
    said = (GOLDEN / f"{name}.sql").read_text(encoding="utf-8")
    tree = parse(said)
    assert len(tree.children) == said.count(";\n")


def test_what_removes_a_version_is_understood() -> None:
    made = statements(registration(QUERIES["six_frames"].plan))
    said = [*printed(drops(made)), *printed([Terminate(query="CSAS_T_BARS_V1_STAMPED_1")])]
    assert len(parse("\n".join(said)).children) == len(said)


@pytest.mark.parametrize(
    "wrong",
    [
        "SELECT size AS `s` FROM `a` `b` EMIT CHANGES",
        "SELECT `s` AS query FROM `a` `b` EMIT CHANGES",
        "SELECT 'it\\'s' AS `s` FROM `a` EMIT CHANGES",
        "SELECT '${a}' AS `s` FROM `a` EMIT CHANGES",
        "SELECT `a` AS `s` FROM `a` EMIT CHANGES WHERE `a` = 1",
        "SELECT `a` AS `s` FROM `a` WHERE `a` = 1 WINDOW TUMBLING (SIZE 1 DAYS) EMIT CHANGES",
        "SELECT `a` AS `s` FROM `a` WINDOW TUMBLING (SIZE 1 DAYS, GRACE PERIOD 1 DAYS, RETENTION 2 DAYS) EMIT CHANGES",
        "SELECT FILTER(`x` => TRUE, `a`) AS `s` FROM `a` EMIT CHANGES",
        "SELECT `a`.`b`.`c` AS `s` FROM `a` EMIT CHANGES",
        "SELECT 1e5 x AS `s` FROM `a` EMIT CHANGES",
    ],
)
def test_what_the_server_does_not_understand_is_refused(wrong: str) -> None:
    right = "SELECT `a` AS `s` FROM `a` EMIT CHANGES"
    parse(f"INSERT INTO `i` {right};")
    with pytest.raises((UnexpectedInput, ValueError)):
        parse(f"INSERT INTO `i` {wrong};")


def selected(value: Sql) -> Tree[Token]:
    """What a statement that selects a value is understood as."""
    select = Select(columns=((value, "s"),), source=From(source="a", alias="t"))
    return parse(Printer(KSQLDB).statement(Insert(into="i", select=select)))


@given(HOSTILE)
@example("${a}${b}")
@example("$${x}")
@example("${${a}}")
@example("it's ''")
@example("\\u001f\x1f\\")
@example("-- no comment\n/* nor this */")
def test_text_comes_back_as_it_was(said: str) -> None:
    assert texts(selected(Const(said))) == {said}


@given(HOSTILE.filter(lambda name: "${" not in name))
@example("a`b")
@example("``")
def test_names_come_back_as_they_were(name: str) -> None:
    assert names(selected(infix("=", column("t", name), Const(1)))) == {"i", "t", name, "s", "a"}


def order(columns: list[str]) -> type[ao.Stream]:
    """A tick whose columns have these names."""
    made: dict[str, Any] = {"moment": ao.timestamp(), **{name: ao.key() for name in columns[:1]}}
    made |= {name: ao.field() for name in columns[1:]}
    kinds = {
        "moment": Field[datetime],
        **dict.fromkeys(columns[:1], Field[str]),
        **dict.fromkeys(columns[1:], Field[float]),
    }
    return type("Order", (ao.Stream,), {**made, "__annotations__": kinds, "__module__": __name__})


@given(st.lists(st.sampled_from(WORDS), min_size=2, max_size=4, unique=True), HOSTILE)
def test_columns_and_conditions_of_anybody_are_understood(columns: list[str], said: str) -> None:
    assume(columns[0] not in MARKER_COLUMNS)
    stream: Any = order(columns)
    query = (
        ao.Context("t")
        .events(stream)
        .where(getattr(stream, columns[0]) != said)
        .time_frame(ao.AlwaysOpen)
        .tumbling(stream.moment, ao.Period.minutes(1), ensure_continuous=True)
        .select(close=ao.last(getattr(stream, columns[1])), ticks=ao.count())
        .to_query()
    )
    tree = parse("\n".join(script(registration(query.plan))))
    assert set(columns) <= names(tree)
    assert said in texts(tree)
