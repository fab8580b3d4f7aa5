"""What `rc doctor` finds of Kafka and its registry: whether they answer, clocks, schemas, rights."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ashioto.cli.doctor_finding import Finding
from ashioto.errors import ConfigError, LogError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from ashioto.cli.project import Project
    from ashioto.config import Config
    from ashioto.deploy.acls import Right
    from ashioto.log.kafka import KafkaLog

CLOCKS_MS: Final = 1_000
"""So far apart clocks may be without a word."""
CLOCKS_BAD_MS: Final = 5_000
"""Farther apart than this, heartbeats stop: they go by the machine's clock."""
COMPATIBLE: Final = frozenset({"BACKWARD_TRANSITIVE", "FULL_TRANSITIVE"})
"""Under these every record that was ever written stays readable."""
_SHOWN: Final = 3
_IMPLIED: Final[Mapping[str, tuple[str, ...]]] = {
    "DESCRIBE": ("ALTER", "DELETE", "READ", "WRITE"),
    "DESCRIBE_CONFIGS": ("ALTER_CONFIGS",),
}
"""What may also be done by who may do one of those."""


def kafka_findings(project: Project, roles: Sequence[str] = ()) -> list[Finding]:
    """Return how Kafka and the registry are; after an error, nothing further is asked of them.

    Args:
        project: A project whose log is on Kafka.
        roles: What this user plays; without, it is told which roles it could.

    Raises:
        UsageError: There is no such role.
    """
    from ashioto.cli.infra_acls import kafka_of, place_of
    from ashioto.deploy.acls import ROLES, rights

    log, config = kafka_of(project), project.config
    wanted = {r: rights(project.contexts, place_of(config), roles=[r]) for r in roles or ROLES}
    found = [Finding(state="ok", check=n, detail=v) for n, v in log.checkup.libraries().items()]
    found += [*_security(config), *_asked("kafka", lambda: _cluster(log, config))]
    found += _asked("schema registry", lambda: _registry(log, project))
    if any(finding.state == "error" for finding in found):
        return found
    found += _clocks(log)
    return found + _asked("rights", lambda: _rights(log, wanted, named=bool(roles)))


def _asked(check: str, ask: Callable[[], Iterator[Finding]]) -> list[Finding]:
    try:
        return list(ask())
    except (LogError, ConfigError) as error:
        return [Finding(state="error", check=check, detail=error.message, hint=error.hint)]


def _security(config: Config) -> Iterator[Finding]:
    kafka = config.kafka
    who = f", as {kafka.username} by {kafka.sasl_mechanism}" if kafka.username else ""
    detail = f"{kafka.security_protocol}{who}"
    if kafka.security_protocol == "SASL_PLAINTEXT" and kafka.sasl_mechanism == "PLAIN":
        yield Finding(
            state="warning", check="security", detail=f"{detail}: the password goes over the network as it is",
            hint='security_protocol = "SASL_SSL"',
        )  # fmt: skip
    else:
        yield Finding(state="ok", check="security", detail=detail)


def _cluster(log: KafkaLog, config: Config) -> Iterator[Finding]:
    cluster = log.checkup.cluster()
    detail = f"cluster {cluster.id}: {', '.join(cluster.brokers)}"
    if config.log.replication > len(cluster.brokers):
        yield Finding(
            state="error", check="kafka", detail=f"{detail}; log.replication asks {config.log.replication} copies",
            hint="fewer copies, or more brokers",
        )  # fmt: skip
    else:
        yield Finding(state="ok", check="kafka", detail=detail)


def _registry(log: KafkaLog, project: Project) -> Iterator[Finding]:
    from ashioto.deploy.bootstrap import wanted_topics

    yield Finding(
        state="ok", check="schema registry",
        detail=f"{project.config.schema_registry.url}: {len(log.checkup.declared())} topics of this project's prefix",
    )  # fmt: skip
    there = log.checkup.declared()
    for spec in wanted_topics(project.contexts):
        level = log.checkup.compatibility(spec.name) if log.options.prefix + spec.name in there else None
        if level is not None and level not in COMPATIBLE:
            yield Finding(
                state="warning", check=spec.name, hint="set it to BACKWARD_TRANSITIVE in the registry",
                detail=f"its schemas are {level}: a change may make older records unreadable",
            )  # fmt: skip


def _clocks(log: KafkaLog) -> Iterator[Finding]:
    check = "broker's clock"
    try:
        ahead = log.checkup.clock_offset_ms()
    except LogError as error:
        hint = "see rc infra acls --role infra"
        yield Finding(state="warning", check=check, detail=f"is not known: {error.message}", hint=hint)
        return
    detail = f"{abs(ahead):,} ms {'ahead of' if ahead > 0 else 'behind'} this machine's"
    hint = "synchronise the clocks (NTP)"
    if abs(ahead) > CLOCKS_MS:
        yield Finding(state="error" if abs(ahead) > CLOCKS_BAD_MS else "warning", check=check, detail=detail, hint=hint)
    else:
        yield Finding(state="ok", check=check, detail=detail)


def _rights(log: KafkaLog, wanted: Mapping[str, Sequence[Right]], *, named: bool) -> Iterator[Finding]:
    topics = {r.name for found in wanted.values() for r in found if r.kind == "topic" and r.pattern == "literal"}
    mine = log.grants.mine(sorted(topics))
    there, could = log.checkup.declared(), []
    for role, needed in wanted.items():
        missing = lacking(needed, mine, there=there)
        if not missing:
            could.append(role)
        elif named:
            more = f", and {len(missing) - _SHOWN} more" if len(missing) > _SHOWN else ""
            yield Finding(
                state="error", check=f"rights of {role}", detail=f"lacks {'; '.join(missing[:_SHOWN])}{more}",
                hint=f"rc infra acls --role {role} --principal User:... --apply",
            )  # fmt: skip
    if could:
        detail = f"this user has what these roles need on topics: {', '.join(could)}"
        yield Finding(state="ok", check="rights", detail=detail)
    elif not named:
        yield Finding(
            state="error", check="rights", detail="this user has the rights of no role",
            hint="rc infra acls shows what each needs",
        )  # fmt: skip


def lacking(needed: Sequence[Right], mine: Mapping[str, set[str]], *, there: set[str]) -> list[str]:
    """Return which rights on topics somebody has not.

    Args:
        needed: What a role needs.
        mine: What somebody may do with topics that it sees, by their names on the cluster.
        there: The topics that are known to exist; what exists and is not seen may not be touched.

    >>> from ashioto.deploy.acls import Right
    >>> right = Right(role="app", kind="topic", name="trading.rate", operation="WRITE")
    >>> lacking([right], {"trading.rate": {"READ"}}, there=set())
    ['WRITE on trading.rate']
    """
    found = []
    for right in needed:
        may = mine.get(right.name)
        if right.kind != "topic" or right.pattern != "literal" or (may is None and right.name not in there):
            continue
        held = may or set()
        if not held.intersection((right.operation, "ALL", *_IMPLIED.get(right.operation, ()))):
            found.append(f"{right.operation} on {right.name}")
    return found
