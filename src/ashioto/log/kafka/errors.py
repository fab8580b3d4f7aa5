"""Turns what Kafka's client reports into the errors of a log."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from confluent_kafka import KafkaError, KafkaException

from ashioto.clock import SystemClock
from ashioto.errors import LogBusyError, LogError, LogFullError
from ashioto.log.records import unknown_topic

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ashioto.clock import Clock

UNKNOWN_TOPIC: Final = {
    KafkaError.UNKNOWN_TOPIC_OR_PART,
    KafkaError._UNKNOWN_TOPIC,  # noqa: SLF001  # public, for all its name
    KafkaError._UNKNOWN_PARTITION,  # noqa: SLF001
    KafkaError.UNKNOWN_TOPIC_ID,
}
FENCED: Final = {
    KafkaError._FENCED,  # noqa: SLF001
    KafkaError.INVALID_PRODUCER_EPOCH,
    KafkaError.PRODUCER_FENCED,
}
DENIED: Final = {
    KafkaError.TOPIC_AUTHORIZATION_FAILED,
    KafkaError.GROUP_AUTHORIZATION_FAILED,
    KafkaError.CLUSTER_AUTHORIZATION_FAILED,
    KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
}
UNREACHED: Final = {
    KafkaError._ALL_BROKERS_DOWN,  # noqa: SLF001
    KafkaError._TRANSPORT,  # noqa: SLF001
    KafkaError._DESTROY_BROKER,  # noqa: SLF001  # it has left the cluster, or is not back in it yet
    KafkaError._RESOLVE,  # noqa: SLF001
    KafkaError._TIMED_OUT,  # noqa: SLF001
    KafkaError._TIMED_OUT_QUEUE,  # noqa: SLF001  # before it was sent
    KafkaError._MSG_TIMED_OUT,  # noqa: SLF001
    KafkaError._NOENT,  # noqa: SLF001  # no leader is known
    KafkaError.LEADER_NOT_AVAILABLE,
    KafkaError.COORDINATOR_NOT_AVAILABLE,
    KafkaError.REQUEST_TIMED_OUT,
    KafkaError.NETWORK_EXCEPTION,
}
MOVING: Final = {
    KafkaError.NOT_LEADER_FOR_PARTITION,
    KafkaError.FENCED_LEADER_EPOCH,
    KafkaError.UNKNOWN_LEADER_EPOCH,
    KafkaError.OFFSET_NOT_AVAILABLE,
}
"""A partition has another leader than the client knows, or one that is not ready."""
_LOGIN: Final = {
    KafkaError._AUTHENTICATION,  # noqa: SLF001
    KafkaError.SASL_AUTHENTICATION_FAILED,
    KafkaError._SSL,  # noqa: SLF001
}
_CUT_OFF: Final = {
    KafkaError._TRANSPORT,  # noqa: SLF001
    KafkaError._RESOLVE,  # noqa: SLF001
}
MAYBE_WRITTEN: Final = UNREACHED | {KafkaError.NOT_ENOUGH_REPLICAS_AFTER_APPEND}
"""Why a record did not arrive as far as is known: its request may have, or only the answer was lost."""
_SAID: Final[list[tuple[set[int], type[LogError], str, str]]] = [
    (_LOGIN, LogError, "does not let this client in", "check user, password and certificates"),
    (DENIED, LogError, "does not allow this", "`rc infra acls` shows the rights that each role needs"),
    (
        {KafkaError.NOT_ENOUGH_REPLICAS, KafkaError.NOT_ENOUGH_REPLICAS_AFTER_APPEND},
        LogBusyError, "has too few copies in step", "wait until its brokers are back",
    ),
    (UNREACHED, LogBusyError, "does not answer", "check that it runs and can be reached"),
    (MOVING, LogBusyError, "is looking for a new leader", "try again when its brokers have agreed"),
    (
        {KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.INVALID_MSG_SIZE},
        LogError, "takes no record as large as this", "raise max.message.bytes of the topic",
    ),
    ({KafkaError.KAFKA_STORAGE_ERROR}, LogFullError, "has a disk that failed or is full", "free disk space there"),
]  # fmt: skip
_OTHERWISE: Final[tuple[type[LogError], str, str]] = (LogError, "failed", "")


_REPEATED_S: Final = 30.0
"""After so long at the latest, librdkafka repeats an error that lasts."""


class Trouble:
    """Keeps why the cluster refuses the client, which no call reports: a wrong password looks like silence.

    A handshake can also fail because a broker goes away. So what is kept ends with the next answer, with a connection
    that fails for another reason, and after a while.

    Args:
        clock: Says how long ago something was said.
        kept_s: How long it counts, seconds: longer than librdkafka is silent about an error that lasts.
    """

    def __init__(self, clock: Clock | None = None, *, kept_s: float = _REPEATED_S + 5.0) -> None:
        self._clock, self._kept_s = SystemClock() if clock is None else clock, kept_s
        self._login: tuple[float, KafkaError] | None = None

    @property
    def login(self) -> KafkaError | None:
        """Why the client is not let in; None where it is, as far as is known."""
        said = self._login
        return said[1] if said is not None and self._clock.monotonic() - said[0] < self._kept_s else None

    def __call__(self, error: KafkaError) -> None:
        """Take note of what the client says while it works."""
        if error.code() in _LOGIN:
            self._login = self._clock.monotonic(), error
        elif error.code() in _CUT_OFF:
            self._login = None

    def answered(self) -> None:
        """Take note that the cluster has answered, so it lets the client in."""
        self._login = None


@contextmanager
def kafka_errors(bootstrap: str, *, topic: str = "", trouble: Trouble | None = None) -> Iterator[None]:
    """Raise errors of Kafka as those of a log.

    Args:
        bootstrap: The cluster, which the message names.
        topic: What the block works on, if it is one topic.
        trouble: What the client has said before.

    Raises:
        LogError: Always in place of a `KafkaException`.

    >>> with kafka_errors("kafka:9092", topic="trading.rate"):
    ...     raise KafkaException(KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED))
    Traceback (most recent call last):
    ...
    ashioto.errors.LogError: Kafka at kafka:9092 does not allow this on trading.rate: Broker: Topic authorization failed
    Hint: `rc infra acls` shows the rights that each role needs
    """
    try:
        yield
    except KafkaException as error:
        raise log_error(error.args[0], bootstrap, topic=topic, trouble=trouble) from error
    except SystemError as error:  # a missing right can come out of a flush like this
        if not isinstance(error.__cause__, KafkaException):
            raise
        raise log_error(error.__cause__.args[0], bootstrap, topic=topic, trouble=trouble) from error


def log_error(error: KafkaError, bootstrap: str, *, topic: str = "", trouble: Trouble | None = None) -> LogError:
    """Return the log's error for one of Kafka."""
    if trouble is not None and trouble.login is not None and error.code() in UNREACHED:
        error = trouble.login
    if error.code() in UNKNOWN_TOPIC and topic:
        return unknown_topic(topic)
    kind, what, hint = next(((k, w, h) for codes, k, w, h in _SAID if error.code() in codes), _OTHERWISE)
    where = f" on {topic}" if topic else ""
    return kind(
        f"Kafka at {bootstrap} {what}{where}: {error.str()}",
        hint=hint,
        topic=topic,
        code=error.name(),
        said=error.str(),
        denied=error.code() in DENIED,
    )
