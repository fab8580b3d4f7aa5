"""What a log on Kafka says of an append that the cluster has taken, without a cluster."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

import apsw
import numpy as np
import pytest
from tests.contract.log_contract import batch
from tests.unit.log.kafka.support import TOPIC, Schemas

from ashioto.errors import LogFullError
from ashioto.log.kafka import KafkaLog, KafkaOptions

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ashioto.log.kafka.write import Outgoing
    from ashioto.schema.registry import SchemaRegistry

COMPACT = replace(TOPIC, spec=replace(TOPIC.spec, cleanup="compact"))


class Cluster(Schemas):
    """Takes every record, and knows one topic."""

    def __init__(self) -> None:
        self.ends = dict.fromkeys(range(TOPIC.spec.partitions), 0)

    def close(self) -> None:
        """Do nothing."""

    def find(self, _: str) -> Any:
        """Find the topic."""
        return COMPACT

    def write(self, found: list[Outgoing]) -> bool:
        """Take records."""
        for one in found:
            first = self.ends[one.partition]
            one.take(np.arange(first, first + len(one.keys)), one.times)
            self.ends[one.partition] += len(one.keys)
        return False

    def wait(self, *_: object) -> bool:
        """Show all that was written."""
        return True

    def settled(self, _: object) -> dict[int, int]:
        """Say where partitions end."""
        return dict(self.ends)

    of = settled

    def known(self, _: object, partition: int) -> int:
        """Say where a partition ends."""
        return self.ends[partition]


@pytest.fixture
def log(tmp_path: Path) -> Iterator[KafkaLog]:
    cluster = Cluster()
    options = KafkaOptions(bootstrap="127.0.0.1:1", registry="http://127.0.0.1:1", cache=tmp_path)
    with KafkaLog(options, registry=cast("SchemaRegistry", cluster)) as made:
        parts: dict[str, Any] = {"_topics": cluster, "_writers": cluster, "_ends": cluster}
        for name, part in parts.items():
            setattr(made, name, part)
        made._views._ends = parts["_ends"]
        yield made


def seen(log: KafkaLog) -> list[bytes]:
    return log.view("t.ticks").keys


def test_an_append_that_was_taken_says_so_though_the_view_has_no_room(
    log: KafkaLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert seen(log) == []

    def full(*_: object) -> None:
        raise LogFullError("no room left for the view", hint="free some disk space")

    monkeypatch.setattr("ashioto.log.kafka.view.ViewFile.put", full)
    assert [run.count for run in log.append([batch("t.ticks", [("a", 1)])])] == [1]


def test_an_append_that_was_taken_says_so_though_the_view_was_closed_meanwhile(log: KafkaLog) -> None:
    assert seen(log) == []
    for file in log._views._files.values():
        file._connection.close()
    assert [run.count for run in log.append([batch("t.ticks", [("a", 1)])])] == [1]
    with pytest.raises(apsw.ConnectionClosedError):
        next(iter(log._views._files.values()))._connection.execute("SELECT 1")


def test_what_was_appended_is_in_the_view_without_being_fetched(log: KafkaLog) -> None:
    assert seen(log) == []
    log.append([batch("t.ticks", [("a", 1)])])
    assert seen(log) == [b"a"]
