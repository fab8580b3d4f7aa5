from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from ashioto.errors import StackError
from ashioto.testing.stack import Broker, Cluster, Registry
from ashioto.testing.stack.ready import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from confluent_kafka import Message

pytestmark = pytest.mark.usefixtures("java")


def make_topic(config: Mapping[str, str], name: str, *, copies: int = 1) -> None:
    client = AdminClient({**config})
    client.create_topics([NewTopic(name, num_partitions=1, replication_factor=copies)])[name].result(30)


def send(config: Mapping[str, str], topic: str, *values: str, transaction: str = "", commit: bool = True) -> None:
    options = {"transactional.id": transaction} if transaction else {}
    producer = Producer({**config, "acks": "all", **options})
    failed: list[KafkaError] = []

    def told(error: KafkaError | None, _: Message) -> None:
        if error is not None:
            failed.append(error)

    if transaction:
        producer.init_transactions(30)
        producer.begin_transaction()
    for value in values:
        producer.produce(topic, value.encode(), on_delivery=told)
    assert producer.flush(60) == 0
    if failed:
        raise KafkaException(failed[0])
    if transaction and commit:
        producer.commit_transaction(30)
    elif transaction:
        producer.abort_transaction(30)


def received(config: Mapping[str, str], topic: str, count: int) -> list[str]:
    consumer = Consumer({**config, "group.id": f"{topic}-readers", "auto.offset.reset": "earliest"})
    consumer.subscribe([topic])
    found: list[str] = []

    def enough() -> bool:
        message = consumer.poll(0.1)
        if message is not None:
            error = message.error()
            if error is not None:
                raise KafkaException(error)
            found.append((message.value() or b"").decode())
        return len(found) >= count

    try:
        assert wait_until(enough, timeout_s=60), found
    finally:
        consumer.close()
    return found


def test_a_transaction_is_read_once_it_is_committed(kafka: str, unique: str) -> None:
    config = {"bootstrap.servers": kafka}
    make_topic(config, unique)
    send(config, unique, "never", transaction=unique, commit=False)
    send(config, unique, "a", "b", transaction=unique)
    send(config, unique, "c")
    assert received(config, unique, 3) == ["a", "b", "c"]


def test_topics_are_never_made_by_using_them(kafka: str, unique: str) -> None:
    with pytest.raises(KafkaException) as refused:
        send({"bootstrap.servers": kafka, "topic.metadata.propagation.max.ms": "100"}, unique, "a")
    assert refused.value.args[0].code() in {KafkaError._UNKNOWN_TOPIC, KafkaError.UNKNOWN_TOPIC_OR_PART}
    assert unique not in AdminClient({"bootstrap.servers": kafka}).list_topics(timeout=30).topics


def test_the_registry_keeps_schemas_and_refuses_what_readers_cannot_read(registry: str, unique: str) -> None:
    def record(*fields: str) -> dict[str, str]:
        return {"schema": f'{{"type":"record","name":"R","fields":[{",".join(fields)}]}}'}

    one, two = '{"name":"a","type":"int"}', '{"name":"b","type":"int"}'
    with httpx.Client(base_url=registry, trust_env=False) as client:
        assert client.get("/config").json()["compatibilityLevel"] == "BACKWARD"
        made = client.post(f"/subjects/{unique}/versions", json=record(one))
        found = client.get(f"/schemas/ids/{made.json()['id']}")
        assert '"name":"a"' in found.json()["schema"].replace(" ", "")
        assert client.post(f"/subjects/{unique}/versions", json=record(one, two)).status_code == 409


def test_stopping_leaves_no_process_and_no_data() -> None:
    with Broker() as broker, Registry() as registry:
        pids = [broker.pid, registry.pid]
        folder = broker.folder
        assert broker.running
        assert "/.classes-" in Path(f"/proc/{broker.pid}/maps").read_text("utf-8")
        assert all(Path(f"/proc/{pid}").exists() for pid in pids)
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)
    assert not folder.exists()


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """A broker that only these tests use, with a setting of its own and its data in a folder of ours."""
    folder = tmp_path_factory.mktemp("own") / "broker"
    with Broker(settings={"message.max.bytes": "2000"}, folder=folder) as broker:
        yield broker
    assert (folder / "data" / "meta.properties").exists()


def test_given_settings_reach_the_broker(own: Broker, unique: str) -> None:
    make_topic(own.client_config(), unique)
    with pytest.raises(KafkaException) as refused:
        send(own.client_config(), unique, os.urandom(2_000).hex())
    assert refused.value.args[0].code() == KafkaError.MSG_SIZE_TOO_LARGE


def test_a_killed_broker_starts_again_with_its_data(own: Broker, unique: str) -> None:
    config = own.client_config()
    make_topic(config, unique)
    send(config, unique, "a", "b", transaction=unique)
    before = own.pid
    own.kill()
    assert not own.running
    with pytest.raises(KafkaException):
        AdminClient({**config}).list_topics(timeout=0.5)
    own.start()
    assert own.pid != before
    send(config, unique, "c", transaction=unique)
    assert received(config, unique, 3) == ["a", "b", "c"]


def test_a_paused_broker_answers_again_when_resumed(own: Broker) -> None:
    client = AdminClient({**own.client_config()})
    own.pause()
    with pytest.raises(KafkaException):
        client.list_topics(timeout=0.5)
    assert own.running
    own.resume()
    assert len(client.list_topics(timeout=60).brokers) == 1


def test_a_running_broker_is_not_started_twice(own: Broker) -> None:
    with pytest.raises(StackError, match="broker 1 runs already"):
        own.start()
    assert own.running


def test_a_broker_that_cannot_start_shows_why() -> None:
    broker = Broker(settings={"num.io.threads": "none"})
    with pytest.raises(StackError, match=r"num\.io\.threads") as failed:
        broker.start()
    assert failed.value.hint
    assert not broker.running


def test_three_nodes_survive_the_loss_of_the_leader(unique: str) -> None:
    with Cluster() as cluster:
        config = cluster.client_config()
        make_topic(config, unique, copies=3)
        send(config, unique, "a", "b", transaction=unique)
        lost = cluster.leader(unique)
        lost.kill()
        send(config, unique, "c", transaction=f"{unique}-2")
        assert cluster.leader(unique) is not lost
        assert received(config, unique, 3) == ["a", "b", "c"]


def test_a_user_may_do_only_what_an_acl_allows(unique: str) -> None:
    with Broker(secured=True, users={"app": "canary"}) as broker:
        make_topic(broker.client_config(), unique)
        send(broker.client_config(), unique, "by admin")
        with pytest.raises(KafkaException) as denied:
            send(broker.client_config("app"), unique, "by app")
        assert denied.value.args[0].code() == KafkaError.TOPIC_AUTHORIZATION_FAILED
        assert received(broker.client_config(), unique, 1) == ["by admin"]
        assert (broker.folder / "server.properties").stat().st_mode & 0o077 == 0
        with pytest.raises(KafkaException):
            AdminClient({**broker.client_config("app"), "sasl.password": "wrong"}).list_topics(timeout=3)
