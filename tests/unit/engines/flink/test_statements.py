"""The job of a query: what it is made of, and each thing a real cluster taught."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from tests.support_engine import bars
from tests.support_sql import registration
from tests.unit.engines.ksqldb.test_statements import QUERIES

from ashioto.engines.embedded.output import bar_schema
from ashioto.engines.embedded.plan import compile_query
from ashioto.engines.flink.reach import Reach
from ashioto.engines.flink.statements import Script, script
from ashioto.schema.avro import arrow_schema, avro_schema

GOLDEN = Path(__file__).parents[3] / "golden" / "flink"
REACH = Reach(bootstrap="kafka:9092", registry="http://registry:8081", prefix="p.", group="g")


def made(query: Any, **options: Any) -> Script:
    return script(registration(query.plan, version=4), REACH, **options)


def definition(found: Script, end: str) -> str:
    """Return the statement that names what ends so."""
    return next(s for s in found.definitions if f"{end}` " in s.partition("\n")[0])


@pytest.mark.parametrize("name", sorted(QUERIES))
def test_scripts_are_as_they_were_reviewed(name: str) -> None:
    path = GOLDEN / f"{name}.sql"
    said = made(QUERIES[name]).text() + "\n"
    if os.environ.get("ASHIOTO_WRITE_GOLDEN"):
        path.write_text(said, encoding="utf-8")
    assert said == path.read_text(encoding="utf-8")


def test_bars_are_written_with_the_schema_of_their_topic() -> None:
    query = bars("1m", "1d")
    for period in query.plan.frames:
        said = definition(made(query), f"{period.kind}_bars")
        avro = said.split("'value.avro-confluent.schema' = '")[1].split("}',\n")[0] + "}"
        assert arrow_schema(json.loads(avro)).names == bar_schema(compile_query(query.plan), period).names


def test_columns_go_by_the_names_that_are_registered() -> None:
    query = bars("1m", schedule=False)
    schema = bar_schema(compile_query(query.plan), query.plan.frames[0])
    avro = avro_schema(schema, name="t.trade_bars_1m")
    fields: Any = avro["fields"]
    close = next(field for field in fields if field["name"] == "close")
    close["name"] = "close_2"
    known = {"t.trade_bars_1m": avro | {"ashioto": {"columns": {"close_2": "close"}}}}
    found = script(registration(query.plan, version=4), Reach(bootstrap="k", registry="r", schemas=known))
    assert "`close_2` DECIMAL" in definition(found, "1m_bars")
    assert "`close_2`" in found.job
    assert "AS `close`\n" not in found.job


def test_a_record_of_bars_takes_the_place_of_the_one_before_without_a_deletion_between() -> None:
    said = definition(made(bars("1m")), "1m_bars")
    assert "'connector' = 'upsert-kafka'" in said
    assert "'sink.buffer-flush.max-rows' = '1000000000'" in said


def test_bars_are_grouped_by_their_finished_key() -> None:
    said = definition(made(bars("1m")), "1m_fold")
    key = "CONCAT_WS(U&'\\001F', `i`.`_key`, LPAD(CAST(`i`.`label_1m` AS STRING), 13, '0'))"
    assert f"  {key} AS `bar_key`" in said
    assert said.endswith(f"GROUP BY {key};")


def test_sessions_are_unpacked_behind_the_join_so_that_all_frames_share_it() -> None:
    found = made(bars("1m", "5m", "1d"))
    assert "UNNEST" not in definition(found, "dated")
    assert definition(found, "dated").count("JOIN `t_trade_bars_v4_days`") == 1
    assert "CROSS JOIN UNNEST(`a`.`sessions`)" in definition(found, "stamped")


def test_the_schedule_is_kept_for_ever_and_ticks_wait_for_it_a_while() -> None:
    said = definition(made(bars("1m")), "dated")
    assert "STATE_TTL('a' = '300s', 'd' = '0s')" in said
    assert made(bars("1m")).settings["table.exec.state.ttl"] == "0"


@pytest.mark.parametrize(("schedule", "rows"), [(True, "dated"), (False, "atoms")])
def test_rows_behind_the_join_and_the_slices_are_never_taken_back(rows: str, *, schedule: bool) -> None:
    said = definition(made(bars("1m", schedule=schedule)), "stamped")
    name = f"t_trade_bars_v4_{rows}"
    once = f"TO_CHANGELOG(input => TABLE `{name}`, op_mapping => MAP['INSERT', 'INSERT'], uid => '{name}')"
    assert f"FROM TABLE({once}) `a`" in said


def test_a_bucket_is_kept_as_long_as_its_ticks_may_come() -> None:
    found = made(bars("1m", "1mo"))
    assert "STATE_TTL('i' = '691260s')" in definition(found, "1m_fold")
    assert "STATE_TTL('i' = '3974400s')" in definition(found, "1mo_fold")


def test_ticks_of_a_slice_are_folded_to_rows_that_never_change() -> None:
    said = definition(made(bars("1m")), "atoms")
    assert "TABLE(TUMBLE(TABLE `t_trade_bars_v4_counted`, DESCRIPTOR(`_read`), INTERVAL '0.500' SECOND))" in said
    assert "GROUP BY `i`.`window_start`, `i`.`window_end`, `i`.`_key`, `i`.`atom`" in said


def test_late_ticks_go_to_their_topic_and_nowhere_else() -> None:
    found = made(bars("1m"))
    assert "WHERE `t`.`at` < (`t`.`_newest` - 604800000)" in found.job
    assert "(`t`.`at` >= (`t`.`_newest` - 604800000))" in definition(found, "counted")


def test_a_tick_ahead_of_the_clock_makes_no_other_late() -> None:
    said = definition(made(bars("1m")), "ticks")
    assert "MAX(LEAST(`t`.`at`, UNIX_TIMESTAMP() * 1000)) OVER (PARTITION BY `t`.`_key` ORDER BY `t`.`_read`" in said


def test_buckets_whose_ticks_are_partly_gone_are_left_alone() -> None:
    assert "`f`.`bucket_start` >= 1700000000000" in made(bars("1m"), since_ms=1_700_000_000_000).job
    assert "`bucket_start` >=" not in made(bars("1m")).job


def test_what_bars_hand_on_goes_through_a_topic_of_the_version() -> None:
    (topic,) = made(bars("1m"), partitions=3).topics
    assert (topic.name, topic.partitions, topic.cleanup) == ("t_trade_bars_v4_carry", 3, "delete")
    assert topic.retention_ms is not None
    assert topic.retention_ms > bars("1m").plan.retention_ms
    assert made(bars("1m", continuous=False)).topics == ()


def test_what_both_folds_of_a_bar_hand_on_does_not_meet_in_one_sink() -> None:
    found = made(bars("1m"))
    for which in ("own", "empty"):
        assert "'topic' = 'p.t_trade_bars_v4_carry'" in definition(found, f"{which}_out")
        assert found.job.count(f"INSERT INTO `t_trade_bars_v4_{which}_out`") == 1


def test_text_beyond_ascii_is_written_by_its_codes() -> None:
    said = made(QUERIES["hostile"]).text()
    assert "U&'o''clock ${b} \\005C \\001F'" in said
    assert all(char == "\n" or char.isprintable() for char in said)


def test_nothing_is_read_that_is_not_committed() -> None:
    found = made(bars("1m"))
    sources = [s for s in found.definitions if "'scan.startup.mode'" in s]
    assert len(sources) == 3
    assert all("'properties.isolation.level' = 'read_committed'" in s for s in sources)
