"""What `rc doctor` finds of rights on Kafka: which roles this user could play, and what it lacks for others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ashioto.cli.doctor_finding import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from ashioto.deploy.acls import Right, Role
    from ashioto.dsl.context import Context
    from ashioto.log.kafka import KafkaLog

_SHOWN: Final = 3
_IMPLIED: Final[Mapping[str, tuple[str, ...]]] = {
    "DESCRIBE": ("ALTER", "DELETE", "READ", "WRITE"),
    "DESCRIBE_CONFIGS": ("ALTER_CONFIGS",),
}
"""What may also be done by who may do one of those."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """Says what the cluster has told of a user's rights on topics.

    Args:
        mine: What it may do with topics, by their names on the cluster; those that do not exist are left out.
        makes: Whether it may make topics, whether or not they exist.
    """

    mine: Mapping[str, set[str]]
    makes: Mapping[str, bool]

    def has(self, operation: str, name: str) -> bool | None:
        """Return whether something may be done with a topic; None where nobody can tell before the topic is made."""
        if operation == "CREATE":
            return self.makes.get(name)
        held = self.mine.get(name)
        return None if held is None else bool(held & {operation, "ALL", *_IMPLIED.get(operation, ())})


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """Says how a user stands with what a role needs on topics.

    Args:
        missing: What it lacks, for people.
        told: How many rights could be told.
        open: How many could not, before topics are made.
    """

    missing: tuple[str, ...]
    told: int
    open: int


def judged(needed: Sequence[Right], held: Held) -> Judged:
    """Return how somebody stands with what a role needs.

    Args:
        needed: What it needs; rights on names that begin so are looked at by the topics that are known.
        held: What the cluster has told.

    >>> from ashioto.deploy.acls import Right
    >>> right = Right(role="app", kind="topic", name="trading.rate", operation="WRITE")
    >>> judged([right], Held(mine={"trading.rate": {"READ"}}, makes={})).missing
    ('WRITE on trading.rate',)
    """
    missing: dict[str, None] = {}
    answers: list[bool | None] = []
    for right in needed:
        if right.kind != "topic":
            continue
        whole = right.pattern == "literal"
        names = [right.name] if whole else [n for n in {**held.mine, **held.makes} if n.startswith(right.name)]
        found = [held.has(right.operation, name) for name in names]
        answers += found
        if False in found:
            missing[f"{right.operation} on {right.name}{'' if whole else '*'}"] = None
    untold = answers.count(None)
    return Judged(missing=tuple(missing), told=len(answers) - untold, open=untold)


def rights_findings(
    log: KafkaLog, contexts: Sequence[Context], needs: Mapping[Role, Sequence[Right]], *, named: bool
) -> Iterator[Finding]:
    """Yield how this user stands with roles.

    Args:
        log: On the cluster.
        contexts: What is declared.
        needs: What each role needs.
        named: Whether the user must have all of it; else it is told which roles it could play.
    """
    held = _held(log, contexts, needs)
    found = {role: judged(needed, held) for role, needed in needs.items()}
    could = [role for role, one in found.items() if not one.missing and one.told]
    untold = [role for role, one in found.items() if not one.missing and not one.told]
    if named:
        yield from (_lacks(role, one.missing) for role, one in found.items() if one.missing)
    if could:
        part = ", as far as there are topics" if any(found[role].open for role in could) else ""
        detail = f"this user has what these roles need on topics{part}: {', '.join(could)}"
        yield Finding(state="ok", check="rights", detail=detail)
    if untold:
        yield Finding(
            state="warning" if named else "ok", check="rights", hint="rc infra apply, then rc doctor again",
            detail=f"cannot be told before the topics are made: {', '.join(untold)}",
        )  # fmt: skip
    if not named and not could and not untold:
        yield Finding(
            state="error", check="rights", detail="this user has the rights of no role",
            hint="rc infra acls shows what each needs",
        )  # fmt: skip


def _held(log: KafkaLog, contexts: Sequence[Context], needs: Mapping[Role, Sequence[Right]]) -> Held:
    """Ask about every topic that is declared or that a role needs."""
    from ashioto.deploy.bootstrap import wanted_topics

    rights = [right for needed in needs.values() for right in needed if right.kind == "topic"]
    names = {right.name for right in rights if right.pattern == "literal"}
    names |= {log.options.prefix + spec.name for spec in wanted_topics(contexts)}
    made = {
        name
        for right in rights
        if right.operation == "CREATE"
        for name in names
        if name == right.name or (right.pattern == "prefixed" and name.startswith(right.name))
    }
    return Held(mine=log.grants.mine(sorted(names)), makes=log.grants.makes(sorted(made)))


def _lacks(role: Role, missing: Sequence[str]) -> Finding:
    more = f", and {len(missing) - _SHOWN} more" if len(missing) > _SHOWN else ""
    return Finding(
        state="error", check=f"rights of {role}", detail=f"lacks {'; '.join(missing[:_SHOWN])}{more}",
        hint=f"rc infra acls --role {role} --principal User:... --apply",
    )  # fmt: skip
