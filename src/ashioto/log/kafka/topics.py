"""The topics of a cluster: what each is declared as, made, changed and deleted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar

from confluent_kafka import KafkaException, TopicCollection
from confluent_kafka.admin._config import AlterConfigOpType, ConfigEntry, ConfigResource
from confluent_kafka.admin._resource import ResourceType
from confluent_kafka.cimpl import NewTopic

from ashioto.errors import LogBusyError, LogError, SchemaError, UnknownTopicError
from ashioto.log.base import TopicSpec
from ashioto.log.changes import check_alter, same_spec
from ashioto.log.kafka.declared import Columns, columns_of, declared
from ashioto.log.kafka.errors import UNKNOWN_TOPIC, UNREACHED
from ashioto.log.kafka.known import Known
from ashioto.log.leases import CLOCK, FENCES
from ashioto.log.records import check_same, check_spec, unknown_topic
from ashioto.schema.avro import subject

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import pyarrow as pa
    from confluent_kafka.admin import AdminClient

    from ashioto.clock import Clock
    from ashioto.log.kafka.client import Clients
    from ashioto.schema.registry import SchemaRegistry

_Answer = TypeVar("_Answer")
_ATTEMPT_S: Final = 2.0
_RETRY_S: Final = 0.1
_LONGEST_RETRY_S: Final = 1.0
_NO_LIMIT: Final = 2**63 - 1
_MARKER_AHEAD_MS: Final = 60_000
_COMPACTION_LAG_MS: Final = 3_600_000
_SEGMENT_BYTES: Final = 67_108_864
_LOOK_S: Final = 0.02
_EXISTS: Final = "TOPIC_ALREADY_EXISTS"


@dataclass(frozen=True, slots=True, kw_only=True)
class Topic:
    """Holds a topic of a cluster.

    Args:
        spec: How it was declared.
        real: What it is called on the cluster.
        id: Tells it from one of the same name that was deleted; letters that a file name may have.
        avro: The schema in which values are written.
        schema_id: Its number in the registry.
        columns: What its fields hold.
        max_bytes: The largest record that it takes.
        ahead_ms: How far ahead of the clock a record may be dated.
        deletes_kept_ms: How long deletions of keys are kept at least.
        drift: Which settings are not what a topic that is declared so gets, for people.
    """

    spec: TopicSpec
    real: str
    id: str
    avro: Mapping[str, object]
    schema_id: int
    columns: Columns
    max_bytes: int
    ahead_ms: int
    deletes_kept_ms: int
    drift: tuple[str, ...] = ()


class Topics:
    """Knows the topics of a cluster; one that is changed elsewhere is noticed after some seconds.

    Args:
        clients: Of the cluster.
        registry: Keeps the schemas of the values.
        clock: Says how long ago a topic was looked at.
    """

    def __init__(self, clients: Clients, registry: SchemaRegistry, clock: Clock) -> None:
        self._clients, self._registry, self._clock = clients, registry, clock
        self._options = clients.options
        self._known = Known(self._asked, clock, self._options.topic_ttl_s)

    def find(self, name: str) -> Topic:
        """Return a topic as it is, or was a few seconds ago; or as it is known, while nobody answers.

        Raises:
            UnknownTopicError: It does not exist.
            RegistryError: It was not known before, and the registry does not answer.
        """
        return self._known.get(name)

    def look(self, name: str) -> Topic:
        """Return a topic as it is; or as it is known, while nobody answers.

        Raises:
            UnknownTopicError: It does not exist.
            RegistryError: It was not known before, and the registry does not answer.
        """
        return self._known.get(name, anew=True)

    def forget(self, name: str) -> None:
        """Look a topic up anew next time."""
        self._known.forget(name)

    def names(self) -> list[str]:
        """Return the names of all topics that have a schema, sorted; those of the log's own are not among them."""
        prefix, schemas = self._options.prefix, set(self._registry.subjects())
        with self._clients.errors():
            admin = self._clients.admin  # kept until it has answered
            listed = admin.list_topics(timeout=self._options.request_timeout_s).topics
        found = [real for real in listed if real.startswith(prefix) and subject(real) in schemas]
        return sorted({real[len(prefix) :] for real in found} - {CLOCK, FENCES})

    def create(self, specs: Sequence[TopicSpec]) -> list[str]:
        """Create the topics that do not exist yet and return their names.

        Raises:
            LogError: A topic exists with another number of partitions, cleanup or schema, or the cluster or the
                registry refuses a declaration; then nothing was made.
        """
        new: dict[str, TopicSpec] = {}
        for spec in specs:
            check_spec(spec)
            known = None if spec.name in new else self._found(spec.name)
            if known is None:
                check_same(new.setdefault(spec.name, spec), spec)
            else:
                check_same(known.spec, spec)
        if new:
            self._make(new)
        return list(new)

    def alter(self, spec: TopicSpec) -> None:
        """Change the columns or the retention of a topic that exists.

        Raises:
            UnknownTopicError: It was never created.
            LogError: Partitions or cleanup differ, or a column would change its type; nothing was changed.
        """
        known = self._known.ask(spec.name)
        check_alter(known.spec, spec)
        if same_spec(known.spec, spec) and not known.drift:
            return
        avro = declared(spec.schema, spec.name, known.columns)
        self._check_schema(spec.name, avro)
        settings = declared_settings(spec)
        self._set(known, settings, validate_only=True)
        self._registry.register(subject(known.real), avro)
        self._set(known, settings, validate_only=False)
        self._known.ask(spec.name)

    def check(self, spec: TopicSpec, known: Topic | None) -> None:
        """Ask the cluster whether a topic would be made as declared, or changed; it is not.

        Args:
            spec: As it shall be.
            known: As it is; None where it does not exist.

        Raises:
            LogError: It would be refused; `ids` has the code of the answer.
        """
        if known is None:
            self._submit([self._new(spec)], validate_only=True)
        else:
            self._set(known, declared_settings(spec), validate_only=True)

    def delete(self, names: Sequence[str]) -> None:
        """Delete topics with their schemas, and wait until they are gone; those that do not exist are left out."""
        real = {self._real(name): name for name in names}
        there = [name for name in real if self._described(name) is not None]
        if there:
            with self._clients.errors():
                admin = self._clients.admin  # kept until it has answered
                made = admin.delete_topics(there, operation_timeout=self._options.request_timeout_s)
            for name, future in made.items():
                self._settle(future, real[name])
        for name in there:
            self._await(name, present=False)
        for name, plain in real.items():
            self._registry.delete(subject(name))
            self.forget(plain)

    def _make(self, new: dict[str, TopicSpec]) -> None:
        """Make topics: all is asked for and nothing made first, then the schemas, then the topics."""
        made = [self._new(spec) for spec in new.values()]
        self._submit(made, validate_only=True)
        schemas = {name: self._new_schema(spec) for name, spec in new.items()}
        for name, avro in schemas.items():
            self._registry.register(subject(self._real(name)), avro)
        self._submit(made, validate_only=False)
        for name in new:
            self._await(self._real(name), present=True)
            self.await_known(name)

    def leftover(self, spec: TopicSpec) -> str | None:
        """Return the subject that a new topic would have where it holds other columns; None where it does not.

        Where one registry serves several clusters, the topic may be on another one.
        """
        return subject(self._real(spec.name)) if self._schema(spec) is None else None

    def _new_schema(self, spec: TopicSpec) -> Mapping[str, object]:
        avro = self._schema(spec)
        if avro is None:
            left = subject(self._real(spec.name))
            raise LogError(
                f"the registry has other columns under {left} than the new topic {spec.name} is declared with",
                hint="use another prefix if they belong to another cluster; else delete that subject",
                topic=spec.name,
                subject=left,
            )
        return avro

    def _schema(self, spec: TopicSpec) -> Mapping[str, object] | None:
        """Return the schema to register for a new topic, or None where its subject holds other columns."""
        made = declared(spec.schema, spec.name)
        known = self._registry.latest(subject(self._real(spec.name)))
        if known is None:
            return made
        try:
            made = declared(spec.schema, spec.name, columns_of(known.schema))
        except SchemaError:
            return None
        return made if dict(known.schema) == made else None

    def _check_schema(self, name: str, avro: Mapping[str, object]) -> None:
        if reasons := self._registry.incompatible(subject(self._real(name)), avro):
            raise LogError(
                f"the registry refuses the new columns of {name}: {'; '.join(reasons)}",
                hint="keep the columns as they are, or write to a new topic",
                topic=name,
            )

    def _new(self, spec: TopicSpec) -> NewTopic:
        return NewTopic(
            self._real(spec.name), spec.partitions, self._options.replication, config=declared_settings(spec)
        )

    def _submit(self, made: list[NewTopic], *, validate_only: bool) -> None:
        timeout = self._options.request_timeout_s
        with self._clients.errors():
            admin = self._clients.admin  # kept until it has answered
            asked = admin.create_topics(
                made, operation_timeout=timeout, request_timeout=timeout, validate_only=validate_only
            )
        for real, future in asked.items():
            with self._clients.errors(real[len(self._options.prefix) :]):
                future.result()

    def _set(self, topic: Topic, settings: dict[str, str], *, validate_only: bool) -> None:
        entries = [ConfigEntry(k, v, incremental_operation=AlterConfigOpType.SET) for k, v in settings.items()]
        resource = ConfigResource(ResourceType.TOPIC, topic.real, incremental_configs=entries)
        with self._clients.errors(topic.spec.name):
            admin = self._clients.admin  # kept until it has answered
            asked = admin.incremental_alter_configs([resource], validate_only=validate_only)
            for future in asked.values():
                future.result()

    def _settle(self, future: Any, name: str) -> None:
        """Wait for a deletion; somebody else may have been quicker."""
        with self._clients.errors(name):
            try:
                future.result()
            except KafkaException as error:
                if error.args[0].code() not in UNKNOWN_TOPIC:
                    raise

    def _await(self, real: str, *, present: bool) -> None:
        """Wait until the whole cluster knows that a topic is there with its leaders, or gone."""
        until = self._clock.monotonic() + self._options.request_timeout_s
        while True:
            found = self._described(real)
            if present == (found is not None) and all(part.leader is not None for part in _partitions(found)):
                return
            if self._clock.monotonic() > until:
                what = "has no leaders yet" if present else "is not gone yet"
                raise LogBusyError(f"the topic {real} {what}", hint="check the brokers, then try again", topic=real)
            self._clock.sleep(_LOOK_S)

    def await_known(self, name: str) -> Topic:
        """Return a topic that is there, once no broker that is asked has yet to hear of it.

        Raises:
            UnknownTopicError: None has heard of it for as long as any request may take.
        """
        until = self._clock.monotonic() + self._options.request_timeout_s
        while True:
            try:
                return self._known.ask(name)
            except UnknownTopicError:
                if self._clock.monotonic() > until:
                    raise
            self._clock.sleep(_LOOK_S)

    def _asked(self, name: str) -> Topic:
        found = self._found(name)
        if found is None:
            raise unknown_topic(name)
        return found

    def _found(self, name: str) -> Topic | None:
        real = self._real(name)
        described = self._described(real)
        if described is None:
            return None
        known = self._registry.latest(subject(real))
        if known is None:
            raise LogError(
                f"the topic {name} has no schema in the registry, so its records cannot be read",
                hint=f"register one as {subject(real)}, or delete the topic",
                topic=name,
            )
        settings = self._settings(name, real)
        columns = columns_of(known.schema)
        spec = _spec(name, len(described.partitions), settings, columns.schema)
        return Topic(
            spec=spec,
            real=real,
            id=str(described.topic_id).replace("/", "_").replace("+", "-"),
            avro=known.schema,
            schema_id=known.id,
            columns=columns,
            max_bytes=int(settings["max.message.bytes"]),
            ahead_ms=int(settings.get("message.timestamp.after.max.ms", _NO_LIMIT)),
            deletes_kept_ms=int(settings["delete.retention.ms"]),
            drift=drift(spec, settings),
        )

    def _described(self, real: str) -> Any | None:
        def ask(admin: AdminClient, timeout_s: float) -> Any | None:
            asked = admin.describe_topics(TopicCollection([real]), request_timeout=timeout_s)
            try:
                return asked[real].result()
            except KafkaException as error:
                if error.args[0].code() not in UNKNOWN_TOPIC:
                    raise
                return None

        found = self._told(ask, real)
        self._clients.admin.poll(0)  # what was said before the answer counts no more
        self._clients.trouble.answered()
        return found

    def _settings(self, name: str, real: str) -> dict[str, str]:
        resource = ConfigResource(ResourceType.TOPIC, real)

        def ask(admin: AdminClient, timeout_s: float) -> dict[str, Any]:
            found: dict[str, Any] = admin.describe_configs([resource], request_timeout=timeout_s)[resource].result()
            return found

        return {key: entry.value for key, entry in self._told(ask, name).items()}

    def _told(self, ask: Callable[[AdminClient, float], _Answer], name: str) -> _Answer:
        """Return the answer to a question that changes nothing, which may be asked several times.

        A client whose controller is gone waits for it without ever sleeping, and a new one finds another.

        Args:
            ask: Asks a client, and waits so many seconds.
            name: What it is about.
        """
        until = self._clock.monotonic() + self._options.request_timeout_s
        attempt_s, retry_s = _ATTEMPT_S, _RETRY_S
        with self._clients.errors(name):
            while True:
                admin = self._clients.admin  # kept until it has answered
                try:
                    return ask(admin, attempt_s)
                except KafkaException as error:
                    left_s = until - self._clock.monotonic()
                    if error.args[0].code() not in UNREACHED or left_s <= 0:
                        raise
                admin.poll(0)  # what it was refused for is only told to who asks
                self._clients.renew()
                self._clock.sleep(retry_s)
                attempt_s = min(2 * attempt_s, max(left_s, _ATTEMPT_S))
                retry_s = min(2 * retry_s, _LONGEST_RETRY_S)

    def _real(self, name: str) -> str:
        return self._options.prefix + name


def ensure(topics: Topics, spec: TopicSpec, *along: TopicSpec) -> Topic:
    """Return a topic of the log's own, which is created when it is first needed.

    Args:
        topics: Of the cluster.
        spec: What it is.
        along: What is created with it.
    """
    try:
        return topics.find(spec.name)
    except UnknownTopicError:
        try:
            topics.create([spec, *along])
        except LogError as error:  # somebody else may have been quicker
            if error.ids.get("code") != _EXISTS:
                raise
        return topics.await_known(spec.name)


def _partitions(described: Any | None) -> list[Any]:
    return [] if described is None else described.partitions


def _retention(spec: TopicSpec) -> int:
    return -1 if spec.retention_ms is None else spec.retention_ms


def drift(spec: TopicSpec, settings: Mapping[str, str]) -> tuple[str, ...]:
    """Return which settings of a topic are not what one that is declared so gets.

    Args:
        spec: How it is declared.
        settings: What it has; settings that nobody declares may be as they like.

    >>> spec = TopicSpec(name="t", cleanup="compact", schema=None)
    >>> drift(spec, declared_settings(spec) | {"min.compaction.lag.ms": "0", "flush.ms": "5"})
    ('min.compaction.lag.ms is 0, not 3600000',)
    """
    wanted = declared_settings(spec)
    return tuple(f"{n} is {settings.get(n)}, not {value}" for n, value in wanted.items() if settings.get(n) != value)


def declared_settings(spec: TopicSpec) -> dict[str, str]:
    """Return the settings of a new topic; only heartbeats must not be ahead of the clock, schedules are by nature."""
    ahead = _MARKER_AHEAD_MS if spec.name.endswith("_hb") else _NO_LIMIT
    made = {
        "cleanup.policy": spec.cleanup,
        "retention.ms": str(_retention(spec)),
        "message.timestamp.type": "LogAppendTime" if spec.name == CLOCK else "CreateTime",
        "message.timestamp.after.max.ms": str(ahead),
        "message.timestamp.before.max.ms": str(_NO_LIMIT),
    }
    if spec.cleanup == "compact":  # times of records say when something happened: rolled by them, segments never end
        made |= {
            "min.compaction.lag.ms": str(_COMPACTION_LAG_MS),
            "segment.ms": str(_NO_LIMIT),
            "segment.bytes": str(_SEGMENT_BYTES),
        }
    return made


def _spec(name: str, partitions: int, settings: Mapping[str, str], schema: pa.Schema) -> TopicSpec:
    cleanup: Literal["delete", "compact"] = "compact" if "compact" in settings["cleanup.policy"] else "delete"
    kept = int(settings["retention.ms"])
    return TopicSpec(
        name=name, partitions=partitions, cleanup=cleanup, schema=schema, retention_ms=None if kept < 0 else kept
    )
