"""Files that older versions wrote: they open, keep what they hold, and get what is new."""

from __future__ import annotations

from typing import TYPE_CHECKING

import apsw
import pyarrow as pa
import pytest
from tests.contract.log_contract import STATE, TICKS, batch, xs_of

from ashioto.errors import LogCorruptError, LogError, StaleEpochError
from ashioto.log.base import Fence, TopicSpec
from ashioto.log.embedded import EmbeddedLog
from ashioto.log.leases import Holder, Lease
from ashioto.log.payload import encode_batch
from ashioto.log.rowcodec import RowCodec

if TYPE_CHECKING:
    from pathlib import Path

FORMAT_1 = """
PRAGMA page_size=8192;
PRAGMA journal_mode=WAL;
CREATE TABLE meta(name TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE topics(
  topic_id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, partitions INTEGER NOT NULL, cleanup TEXT NOT NULL,
  schema BLOB NOT NULL, retention_ms INTEGER);
CREATE TABLE partitions(
  topic_id INTEGER, partition INTEGER, start_offset INTEGER NOT NULL, end_offset INTEGER NOT NULL,
  PRIMARY KEY(topic_id, partition)) WITHOUT ROWID;
CREATE TABLE batches(
  topic_id INTEGER, partition INTEGER, base_offset INTEGER, count INTEGER NOT NULL, ts INTEGER NOT NULL,
  payload BLOB NOT NULL, PRIMARY KEY(topic_id, partition, base_offset)) WITHOUT ROWID;
CREATE TABLE newest(
  topic_id INTEGER, key BLOB, "offset" INTEGER NOT NULL, ts INTEGER NOT NULL, value BLOB NOT NULL,
  PRIMARY KEY(topic_id, key)) WITHOUT ROWID;
CREATE TABLE fences(name TEXT PRIMARY KEY, epoch INTEGER NOT NULL) WITHOUT ROWID;
INSERT INTO meta VALUES('format', 1);
INSERT INTO fences VALUES('hb', 3);
"""


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """Return a file of format 1 with a record in each of two topics."""
    path = tmp_path / "log.db"
    connection = apsw.Connection(str(path))
    connection.execute(FORMAT_1).fetchall()
    for number, spec in enumerate((TICKS, STATE), 1):
        one = batch(spec.name, [("a", 1)])
        connection.execute(
            "INSERT INTO topics VALUES(?, ?, ?, ?, ?, NULL)",
            (number, spec.name, spec.partitions, spec.cleanup, spec.schema.serialize().to_pybytes()),
        )
        for partition in range(spec.partitions):
            connection.execute("INSERT INTO partitions VALUES(?, ?, 0, ?)", (number, partition, 1 - partition))
        connection.execute("INSERT INTO batches VALUES(?, 0, 0, 1, 0, ?)", (number, encode_batch(one)))
    value = RowCodec(STATE.schema).encode(batch("t.state", [("a", 1)]).data)[0]
    connection.execute("INSERT INTO newest VALUES(2, ?, 0, 10, ?)", (b"a", value))
    connection.close()
    return path


def format_of(path: Path) -> int:
    connection = apsw.Connection(str(path))
    found = [value for (value,) in connection.execute("SELECT value FROM meta WHERE name = 'format'")]
    connection.close()
    assert len(found) == 1
    return int(found[0])


def test_a_file_of_format_1_keeps_its_records_and_fences(old: Path) -> None:
    with EmbeddedLog(old) as log:
        assert log.topics() == ["t.state", "t.ticks"]
        assert log.describe("t.ticks").spec == TICKS
        assert xs_of(log, "t.ticks") == xs_of(log, "t.state") == [1]
        assert log.view("t.state").data.to_pylist() == [{"x": 1, "s": "a"}]
        with pytest.raises(StaleEpochError):
            log.append([], fence=Fence(name="hb", epoch=2))
        assert log.append([batch("t.ticks", [("a", 2)])])[0].base_offset == 1
    assert format_of(old) == 3
    with EmbeddedLog(old) as log:
        assert xs_of(log, "t.ticks") == [1, 2]


def test_a_file_of_format_1_gets_leases(old: Path) -> None:
    lease = Lease(name="hb", epoch=4, holder=Holder(name="me"), expires_ms=5)
    with EmbeddedLog(old) as log:
        assert log.lease("hb") is None
        assert log.change_lease("hb", lambda _: lease) == lease
        with pytest.raises(StaleEpochError):
            log.append([], fence=Fence(name="hb", epoch=3))
    with EmbeddedLog(old) as log:
        assert log.lease("hb") == lease


def test_topics_of_format_1_can_be_altered_and_deleted(old: Path) -> None:
    with EmbeddedLog(old) as log:
        schema = pa.schema({"n": pa.int64(), "x": pa.int64()})
        for spec in (TICKS, STATE):
            log.alter(TopicSpec(name=spec.name, partitions=spec.partitions, cleanup=spec.cleanup, schema=schema))
            found = log.read(spec.name, 0, 0)
            assert found is not None
            assert found.data.to_pylist() == [{"n": None, "x": 1}]
        assert log.view("t.state").data.to_pylist() == [{"n": None, "x": 1}]
        log.delete(["t.ticks"])
        assert log.topics() == ["t.state"]


def test_two_that_open_an_old_file_at_once_both_get_it(old: Path) -> None:
    with EmbeddedLog(old) as one, EmbeddedLog(old) as two:
        one.append([batch("t.ticks", [("a", 2)])])
        assert xs_of(two, "t.ticks") == [1, 2]


def test_a_migration_that_is_interrupted_leaves_the_old_file(old: Path) -> None:
    connection = apsw.Connection(str(old))
    connection.execute("CREATE TABLE leases(odd)")
    connection.close()
    with pytest.raises(LogError, match="leases already exists"):
        EmbeddedLog(old)
    assert format_of(old) == 1
    connection = apsw.Connection(str(old))
    connection.execute("DROP TABLE leases")
    connection.close()
    with EmbeddedLog(old) as log:
        assert xs_of(log, "t.ticks") == [1]


@pytest.mark.parametrize("value", [0, 4, "two", None])
def test_a_format_that_is_not_known_is_refused_and_kept(old: Path, value: object) -> None:
    connection = apsw.Connection(str(old))
    connection.execute("UPDATE meta SET value = ? WHERE name = 'format'", (value,))
    with pytest.raises(LogError, match=f"has format {value}; this version reads 1 to 3"):
        EmbeddedLog(old)
    assert list(connection.execute("SELECT name FROM sqlite_master WHERE name = 'leases'")) == []
    connection.close()


def test_a_file_without_its_tables_is_refused(old: Path) -> None:
    connection = apsw.Connection(str(old))
    connection.execute("DROP TABLE newest")
    connection.close()
    with pytest.raises(LogCorruptError, match="is no log"):
        EmbeddedLog(old)
