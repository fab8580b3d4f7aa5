"""Waits until a broker answers, and wakes what it would otherwise wake at the first use."""

from __future__ import annotations

import socket
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_STEP_S: Final = 0.02
_TRY_S: Final = 30.0
_NAME: Final = "stack.warm-up"
_QUIET: Final = {"log_level": 0, "reconnect.backoff.ms": 20, "reconnect.backoff.max.ms": 100}


def wait_until(condition: Callable[[], bool], *, timeout_s: float) -> bool:
    """Return whether a condition became true in time.

    >>> wait_until(lambda: True, timeout_s=1)
    True
    """
    end = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(_STEP_S)
    return True


def listens(host: str, port: int) -> bool:
    """Return whether something takes connections at a port.

    >>> listens("127.0.0.1", 1)
    False
    """
    try:
        with socket.create_connection((host, port), timeout=1):
            return True
    except OSError:
        return False


def answers(config: Mapping[str, str], *, brokers: int) -> bool:
    """Return whether a cluster answers and knows all its brokers.

    Args:
        config: How a client reaches it.
        brokers: How many there are.
    """
    from confluent_kafka import KafkaException
    from confluent_kafka.admin import AdminClient

    client = AdminClient({**config, **_QUIET})
    try:
        return len(client.list_topics(timeout=5).brokers) >= brokers
    except KafkaException:
        return False


def warm_up(config: Mapping[str, str], *, timeout_s: float) -> bool:
    """Start the coordinators of transactions and of groups; returns whether they were ready in time.

    Args:
        config: How a client reaches the cluster, as a user who may do everything.
        timeout_s: How long to wait for them.
    """
    with ThreadPoolExecutor() as pool:  # one that is found just after a crash may say no at first
        groups = pool.submit(wait_until, lambda: _warm_up_groups(config, _TRY_S), timeout_s=timeout_s)
        return wait_until(lambda: _warm_up_transactions(config, _TRY_S), timeout_s=timeout_s) and groups.result()


def _warm_up_transactions(config: Mapping[str, str], timeout_s: float) -> bool:
    from confluent_kafka import KafkaException, Producer

    try:
        Producer({**config, **_QUIET, "transactional.id": _NAME}).init_transactions(timeout_s)
    except KafkaException:
        return False
    return True


def _warm_up_groups(config: Mapping[str, str], timeout_s: float) -> bool:
    from confluent_kafka import Consumer, KafkaException, TopicPartition

    consumer = Consumer({**config, **_QUIET, "group.id": _NAME})
    try:
        consumer.committed([TopicPartition(_NAME, 0)], timeout=timeout_s)
    except KafkaException:
        return False
    finally:
        consumer.close()
    return True
