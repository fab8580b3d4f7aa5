"""What runs goes on while the registry is away, whether it refuses, fails or says nothing; what is new waits for it."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import httpx
import pytest
from tests.contract.log_contract import STATE, TICKS, batch, xs_of
from tests.support_kafka_log import kafka_options
from tests.unit.log.kafka.fakes import Flaky, overloaded, refused

from ashioto.clock import SystemClock
from ashioto.errors import RegistryError
from ashioto.log.base import Fence
from ashioto.log.kafka import KafkaLog
from ashioto.log.leases import Holder, Lease
from ashioto.schema.registry import SchemaRegistry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

FENCE = Fence(name="hb", epoch=7)
RELEASE = threading.Event()
CLOCK = SystemClock()
SILENCE_S = 30.0


def silent() -> httpx.Response:
    """Be a registry that takes connections and says nothing."""
    RELEASE.wait(SILENCE_S)
    message = "timed out"
    raise httpx.ReadTimeout(message)


@pytest.fixture
def transport() -> Flaky:
    return Flaky(httpx.HTTPTransport())


@pytest.fixture
def log(kafka: str, registry: str, unique: str, tmp_path: Path, transport: Flaky) -> Iterator[KafkaLog]:
    options = kafka_options(kafka, registry, unique, tmp_path, topic_ttl_s=0.0)
    with KafkaLog(options, registry=SchemaRegistry(registry, transport=transport)) as log:
        log.create([TICKS, STATE])
        use(log, 0)
        yield log
        RELEASE.set()
    RELEASE.clear()


def use(log: KafkaLog, x: int) -> None:
    """Do what roles do all day."""
    lease = Lease(name="hb", epoch=7, holder=Holder(name="me"), expires_ms=x)
    assert log.change_lease("hb", lambda _: lease) == lease
    assert log.lease("hb") == lease
    log.append([batch("t.ticks", [("a", x)])])
    log.append([batch("t.ticks", [("b", x)]), batch("t.state", [("s", x)])], fence=FENCE)
    assert xs_of(log, "t.ticks")[-2:] == [x, x]
    assert log.view("t.state").data.to_pylist()[0]["x"] == x
    assert log.describe("t.ticks").spec == TICKS


@pytest.mark.parametrize("instead", [refused, overloaded, silent])
def test_what_runs_goes_on_without_the_registry(
    log: KafkaLog, transport: Flaky, instead: Callable[[], httpx.Response]
) -> None:
    transport.instead = instead
    longest = 0.0
    for x in (1, 2, 3):
        began = CLOCK.monotonic()
        use(log, x)
        longest = max(longest, CLOCK.monotonic() - began)
    assert longest < SILENCE_S / 2


def test_what_was_never_looked_at_waits_for_the_registry(
    log: KafkaLog, kafka: str, registry: str, unique: str, tmp_path: Path, transport: Flaky
) -> None:
    transport.instead = refused
    options = kafka_options(kafka, registry, unique, tmp_path / "other")
    with KafkaLog(options, registry=SchemaRegistry(registry, transport=transport)) as other:
        with pytest.raises(RegistryError, match="was not reached"):
            other.end_offsets("t.ticks")
        transport.instead = None
        assert other.end_offsets("t.ticks") == log.end_offsets("t.ticks")
