"""The statements sent to a ksqlDB server: their order, their types, and each trap of a real server."""

from __future__ import annotations

import os
from collections import Counter
from datetime import UTC, date, datetime
from decimal import Decimal  # noqa: TC003  # annotations of entities are read
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.support_engine import DAY, Trade, bars
from tests.support_ksqldb import check
from tests.support_sql import registration

import ashioto as ao
from ashioto import Field
from ashioto.engines.embedded.output import bar_schema
from ashioto.engines.embedded.plan import compile_query
from ashioto.engines.ksqldb.statements import drops, script, statements
from ashioto.engines.sql.statements import Create, CreateAs, Insert
from ashioto.engines.sql.types import TEXT, column_type
from ashioto.errors import UnsupportedError
from ashioto.schema.arrow import arrow_type, plain

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ashioto.dsl import BarQuery, Column
    from ashioto.engines.sql.statements import Statement

GOLDEN = Path(__file__).parents[3] / "golden" / "ksqldb"
SIX = ("1m", "5m", "1h", "1d", "1w", "1mo")


class Order(ao.Stream):
    """A tick whose columns have the names of words of the language."""

    select: Field[str] = ao.key()
    group: Field[str] = ao.key()
    timestamp: Field[datetime] = ao.timestamp()
    sequence: Field[int] = ao.sequence()
    size: Field[Decimal] = ao.decimal(18, 18)
    kind: Field[str] = ao.field(default="it's ${a}")
    when: Field[datetime] = ao.field(default=datetime(2024, 1, 1, tzinfo=UTC))
    day: Field[date] = ao.field(default=date(2024, 1, 1))
    window: Field[float] = ao.field()
    final_: Field[bool] = ao.field(default=True)


def hostile() -> BarQuery:
    """A query of which every name and text wants care."""
    return (
        ao.Context("t")
        .events(Order)
        .where(Order.kind != "o'clock ${b} \\ \x1f")
        .where(Order.when > datetime(2023, 1, 1, tzinfo=UTC))
        .where((Order.day >= date(2023, 1, 1)) | ~Order.final_)
        .time_frame(ao.AlwaysOpen)
        .tumbling(Order.timestamp, ao.Period.minutes(1), ao.Period.months(1), ensure_continuous=True)
        .select(size=ao.last(Order.size), limit=ao.sum(Order.window), table=ao.min(Order.window), ticks=ao.count())
        .when_empty(table=0.0)
        .to_query()
    )


def vwap() -> BarQuery:
    """A query with expressions, and columns that no selected column shows."""
    select: Mapping[str, Column[Any]] = {
        "open": ao.coalesce(ao.previous("close"), ao.first(Trade.price)),
        "close": ao.last(Trade.price),
        "vwap": ao.sum(Trade.price * Trade.size) / ao.sum(Trade.size),
        "mean": ao.avg(Trade.lots),
        "net": ao.sum(Trade.lots) * 2 - ao.count(),
        "top": ao.greatest(ao.max(Trade.weight), ao.min(Trade.lots) * 1.0),
    }
    empty = {"open": ao.previous("close"), "net": 0, "top": 0.0}
    where = [(Trade.lots > 0) | ~(Trade.price / Trade.size > 3), Trade.symbol != "A"]
    return bars("5m", "1h", select=select, when_empty=empty, where=where)


QUERIES = {
    "one_frame": bars("1m"),
    "six_frames": bars(*SIX),
    "vwap_where": vwap(),
    "no_schedule": bars("1m", "1d", schedule=False, continuous=False),
    "always_open": bars("1h", "1mo", schedule=False),
    "session_align": bars("15m", align="session"),
    "other_groups": bars("1m", group_by=[Trade.symbol]),
    "hostile": hostile(),
}


def sent(name: str) -> list[Statement]:
    return statements(registration(QUERIES[name].plan, version=4))


def named(made: list[Statement], end: str) -> Any:
    """Return the statement that makes what ends so."""
    return next(s for s in made if isinstance(s, Create | CreateAs) and s.name.endswith(end))


@pytest.mark.parametrize("name", sorted(QUERIES))
def test_scripts_are_as_they_were_reviewed(name: str) -> None:
    path = GOLDEN / f"{name}.sql"
    said = "\n\n".join(script(registration(QUERIES[name].plan, version=4))) + "\n"
    if os.environ.get("ASHIOTO_WRITE_GOLDEN"):
        path.write_text(said, encoding="utf-8")
    assert said == path.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", sorted(QUERIES))
def test_types_fit_as_the_server_wants_them(name: str) -> None:
    check(sent(name))


@pytest.mark.parametrize("name", sorted(QUERIES))
def test_bars_have_the_columns_of_their_topic(name: str) -> None:
    query = QUERIES[name].plan
    known = check(sent(name))
    for period in query.frames:
        columns = known[f"{query.context}_{query.name}_v4_{period.kind}_bars"]
        schema = bar_schema(compile_query(query), period)
        assert list(columns)[1:] == schema.names
        arrow = {"text": "string", "bigint": "int64", "bool": "bool", "date": "date32[day]", "double": "double"}
        for field in schema:
            kind = columns[field.name]
            said = arrow.get(kind.word) or {"timestamp": "timestamp[ms, tz=UTC]"}.get(
                kind.word, f"decimal64({kind.precision}, {kind.scale})"
            )
            assert said == str(plain(field.type))


@pytest.mark.parametrize(("frames", "count"), [(("1m",), 15), (("1m", "5m"), 19), (("1m", "5m", "1d", "1w"), 28)])
def test_a_frame_is_four_statements(frames: tuple[str, ...], count: int) -> None:
    assert len(statements(registration(bars(*frames).plan))) == count


def test_without_heartbeats_nothing_is_handed_on() -> None:
    assert not any(isinstance(s, Insert) for s in sent("no_schedule"))
    assert not any(s.name.endswith("_hb") for s in sent("no_schedule") if isinstance(s, Create))


def test_names_begin_with_the_version() -> None:
    names = [s.into if isinstance(s, Insert) else s.name for s in sent("six_frames")]  # type: ignore[union-attr]  # no other kinds
    assert all(name.startswith("t_trade_bars_v4_") for name in names)
    assert max(Counter(s.name for s in sent("six_frames") if isinstance(s, Create | CreateAs)).values()) == 1


def test_sources_are_made_before_they_are_read() -> None:
    known: set[str] = set()
    for statement in sent("six_frames"):
        select = getattr(statement, "select", None)
        if select is not None:
            assert select.source.source in known
        known.add(getattr(statement, "name", ""))


def test_readers_are_dropped_before_what_they_read() -> None:
    made = sent("six_frames")
    gone = [drop.name for drop in drops(made)]
    assert gone[0].endswith("_1mo_bars")
    assert gone[-1].endswith("_ticks")
    assert sorted(gone) == sorted(s.name for s in made if isinstance(s, Create | CreateAs))
    for statement in made:
        if isinstance(statement, CreateAs):
            assert gone.index(statement.name) < gone.index(statement.select.source.source)


def test_retention_of_windows_is_size_and_grace_at_least() -> None:
    for statement in sent("six_frames"):
        window = statement.select.window if isinstance(statement, CreateAs) else None
        if window is not None:
            assert window.retention_ms >= window.size_ms + window.grace_ms


@pytest.mark.parametrize(("frame", "days"), [("1d", 1), ("1w", 7), ("1mo", 31)])
def test_a_bar_is_open_for_late_ticks_as_long_as_it_lasts_and_the_retention(frame: str, days: int) -> None:
    window = named(sent("six_frames"), f"_{frame}_fold").select.window
    assert window.grace_ms >= days * DAY + QUERIES["six_frames"].plan.retention_ms


def test_time_columns_are_in_backticks_so_that_their_case_is_kept() -> None:
    for statement in sent("six_frames"):
        said = dict(getattr(statement, "options", ())).get("TIMESTAMP")
        assert said is None or (str(said).startswith("`") and str(said).endswith("`"))


def test_rows_of_a_windowed_topic_are_read_without_their_key() -> None:
    assert dict(named(sent("six_frames"), "_1m_rows").options)["KEY_FORMAT"] == "NONE"


def test_the_schedule_index_is_found_by_the_plain_key_and_the_day() -> None:
    said = next(text for text in script(registration(QUERIES["one_frame"].plan)) if "LEFT JOIN" in text)
    assert "REPLACE(REPLACE(`t`.`symbol`, '\\', '\\\\'), CHR(31), '\\u001f')" in said
    assert "LPAD(CAST((UNIX_TIMESTAMP(`t`.`at`) / 86400000) * 86400000 AS VARCHAR), 13, '0')" in said


def test_ticks_keep_their_key_unless_bars_are_grouped_by_other_columns() -> None:
    assert named(sent("always_open"), "_stamped").select.partition_by is None
    assert named(sent("other_groups"), "_stamped").select.partition_by is not None


def test_missing_values_are_sorted_out_before_anything_is_computed_from_them() -> None:
    said = next(text for text in script(registration(QUERIES["one_frame"].plan)) if "LEFT JOIN" in text)
    where = said[said.index("WHERE") :]
    assert where.index("`at` IS NOT NULL") < where.index("UNIX_TIMESTAMP")
    assert "`size` IS NOT NULL" not in where


def test_a_schema_that_is_registered_is_named_by_its_number() -> None:
    made = statements(registration(QUERIES["one_frame"].plan), schema_ids={"t.trade_bars_1m": 7})
    assert dict(named(made, "_bars").options)["VALUE_SCHEMA_ID"] == 7
    assert dict(named(sent("one_frame"), "_bars").options)["VALUE_AVRO_SCHEMA_FULL_NAME"] == "ashioto.t.trade_bars_1m"


def test_names_that_the_server_keeps_are_refused() -> None:
    select: Mapping[str, Column[Any]] = {"rowtime": ao.count(), "close": ao.last(Trade.price)}
    with pytest.raises(UnsupportedError, match="rowtime"):
        statements(registration(bars("1m", select=select).plan))


def test_columns_have_the_types_of_their_entity() -> None:
    ticks = named(sent("hostile"), "_ticks")
    declared = {c.name: c.type for c in ticks.columns}
    assert declared.pop("_key") == TEXT
    assert declared == {c.name: column_type(c.type) for c in QUERIES["hostile"].plan.entity.columns}
    assert str(arrow_type(QUERIES["hostile"].plan.entity.columns[4].type)) == "decimal64(18, 18)"
