"""Trees become text: quoted, escaped, and in the words of the dialect."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support_sql import DUCKDB

from ashioto.engines.ksqldb.dialect import KSQLDB
from ashioto.engines.sql.ast import Call, Cast, Const, Field, Item, Lambda, Negate, call, column, infix
from ashioto.engines.sql.printer import Printer, quoted, text
from ashioto.engines.sql.statements import (
    ColumnDef,
    Create,
    Drop,
    From,
    Insert,
    Select,
    StatementSet,
    Terminate,
    Window,
)
from ashioto.engines.sql.types import BIGINT, TEXT, array, decimal, struct
from ashioto.errors import UnsupportedError

KSQL = Printer(KSQLDB)
CLAUSES = Printer(replace(KSQLDB, name="other", stream="TABLE", inline_keys=False, quoted_options=True, emit=""))


@pytest.mark.parametrize(
    ("name", "said"),
    [("size", "`size`"), ("SELECT", "`SELECT`"), ("a`b", "`a``b`"), ("``", "``````"), ("a b", "`a b`")],
)
def test_names_are_quoted_and_quotes_in_them_doubled(name: str, said: str) -> None:
    assert quoted(name) == said


@given(st.text())
def test_text_reads_back_as_it_was(value: str) -> None:
    said = text(value)
    assert said[0] == said[-1] == "'"
    assert said[1:-1].replace("''", "'") == value
    assert "'" not in said[1:-1].replace("''", "")


@given(st.text(alphabet=st.sampled_from("${}ab'")))
def test_the_server_finds_no_variable_to_put_into_text(value: str) -> None:
    said = KSQL.expression(Const(value))
    assert "${" not in said
    pieces = said.removeprefix("CONCAT(").removesuffix(")") if said.startswith("CONCAT(") else said
    assert "".join(part[1:-1].replace("''", "'") for part in pieces.split(", ")) == value


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (0, "0"),
        (-5, "-5"),
        (2**63 - 1, "9223372036854775807"),
        (-(2**63), "(-9223372036854775807 - 1)"),
        (1.5, "1.5E0"),
        (0.1, "0.1E0"),
        (1e22, "1E22"),
        (1e-7, "1E-07"),
        (-0.0, "-0.0E0"),
        (True, "TRUE"),
        (False, "FALSE"),
        (None, "NULL"),
    ],
)
def test_numbers_and_truths(value: float | None, said: str) -> None:
    assert KSQL.expression(Const(value)) == said


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_floats_read_back_bit_for_bit_and_are_no_decimals(value: float) -> None:
    said = KSQL.expression(Const(value))
    assert "E" in said
    assert math.copysign(1, float(said)) == math.copysign(1, value)
    assert float(said) == value


def test_what_is_no_number_is_refused() -> None:
    with pytest.raises(UnsupportedError, match="inf"):
        KSQL.expression(Const(math.inf))


def test_operands_with_parts_stand_in_parentheses() -> None:
    a, b, c = (column(name) for name in "abc")
    assert KSQL.expression(infix("*", infix("/", a, b), b)) == "(`a` / `b`) * `b`"
    assert KSQL.expression(infix("OR", infix("AND", a, b), c)) == "(`a` AND `b`) OR `c`"
    assert KSQL.expression(infix("-", a, Negate(Const(-1)))) == "`a` - -(-1)"


def test_structs_arrays_and_functions_of_one_argument() -> None:
    found = Item(call("filter", column("s", "w"), Lambda("X", infix(">", Field(column("X"), "open_ms"), Const(1)))), 1)
    assert KSQL.expression(Field(found, "day")) == "FILTER(`s`.`w`, `X` => (`X`->`open_ms` > 1))[1]->`day`"
    assert Printer(DUCKDB).expression(Field(column("x"), "day")) == '"x"."day"'


def test_types_in_the_words_of_the_dialect() -> None:
    assert KSQL.type(decimal(5)) == "DECIMAL(18, 5)"
    assert KSQL.type(array(struct(a=BIGINT, b=TEXT))) == "ARRAY<STRUCT<`a` BIGINT, `b` VARCHAR>>"


def test_a_function_that_the_dialect_lacks_is_refused_by_name() -> None:
    with pytest.raises(UnsupportedError, match="duckdb has no function value_of"):
        Printer(DUCKDB).expression(call("value_of", column("k")))


def test_only_known_functions_make_a_call() -> None:
    with pytest.raises(ValueError, match="'evil' is no function"):
        call("evil")


def test_a_call_without_arguments_is_of_all_rows() -> None:
    assert KSQL.expression(Call("count", ())) == "COUNT(*)"


def test_dates_go_by_way_of_text_where_the_engine_has_no_other() -> None:
    said = KSQL.expression(call("month_start", column("d")))
    assert said.startswith("CAST(UNIX_DATE(PARSE_DATE(CONCAT(FORMAT_DATE(FROM_DAYS(CAST(`d` AS INTEGER)), 'yyyy-MM')")
    assert said.endswith("AS BIGINT)")


SOURCE = Create(
    kind="stream",
    name="ticks",
    columns=(ColumnDef(name="k", type=TEXT, key="key"), ColumnDef(name="size", type=decimal(2))),
    options=(("KAFKA_TOPIC", "it's"), ("PARTITIONS", 3)),
)


def test_a_source_with_its_key_at_the_column() -> None:
    assert KSQL.statement(SOURCE) == (
        "CREATE STREAM `ticks` (\n  `k` VARCHAR KEY,\n  `size` DECIMAL(18, 2)\n) WITH (\n"
        "  KAFKA_TOPIC = 'it''s',\n  PARTITIONS = 3\n);"
    )


def test_a_source_with_its_key_behind_the_columns() -> None:
    offset = ColumnDef(name="at", type=BIGINT, metadata="offset")
    primary = replace(SOURCE.columns[0], key="primary")
    said = CLAUSES.statement(replace(SOURCE, columns=(primary, *SOURCE.columns[1:], offset)))
    assert "`at` BIGINT METADATA FROM 'offset' VIRTUAL" in said
    assert "  PRIMARY KEY (`k`) NOT ENFORCED\n) WITH (\n  'KAFKA_TOPIC' = 'it''s'" in said


def test_several_inserts_as_one_job() -> None:
    select = Select(columns=((column("a"), "a"),), source=From(source="ticks", alias="t"))
    said = CLAUSES.statement(StatementSet(inserts=(Insert(into="x", select=select), Insert(into="y", select=select))))
    assert said.startswith("EXECUTE STATEMENT SET BEGIN\nINSERT INTO `x`\nSELECT\n  `a` AS `a`\nFROM `ticks` `t`;")
    assert said.endswith("END;")


def test_windows_in_the_largest_unit_that_fits() -> None:
    window = Window(size_ms=1, retention_ms=14 * 86_400_000, grace_ms=90_000)
    select = Select(
        columns=((column("a"), "a"),), source=From(source="i", alias="i"), window=window, group_by=(column("a"),)
    )
    said = KSQL.select(select)
    assert "WINDOW TUMBLING (SIZE 1 MILLISECONDS, RETENTION 14 DAYS, GRACE PERIOD 90 SECONDS)" in said
    assert said.endswith("GROUP BY `a`\nEMIT CHANGES")


def test_stopping_and_dropping() -> None:
    assert KSQL.statement(Terminate(query="CSAS_X_1")) == "TERMINATE `CSAS_X_1`;"
    assert KSQL.statement(Drop(kind="table", name="x")) == "DROP TABLE IF EXISTS `x`;"


def test_casts() -> None:
    assert KSQL.expression(Cast(Const("-0.05"), decimal(2))) == "CAST('-0.05' AS DECIMAL(18, 2))"
