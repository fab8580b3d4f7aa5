"""What `rc doctor` makes of a cluster and a registry that answer."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest

from ashioto.cli.doctor_kafka import _clocks, _cluster, _registry
from ashioto.errors import LogBusyError, LogError, UnknownTopicError
from ashioto.log.kafka.checkup import Checkup, Cluster

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ashioto.cli.doctor_finding import Finding
    from ashioto.cli.project import Project
    from ashioto.log.kafka import KafkaLog


@dataclass
class Answers:
    """Answers in place of a cluster and a registry."""

    protocol: str | None = None
    clock: int | LogError = 0
    level: str | None = "NONE"
    schemas: set[str] = field(default_factory=set)
    asked: list[str] = field(default_factory=list)

    def cluster(self) -> Cluster:
        """Return who answers."""
        return Cluster(id="abc", brokers=("one:9092", "two:9092"), protocol=self.protocol)

    def clock_offset_ms(self) -> int:
        """Return how far ahead it is."""
        if isinstance(self.clock, LogError):
            raise self.clock
        return self.clock

    def declared(self) -> set[str]:
        """Return the topics with schemas."""
        self.asked.append("declared")
        return self.schemas

    def compatibility(self, name: str) -> str | None:
        """Return what is asked of the schemas of a topic."""
        self.asked.append(name)
        return self.level

    @property
    def log(self) -> KafkaLog:
        """A log that they are of."""
        return cast("KafkaLog", SimpleNamespace(checkup=self, options=SimpleNamespace(prefix="w.")))


def said(found: Iterable[Finding]) -> list[tuple[str, str, str]]:
    return [(one.state, one.check, one.detail) for one in found]


def test_versions_of_brokers_are_told_where_they_tell_them(project: Project) -> None:
    told = said(_cluster(Answers(protocol="3.9-IV0").log, project.config))
    assert told == [
        ("ok", "kafka", "cluster abc, 2 brokers: one:9092, two:9092"),
        ("ok", "brokers", "speak 3.9-IV0 with each other; 3.6 or newer is needed"),
    ]
    assert "their version cannot be asked; 3.6 or newer" in said(_cluster(Answers().log, project.config))[1][2]


@pytest.mark.parametrize(
    ("clock", "named", "state", "detail"),
    [
        (40, False, "ok", "40 ms ahead of this machine's"),
        (-1_500, False, "warning", "1,500 ms behind this machine's"),
        (6_000, False, "error", "6,000 ms ahead of"),
        (UnknownTopicError("no rc.clock"), True, "warning", "is not made yet"),
        (LogError("no", denied=True), True, "ok", "this user may not ask for it"),
        (LogError("no", denied=True), False, "warning", "this user may not ask for it"),
        (LogBusyError("does not answer"), True, "warning", "is not known: does not answer"),
    ],
)
def test_clocks_are_compared_or_it_is_said_why_not(
    clock: int | LogError, *, named: bool, state: str, detail: str
) -> None:
    ((found, check, text),) = said(_clocks(Answers(clock=clock).log, named=named))
    assert (found, check) == (state, "broker's clock")
    assert detail in text


def test_only_schemas_of_this_project_count_and_they_are_asked_for_once(project: Project) -> None:
    answers = Answers(schemas={"w.trading.rate", "w.rc.dlq", "w.somebody.else", "trading.rate_late"})
    ok, *warnings = said(_registry(answers.log, project))
    assert ok[2].endswith(": schemas of 2 of 14 topics")
    assert warnings == [
        ("warning", name, "its schemas are NONE: a change may make older records unreadable")
        for name in ("rc.dlq", "trading.rate")
    ]
    assert answers.asked == ["declared", "rc.dlq", "trading.rate"]
    answers.level = "FULL_TRANSITIVE"
    assert len(said(_registry(answers.log, project))) == 1


def test_versions_of_the_client_are_told() -> None:
    assert all(version[0].isdigit() for version in Checkup.libraries().values())
