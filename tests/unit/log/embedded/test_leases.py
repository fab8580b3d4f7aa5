"""Leases beside writers that hold the file."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

import apsw
import pytest
from tests.contract.leases_contract import LEASE
from tests.contract.log_contract import TICKS, batch, xs_of

from ashioto.errors import LogBusyError, LogError
from ashioto.log.embedded import EmbeddedLog
from ashioto.log.embedded import errors as embedded_errors

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ashioto.log.leases import Lease


@pytest.fixture
def log(tmp_path: Path) -> Iterator[EmbeddedLog]:
    with EmbeddedLog(tmp_path / "log.db", lease_timeout_ms=20) as log:
        log.create([TICKS])
        log.change_lease(LEASE.name, lambda _: LEASE)
        yield log


@pytest.fixture
def writer(log: EmbeddedLog) -> Iterator[apsw.Connection]:
    """Return a connection that holds the file."""
    connection = apsw.Connection(str(log.path))
    connection.execute("BEGIN IMMEDIATE")
    yield connection
    connection.close()


def test_a_held_file_refuses_changes_after_the_short_time(log: EmbeddedLog, writer: apsw.Connection) -> None:
    with pytest.raises(LogBusyError, match="another process holds the log") as caught:
        log.change_lease(LEASE.name, lambda _: replace(LEASE, epoch=2))
    assert caught.value.ids["pid"] == os.getpid()
    assert f"end process {os.getpid()}" in caught.value.hint
    assert log.lease(LEASE.name) == LEASE
    writer.execute("ROLLBACK")
    assert log.change_lease(LEASE.name, lambda _: replace(LEASE, epoch=2)) == replace(LEASE, epoch=2)


def test_an_unknown_writer_is_not_named(
    log: EmbeddedLog, writer: apsw.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert writer.in_transaction
    monkeypatch.setattr(embedded_errors, "writer_of", lambda _: None)
    with pytest.raises(LogBusyError) as caught:
        log.change_lease(LEASE.name, lambda _: LEASE)
    assert caught.value.ids["pid"] is None
    assert "end the other process" in caught.value.hint


def test_leases_and_records_are_read_while_the_file_is_held(log: EmbeddedLog, writer: apsw.Connection) -> None:
    writer.execute("UPDATE leases SET epoch = 99")
    assert log.lease(LEASE.name) == LEASE
    assert log.read("t.ticks", 0, 0) is None
    with EmbeddedLog(log.path) as another:
        assert another.lease(LEASE.name) == LEASE


def test_a_change_may_read_the_log_and_is_called_once(log: EmbeddedLog) -> None:
    log.append([batch("t.ticks", [("a", 1)])])
    calls: list[list[int]] = []

    def change(known: Lease | None) -> Lease | None:
        calls.append(xs_of(log, "t.ticks"))
        return known

    log.change_lease(LEASE.name, change)
    assert calls == [[1]]


def test_two_logs_of_one_file_change_one_lease(log: EmbeddedLog) -> None:
    with EmbeddedLog(log.path) as another:
        another.change_lease(LEASE.name, lambda _: replace(LEASE, epoch=7))
        assert log.lease(LEASE.name) == replace(LEASE, epoch=7)


def test_a_closed_log_has_no_leases(log: EmbeddedLog) -> None:
    log.close()
    log.close()
    with pytest.raises(LogError, match="is closed"):
        log.lease(LEASE.name)
    with pytest.raises(LogError, match="is closed"):
        log.change_lease(LEASE.name, lambda _: LEASE)
