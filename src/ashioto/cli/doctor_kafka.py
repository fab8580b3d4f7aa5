"""What `rc doctor` finds of Kafka and its registry: whether they answer, versions, clocks, schemas, rights."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ashioto.cli.doctor_finding import Finding, denied
from ashioto.errors import ConfigError, LogError, UnknownTopicError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from ashioto.cli.project import Project
    from ashioto.config import Config
    from ashioto.deploy.acls import Role
    from ashioto.log.kafka import KafkaLog

CLOCKS_MS: Final = 1_000
"""So far apart clocks may be without a word."""
CLOCKS_BAD_MS: Final = 5_000
"""Farther apart than this, heartbeats stop: they go by the machine's clock."""
COMPATIBLE: Final = frozenset({"BACKWARD_TRANSITIVE", "FULL_TRANSITIVE"})
"""Under these every record that was ever written stays readable."""


def kafka_findings(project: Project, roles: Sequence[Role] = ()) -> list[Finding]:
    """Return how Kafka and the registry are; after an error, nothing further is asked of them.

    Args:
        project: A project whose log is on Kafka.
        roles: What this user plays; without, it is told which roles it could.
    """
    from ashioto.cli.doctor_rights import rights_findings
    from ashioto.cli.infra_acls import kafka_of, place_of
    from ashioto.deploy.acls import ROLES, rights

    log, config = kafka_of(project), project.config
    found = [Finding(state="ok", check=n, detail=v) for n, v in log.checkup.libraries().items()]
    found += [*_security(config), *_registry_security(config), *_asked("kafka", lambda: _cluster(log, config))]
    found += _asked("schema registry", lambda: _registry(log, project))
    if any(finding.state == "error" for finding in found):
        return found
    needs = {role: rights(project.contexts, place_of(config), roles=[role]) for role in roles or ROLES}
    found += _asked("broker's clock", lambda: _clocks(log, named=bool(roles)))
    return found + _asked("rights", lambda: rights_findings(log, project.contexts, needs, named=bool(roles)))


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
        yield _bare_password("security", detail, 'security_protocol = "SASL_SSL"')
    else:
        yield Finding(state="ok", check="security", detail=detail)


def _registry_security(config: Config) -> Iterator[Finding]:
    registry = config.schema_registry
    if registry.user and registry.url.startswith("http://"):
        yield _bare_password("registry's security", f"{registry.url}, as {registry.user}", 'url = "https://..."')


def _bare_password(check: str, detail: str, hint: str) -> Finding:
    said = f"{detail}: the password goes over the network as it is"
    return Finding(state="warning", check=check, detail=said, hint=hint)


def _cluster(log: KafkaLog, config: Config) -> Iterator[Finding]:
    from ashioto.log.kafka.options import OLDEST_BROKER

    cluster = log.checkup.cluster()
    detail = f"cluster {cluster.id}, {len(cluster.brokers)} brokers: {', '.join(cluster.brokers)}"
    if config.log.replication > len(cluster.brokers):
        yield Finding(
            state="error", check="kafka", detail=f"{detail}; log.replication asks {config.log.replication} copies",
            hint="fewer copies, or more brokers",
        )  # fmt: skip
    else:
        yield Finding(state="ok", check="kafka", detail=detail)
    known = f"speak {cluster.protocol} with each other" if cluster.protocol else "their version cannot be asked"
    yield Finding(state="ok", check="brokers", detail=f"{known}; {OLDEST_BROKER} or newer is needed")


def _registry(log: KafkaLog, project: Project) -> Iterator[Finding]:
    from ashioto.deploy.bootstrap import wanted_topics

    wanted, there = wanted_topics(project.contexts, in_sql=project.in_sql), log.checkup.declared()
    known = [spec.name for spec in wanted if log.options.prefix + spec.name in there]
    detail = f"{project.config.schema_registry.url}: schemas of {len(known)} of {len(wanted)} topics"
    yield Finding(state="ok", check="schema registry", detail=detail)
    for name in known:
        level = log.checkup.compatibility(name)
        if level is not None and level not in COMPATIBLE:
            yield Finding(
                state="warning", check=name, hint="set it to BACKWARD_TRANSITIVE in the registry",
                detail=f"its schemas are {level}: a change may make older records unreadable",
            )  # fmt: skip


def _clocks(log: KafkaLog, *, named: bool) -> Iterator[Finding]:
    check = "broker's clock"
    try:
        ahead = log.checkup.clock_offset_ms()
    except UnknownTopicError:
        detail = "is not known: the topic that it is asked by is not made yet"
        yield Finding(state="warning", check=check, detail=detail, hint="rc infra apply")
        return
    except LogError as error:
        yield _unknown_clock(check, error, named=named)
        return
    detail = f"{abs(ahead):,} ms {'ahead of' if ahead > 0 else 'behind'} this machine's"
    hint = "synchronise the clocks (NTP)"
    if abs(ahead) > CLOCKS_MS:
        yield Finding(state="error" if abs(ahead) > CLOCKS_BAD_MS else "warning", check=check, detail=detail, hint=hint)
    else:
        yield Finding(state="ok", check=check, detail=detail)


def _unknown_clock(check: str, error: LogError, *, named: bool) -> Finding:
    if not denied(error):
        return Finding(state="warning", check=check, detail=f"is not known: {error.message}", hint=error.hint)
    hint = "roles infra, hb and engine may, see rc infra acls"
    detail = "is not known: this user may not ask for it"
    return Finding(state="ok" if named else "warning", check=check, detail=detail, hint=hint)
