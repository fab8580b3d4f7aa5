"""Topics of a cluster, and what the registry has of them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest
from confluent_kafka import KafkaError
from tests.contract.log_contract import STATE, TICKS
from tests.unit.log.kafka.fakes import Cluster, overloaded, refused

from ashioto.errors import LogBusyError, LogError, RegistryError
from ashioto.log.kafka.preflight import Preflight
from ashioto.log.kafka.topics import ensure

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import httpx

OTHER = replace(TICKS, schema=pa.schema({"y": pa.string()}))
SUBJECT = "w.t.ticks-value"


@pytest.fixture
def cluster(tmp_path: Path) -> Cluster:
    return Cluster(tmp_path)


@pytest.fixture
def second(cluster: Cluster, tmp_path: Path) -> Cluster:
    """Another cluster with the same registry and the same prefix."""
    return Cluster(tmp_path, memory=cluster.memory)


@pytest.mark.parametrize("instead", [refused, overloaded])
def test_a_topic_that_is_known_is_used_while_the_registry_is_down(
    cluster: Cluster, instead: Callable[[], httpx.Response]
) -> None:
    cluster.topics.create([TICKS, STATE])
    known = cluster.topics.find("t.ticks")
    cluster.transport.instead = instead
    assert cluster.topics.find("t.ticks") == cluster.topics.look("t.ticks") == known
    cluster.topics.forget("t.state")
    with pytest.raises(RegistryError):
        cluster.topics.find("t.state")
    cluster.transport.instead = None
    assert cluster.topics.find("t.state").spec == STATE


def test_the_subject_of_a_topic_on_another_cluster_is_not_deleted(cluster: Cluster, second: Cluster) -> None:
    cluster.topics.create([TICKS])
    with pytest.raises(LogError, match=f"other columns under {SUBJECT}") as caught:
        second.topics.create([STATE, OTHER])
    assert "another prefix" in caught.value.hint
    assert second.clients.fake.topics == {}
    assert [*cluster.memory.kept] == [SUBJECT]
    assert cluster.topics.look("t.ticks").spec == TICKS
    assert Preflight(second.topics, second.registry).leftovers([OTHER, STATE]) == {"t.ticks": f"the subject {SUBJECT}"}


def test_a_subject_with_the_same_columns_is_shared(cluster: Cluster, second: Cluster) -> None:
    cluster.topics.create([TICKS])
    cluster.topics.delete(["t.state"])
    assert second.topics.create([TICKS]) == ["t.ticks"]
    assert len(cluster.memory.kept[SUBJECT]) == 1


def test_a_topic_is_deleted_with_its_subject_and_what_is_left_of_one_too(cluster: Cluster) -> None:
    cluster.topics.create([TICKS])
    cluster.topics.delete(["t.ticks"])
    assert cluster.memory.kept == {}
    cluster.registry.register(SUBJECT, {"type": "record", "name": "left", "fields": []})
    cluster.topics.delete(["t.ticks"])
    assert cluster.topics.create([OTHER]) == ["t.ticks"]


@pytest.mark.parametrize("when", ["checked", "made"])
def test_who_is_second_to_make_a_topic_of_the_logs_own_has_it_too(
    cluster: Cluster, second: Cluster, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    monkeypatch.setattr(second.clients, "fake", cluster.clients.fake)

    def quicker(validate_only: bool) -> None:  # noqa: FBT001  # as the fake calls it
        if validate_only == (when == "checked"):
            cluster.clients.fake.before_create = lambda _: None
            cluster.topics.create([STATE])

    cluster.clients.fake.before_create = quicker
    assert ensure(second.topics, STATE).spec == STATE
    assert cluster.clients.fake.made == 1


def test_a_handshake_that_failed_once_is_not_told_of_later_failures(cluster: Cluster) -> None:
    cluster.topics.create([TICKS])
    clients = cluster.clients
    clients.fake.on_poll = lambda: clients.trouble(KafkaError(KafkaError._SSL, "handshake failed"))
    cluster.topics.look("t.ticks")  # hears of it, and is answered
    clients.fake.on_poll = lambda: None
    clients.fake.fails = [KafkaError._TIMED_OUT]
    cluster.topics.forget("t.ticks")
    with pytest.raises(LogBusyError, match="does not answer"):
        cluster.topics.find("t.ticks")


def test_what_a_client_without_a_controller_is_asked_is_asked_again_of_another(cluster: Cluster) -> None:
    cluster.topics.create([TICKS])
    known = cluster.topics.look("t.ticks")
    cluster.clients.fake.fails = [KafkaError._TIMED_OUT, KafkaError._TRANSPORT, None]
    renewed = cluster.clients.renewed
    assert cluster.topics.look("t.ticks") == known
    assert cluster.clients.renewed == renewed + 2
    cluster.clients.fake.fails = [KafkaError.TOPIC_AUTHORIZATION_FAILED, None]
    with pytest.raises(LogError, match="does not allow this"):
        cluster.topics.look("t.ticks")
