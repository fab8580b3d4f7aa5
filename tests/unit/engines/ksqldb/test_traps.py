"""Traps of a real server, one a test: each was met on a server, or stands in its source."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
from lark import Token
from tests.support_ksqldb_grammar import parse
from tests.support_sql import registration
from tests.unit.engines.ksqldb.test_statements import QUERIES, SIX, named, sent

from ashioto.engines.embedded.topics import query_topics
from ashioto.engines.ksqldb.client import PROPERTIES
from ashioto.engines.ksqldb.dialect import KSQLDB
from ashioto.engines.ksqldb.statements import rehearsed, script, statements
from ashioto.engines.sql.ast import Const, column
from ashioto.engines.sql.packs import as_text
from ashioto.engines.sql.printer import Printer
from ashioto.engines.sql.sessions import RECORD_MS
from ashioto.engines.sql.statements import Create, CreateAs, Insert

if TYPE_CHECKING:
    from lark import Tree

    from ashioto.engines.sql.statements import Select

NAMES = sorted(QUERIES)
TYPES = {"VARCHAR", "BIGINT", "DOUBLE", "BOOLEAN"}
OPTIONS = {
    "KAFKA_TOPIC",
    "KEY_FORMAT",
    "VALUE_FORMAT",
    "VALUE_AVRO_SCHEMA_FULL_NAME",
    "RETENTION_MS",
    "WRAP_SINGLE_VALUE",
}


def said(name: str) -> list[str]:
    return script(registration(QUERIES[name].plan, version=4))


def tree(name: str) -> Tree[Token]:
    return parse("\n".join(said(name)))


def selects(name: str) -> list[Select]:
    return [s.select for s in sent(name) if isinstance(s, CreateAs | Insert)]


def calls(name: str) -> dict[str, set[int]]:
    """How many arguments the functions of a script are called with."""
    found: dict[str, set[int]] = {}
    for call in tree(name).find_data("call"):
        word: Any = call.children[0]
        found.setdefault("".join(word.scan_values(bool)), set()).add(len(call.children) - 1)
    return found


def test_the_schedule_looks_older_than_every_tick() -> None:
    assert RECORD_MS == 1


@pytest.mark.parametrize("name", NAMES)
def test_every_name_is_in_backticks(name: str) -> None:
    bare = {str(t) for t in tree(name).scan_values(lambda v: isinstance(v, Token) and v.type == "IDENTIFIER")}
    assert bare <= {*KSQLDB.functions.values(), *TYPES, *OPTIONS}


@pytest.mark.parametrize("name", NAMES)
def test_functions_exist_with_so_many_arguments(name: str) -> None:
    known = {
        "AS_VALUE": {1}, "CHR": {1}, "UNIX_TIMESTAMP": {1}, "FROM_UNIXTIME": {1}, "UNIX_DATE": {1}, "FROM_DAYS": {1},
        "FORMAT_DATE": {2}, "PARSE_DATE": {2}, "LPAD": {3}, "REPLACE": {3}, "SUBSTRING": {2, 3}, "FILTER": {2},
        "ARRAY_CONTAINS": {2}, "MIN": {1}, "MAX": {1}, "SUM": {1}, "COUNT": {0, 1},
    }  # fmt: skip
    many = {"CONCAT", "CONCAT_WS", "COALESCE", "GREATEST", "LEAST"}
    for word, counts in calls(name).items():
        assert word in many or counts <= known[word], word


@pytest.mark.parametrize("name", NAMES)
def test_first_and_last_are_never_by_arrival_and_no_struct_is_compared(name: str) -> None:
    assert not {"TOPK", "EARLIEST_BY_OFFSET", "LATEST_BY_OFFSET", "COLLECT_LIST"} & set(calls(name))


@pytest.mark.parametrize("name", NAMES)
def test_nothing_waits_for_the_end_of_a_window(name: str) -> None:
    assert all("EMIT FINAL" not in text for text in said(name))


@pytest.mark.parametrize("name", NAMES)
def test_a_version_is_never_replaced_nor_half_made_by_silence(name: str) -> None:
    assert not any("OR REPLACE" in text or "IF NOT EXISTS" in text for text in said(name))


@pytest.mark.parametrize("name", NAMES)
def test_a_key_stands_once_in_a_projection_and_is_copied_by_as_value(name: str) -> None:
    for select in selects(name):
        if select.group_by:
            (key,) = select.group_by
            assert [value for value, _ in select.columns].count(key) == 1
            assert select.columns[1][0].args == (key,)  # type: ignore[union-attr]  # it is a call


@pytest.mark.parametrize("name", NAMES)
def test_windowed_topics_are_read_without_their_window(name: str) -> None:
    assert all("WINDOW_TYPE" not in text and "WINDOW_SIZE" not in text for text in said(name))
    windowed = {s.name for s in sent(name) if isinstance(s, CreateAs) and s.select.window is not None}
    assert not any(select.source.source in windowed for select in selects(name))


@pytest.mark.parametrize("name", NAMES)
def test_parts_of_a_key_are_never_null_for_concat_ws_would_skip_them(name: str) -> None:
    made = next(text for text in said(name) if "_stamped` WITH" in text)
    where = made[made.index("WHERE") :]
    for column_name in QUERIES[name].plan.group_by:
        assert f"(`t`.`{column_name}` IS NOT NULL)" in where


def test_old_ticks_outlive_the_windows_they_go_through() -> None:
    for statement in sent("six_frames"):
        if isinstance(statement, CreateAs) and statement.select.window is not None:
            assert int(dict(statement.options)["RETENTION_MS"]) > 50 * 365 * 86_400_000


def test_bars_say_that_their_topic_is_kept_as_it_was_declared() -> None:
    from ashioto.engines.embedded.plan import compile_query

    specs = {spec.name: spec for spec in query_topics(compile_query(QUERIES["six_frames"].plan), 1)}
    for kind in SIX:
        options = dict(named(sent("six_frames"), f"_{kind}_bars").options)
        assert options["RETENTION_MS"] == -1
        assert specs[str(options["KAFKA_TOPIC"])].retention_ms is None


def test_a_row_of_sessions_is_a_record_whatever_the_server_makes_of_single_values() -> None:
    sources = [s for s in sent("six_frames") if isinstance(s, Create)]
    single = [s.name for s in sources if len([c for c in s.columns if not c.key]) == 1]
    assert single == ["t_trade_bars_v4_sessions"]
    assert [s.name for s in sources if "WRAP_SINGLE_VALUE" in dict(s.options)] == single
    assert "WRAP_SINGLE_VALUE = TRUE" in said("six_frames")[2]


def test_partitions_are_those_of_the_ticks_all_the_way() -> None:
    assert all("PARTITIONS" not in text for text in said("six_frames"))


def test_values_are_avro_for_json_writes_zero_decimals_with_an_exponent() -> None:
    for statement in sent("six_frames"):
        if isinstance(statement, Create | CreateAs):
            assert dict(statement.options)["VALUE_FORMAT"] == "AVRO"


def test_decimals_become_text_without_an_exponent_by_cast() -> None:
    assert Printer(KSQLDB).expression(as_text(column("p"))) == "CAST(`p` AS VARCHAR)"


@pytest.mark.parametrize("name", NAMES)
def test_an_argument_of_a_lambda_is_a_name_in_java_and_in_capitals(name: str) -> None:
    for call in tree(name).find_data("lambda"):
        argument: Any = call.children[0]
        assert re.fullmatch(r"`[A-Z]+`", str(argument.children[0]))


def test_variables_are_not_put_in() -> None:
    assert Printer(KSQLDB).expression(Const("a${b}")) == "CONCAT('a$', '{b}')"


def test_doubles_have_an_exponent_or_they_would_be_decimals() -> None:
    assert [Printer(KSQLDB).expression(Const(value)) for value in (1.0, -2.5, 1e300)] == ["1.0E0", "-2.5E0", "1E300"]


def test_every_tick_is_read_and_each_once() -> None:
    assert PROPERTIES == {
        "ksql.streams.auto.offset.reset": "earliest",
        "ksql.streams.processing.guarantee": "exactly_once_v2",
    }


def test_topics_that_are_not_there_yet_get_as_many_partitions_as_those_that_are() -> None:
    made = statements(registration(QUERIES["one_frame"].plan, version=4))
    checked = rehearsed(made, {"t.trade": 6})
    options = {s.name: dict(s.options).get("PARTITIONS") for s in checked if isinstance(s, Create)}
    assert options["t_trade_bars_v4_ticks"] is None
    assert options["t_trade_bars_v4_hb"] == options["t_trade_bars_v4_sessions"] == 6
    assert options["t_trade_bars_v4_1m_in"] is None
