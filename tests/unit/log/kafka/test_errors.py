from __future__ import annotations

import pytest
from confluent_kafka import KafkaError, KafkaException

from ashioto.clock import ManualClock
from ashioto.errors import LogBusyError, LogError, LogFullError, UnknownTopicError
from ashioto.log.kafka.errors import Trouble, kafka_errors


@pytest.mark.parametrize(
    ("code", "kind", "said"),
    [
        (KafkaError.UNKNOWN_TOPIC_OR_PART, UnknownTopicError, "rc infra apply"),
        (KafkaError.CLUSTER_AUTHORIZATION_FAILED, LogError, "rc infra acls"),
        (KafkaError._ALL_BROKERS_DOWN, LogBusyError, "can be reached"),
        (KafkaError._DESTROY_BROKER, LogBusyError, "can be reached"),
        (KafkaError.OFFSET_NOT_AVAILABLE, LogBusyError, "have agreed"),
        (KafkaError.NOT_ENOUGH_REPLICAS, LogBusyError, "brokers are back"),
        (KafkaError.KAFKA_STORAGE_ERROR, LogFullError, "free disk space"),
        (KafkaError.MSG_SIZE_TOO_LARGE, LogError, "max.message.bytes"),
        (KafkaError._AUTHENTICATION, LogError, "password"),
        (KafkaError.POLICY_VIOLATION, LogError, "failed on t.ticks"),
    ],
)
def test_what_kafka_reports_becomes_an_error_of_a_log(code: int, kind: type[LogError], said: str) -> None:
    with pytest.raises(LogError) as caught, kafka_errors("kafka:9092", topic="t.ticks"):
        raise KafkaException(KafkaError(code))
    assert type(caught.value) is kind
    assert said in str(caught.value)


def test_a_wrong_password_is_named_where_the_cluster_only_seems_silent() -> None:
    trouble = Trouble()
    trouble(KafkaError(KafkaError._TRANSPORT))
    trouble(KafkaError(KafkaError._AUTHENTICATION, "Authentication failed"))
    with pytest.raises(LogError, match="does not let this client in") as caught, kafka_errors("k:1", trouble=trouble):
        raise KafkaException(KafkaError(KafkaError._TIMED_OUT))
    assert "password" in caught.value.hint


@pytest.mark.parametrize("what", ["answered", "cut off", "later"])
def test_a_handshake_that_failed_once_does_not_explain_later_silence(what: str) -> None:
    clock = ManualClock()
    trouble = Trouble(clock)
    trouble(KafkaError(KafkaError._SSL, "handshake failed"))
    clock.advance(30_000)
    trouble(KafkaError(KafkaError._ALL_BROKERS_DOWN))  # follows every failure, also of a login
    assert trouble.login is not None
    if what == "answered":
        trouble.answered()
    elif what == "cut off":
        trouble(KafkaError(KafkaError._TRANSPORT))
    else:
        clock.advance(10_000)
    with pytest.raises(LogBusyError, match="does not answer"), kafka_errors("k:1", trouble=trouble):
        raise KafkaException(KafkaError(KafkaError._TIMED_OUT))


def test_an_error_inside_another_is_found() -> None:
    inner = KafkaException(KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED))
    with pytest.raises(LogError, match="does not allow this"), kafka_errors("k:1"):
        raise SystemError("returned a result with an exception set") from inner


def test_other_errors_pass() -> None:
    with pytest.raises(SystemError, match="else"), kafka_errors("k:1"):
        raise SystemError("something else")
