"""A cluster in memory: just so much of one as knows its topics, and loses what is written when told to."""

from __future__ import annotations

from concurrent.futures import Future
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, TypeVar, cast

import httpx
from confluent_kafka import KafkaError, KafkaException, TopicPartition
from tests.support_registry import MemoryRegistry

from ashioto.clock import ManualClock, SystemClock
from ashioto.log.kafka.client import Clients
from ashioto.log.kafka.options import KafkaOptions
from ashioto.log.kafka.topics import Topics
from ashioto.schema.registry import SchemaRegistry

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from confluent_kafka import Consumer
    from confluent_kafka.admin import AdminClient

    from ashioto.log.kafka.producer import ColumnProducer

_Said = TypeVar("_Said")
BROKER = {"max.message.bytes": "1048576", "delete.retention.ms": "86400000", "retention.ms": "604800000"}


def answered(value: Any, code: int | None = None) -> Future[Any]:
    """Return an answer, or a refusal."""
    future: Future[Any] = Future()
    if code is None:
        future.set_result(value)
    else:
        future.set_exception(KafkaException(KafkaError(code)))
    return future


class FakeAdmin:
    """Answers as the administering client does; `before_create` hears whether topics are only to be checked."""

    def __init__(self) -> None:
        self.topics: dict[str, tuple[int, dict[str, str]]] = {}
        self.made = 0
        self.before_create: Callable[[bool], None] = lambda _: None
        self.on_poll: Callable[[], None] = lambda: None
        self.fails: list[int | None] = [None]
        """The codes of the next answers about topics; the last one stays."""

    def poll(self, _: float) -> None:
        self.on_poll()

    def describe_topics(self, wanted: Any, **_: Any) -> dict[str, Future[Any]]:
        (name,) = wanted.topic_names
        fails = _next(self.fails)
        if fails is not None:
            return {name: answered(None, fails)}
        if name not in self.topics:
            return {name: answered(None, KafkaError.UNKNOWN_TOPIC_OR_PART)}
        number, partitions = self.topics[name][0], int(self.topics[name][1]["partitions"])
        parts = [SimpleNamespace(leader=1)] * partitions
        return {name: answered(SimpleNamespace(partitions=parts, topic_id=f"id{number}"))}

    def describe_configs(self, wanted: Any, **_: Any) -> dict[Any, Future[Any]]:
        (resource,) = wanted
        settings = self.topics[resource.name][1]
        return {resource: answered({name: SimpleNamespace(value=value) for name, value in settings.items()})}

    def create_topics(self, wanted: Any, *, validate_only: bool, **_: Any) -> dict[str, Future[Any]]:
        self.before_create(validate_only)
        return {one.topic: self._created(one, validate_only=validate_only) for one in wanted}

    def _created(self, one: Any, *, validate_only: bool) -> Future[Any]:
        if one.topic in self.topics:
            return answered(None, KafkaError.TOPIC_ALREADY_EXISTS)
        if not validate_only:
            self.made += 1
            self.topics[one.topic] = (self.made, BROKER | one.config | {"partitions": str(one.num_partitions)})
        return answered(None)

    def delete_topics(self, wanted: Sequence[str], **_: Any) -> dict[str, Future[Any]]:
        return {name: answered(self.topics.pop(name)) for name in wanted}


class FakeAsker:
    """Answers as a consumer that is asked for offsets does; `on_ask` hears how long an answer may take."""

    def __init__(self) -> None:
        self.offsets: list[int | KafkaError] = []
        self.on_ask: Callable[[float], None] = lambda _: None
        self.topic: list[KafkaError | None] = [None]
        """What is wrong with each topic, as the brokers say; the last one stays."""
        self.away = False

    def offsets_for_times(self, wanted: Sequence[TopicPartition], *, timeout: float) -> list[TopicPartition]:
        """Answer with the next of `offsets`; the last one stays."""
        self.on_ask(timeout)
        said = _next(self.offsets)
        if isinstance(said, KafkaError):
            raise KafkaException(said)
        return [TopicPartition(one.topic, one.partition, said) for one in wanted]

    def list_topics(self, topic: str, *, timeout: float) -> Any:
        """Say what is wrong with a topic, or nothing while all brokers are away."""
        assert timeout > 0
        if self.away:
            raise KafkaException(KafkaError(KafkaError._TRANSPORT))
        return SimpleNamespace(topics={topic: SimpleNamespace(error=_next(self.topic))})

    def poll(self, _: float) -> None:
        """Have nothing to tell."""


def _next(found: list[_Said]) -> _Said:
    return found.pop(0) if len(found) > 1 else found[0]


class FakeClients(Clients):
    """Clients of a cluster in memory; `producers` are handed out in turn."""

    def __init__(self, folder: Path, **options: Any) -> None:
        own: dict[str, Any] = {"prefix": "w.", "request_timeout_s": 1.0, "topic_ttl_s": 0.0} | options
        super().__init__(KafkaOptions(bootstrap="kafka:9092", registry="http://registry", cache=folder, **own))
        self.fake, self.fake_asker = FakeAdmin(), FakeAsker()
        self.producers: list[Any] = []
        self.renewed = 0

    def renew(self) -> None:
        """Count how often that was wanted."""
        self.renewed += 1

    @property
    def admin(self) -> AdminClient:
        """The client that administers."""
        return cast("AdminClient", self.fake)

    def asker(self, *, committed: bool) -> Consumer:
        """Return the consumer that is asked where partitions begin and end."""
        del committed
        return cast("Consumer", self.fake_asker)

    def producer(self, transactional_id: str | None = None) -> ColumnProducer:
        """Return the next producer; the last one is handed out for ever."""
        del transactional_id
        return cast("ColumnProducer", self.producers.pop(0) if len(self.producers) > 1 else self.producers[0])


class Flaky(httpx.BaseTransport):
    """Carries requests to a registry unless `instead` says what becomes of them."""

    def __init__(self, inner: httpx.BaseTransport) -> None:
        self.inner = inner
        self.instead: Callable[[], httpx.Response] | None = None

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        return self.inner.handle_request(request) if self.instead is None else self.instead()

    def close(self) -> None:
        self.inner.close()


def refused() -> httpx.Response:
    """Be a registry that is not there."""
    raise httpx.ConnectError("connection refused")


def overloaded() -> httpx.Response:
    """Be a registry whose own store is away."""
    return httpx.Response(503, json={"error_code": 50301, "message": "leader not known"})


class Cluster:
    """Holds what topics of a cluster in memory are known by."""

    def __init__(self, folder: Path, *, memory: MemoryRegistry | None = None, **options: Any) -> None:
        self.clients = FakeClients(folder, **options)
        self.memory = MemoryRegistry() if memory is None else memory
        self.transport = Flaky(self.memory)
        self.registry = SchemaRegistry("http://registry", transport=self.transport, clock=ManualClock())
        self.topics = Topics(self.clients, self.registry, SystemClock())
