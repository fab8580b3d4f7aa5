"""Which rights each role needs on Kafka, and not one more. Pure: from what is declared to what is to be granted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from ashioto import keys, naming
from ashioto.control.roles import engine_role, heartbeat_role, infra_role, migrate_role
from ashioto.control.sharing import engine_group
from ashioto.control.topics import APPLIED, HB_SPECS, HB_STATE, MIGRATE_JOBS
from ashioto.engines.embedded.topics import DEV_CLOCK, OFFSETS
from ashioto.engines.flink.identity import group_of
from ashioto.engines.ksqldb.registry import SERVERS
from ashioto.engines.sql.index import indexes
from ashioto.errors import UsageError
from ashioto.log.dead_letters import DEAD_LETTERS
from ashioto.log.leases import CLOCK, FENCES, FREE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from ashioto.deploy.changes import Row
    from ashioto.dsl.context import Context

Role = Literal["infra", "hb", "engine", "app", "migrate", "viewer"]
Kind = Literal["topic", "group", "transactional_id", "cluster"]
Pattern = Literal["literal", "prefixed"]
Operation = Literal["CREATE", "READ", "WRITE", "DELETE", "ALTER_CONFIGS", "DESCRIBE", "DESCRIBE_CONFIGS"]
ROLES: Final[tuple[Role, ...]] = ("infra", "hb", "engine", "app", "migrate", "viewer")
READ: Final[tuple[Operation, ...]] = ("DESCRIBE_CONFIGS", "READ")
BOTH: Final[tuple[Operation, ...]] = ("DESCRIBE_CONFIGS", "READ", "WRITE")
"""Who reads must also see how a topic is declared: how long deletions are kept, how large records may be."""
SEND: Final[tuple[Operation, ...]] = ("DESCRIBE_CONFIGS", "WRITE")
TRANSACT: Final[tuple[Operation, ...]] = ("DESCRIBE", "WRITE")
MAKE: Final[tuple[Operation, ...]] = ("ALTER_CONFIGS", "CREATE", "DESCRIBE", "DESCRIBE_CONFIGS")


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Right:
    """Allows something on one object of the cluster, or on all whose names begin so.

    Args:
        role: Who needs it.
        kind: What the object is.
        name: Its name on the cluster, or how names begin.
        pattern: Whether `name` is all of it or the beginning.
        operation: What is allowed.
    """

    role: Role
    kind: Kind
    name: str
    pattern: Pattern = "literal"
    operation: Operation

    def row(self) -> Row:
        """Return it for programs: what is made of it must match names to the letter.

        >>> Right(role="hb", kind="topic", name="rc.hb.state", operation="WRITE").row()["operation"]
        'WRITE'
        """
        return {
            "role": self.role,
            "kind": self.kind,
            "name": self.name,
            "pattern": self.pattern,
            "operation": self.operation,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Says where rights are given.

    Args:
        env: Environment and cluster.
        prefix: Stands before the name of every topic and transaction on the cluster.
        transactions: What the ids of transactions begin with after it.
        index: Whether schedules have an index; who writes them looks for it in any case.
        flink: Whether the engine is a Flink cluster: its user plays the role `engine`.
        ksqldb: Whether the engine is a ksqlDB server: its user plays the role `engine`.
    """

    env: tuple[str, str]
    prefix: str = ""
    transactions: str = "ashioto"
    index: bool = False
    flink: bool = False
    ksqldb: bool = False


def rights(contexts: Sequence[Context], place: Place, *, roles: Sequence[str] = ROLES) -> list[Right]:
    """Return what roles need, each right once, in order.

    Args:
        contexts: What is declared.
        place: Where.
        roles: Whose rights.

    Raises:
        UsageError: There is no such role.

    >>> rights([], Place(env=("dev", "local")), roles=["viewer"])[0].name
    'ashioto.engine.dev.local'
    """
    makers: dict[Role, Callable[[_Topics, Place], Iterator[_Rule]]] = {
        "infra": _infra, "hb": _heartbeat, "engine": _engine, "app": _app, "migrate": _migrate, "viewer": _viewer,
    }  # fmt: skip
    found: set[Right] = set()
    for role in checked(roles):
        topics = _Topics.of(contexts)
        for kind, names, operations, pattern in makers[role](topics, place):
            found |= {
                Right(role=role, kind=kind, name=_real(place, name), pattern=pattern, operation=operation)
                for name in names
                for operation in operations
            }
    return sorted(found, key=lambda r: (ROLES.index(r.role), r.kind, r.name, r.operation))


def checked(names: Sequence[str]) -> list[Role]:
    """Return roles by their names.

    Raises:
        UsageError: There is no such role.

    >>> checked(["hb"])
    ['hb']
    """
    known = {str(role): role for role in ROLES}
    for name in names:
        if name not in known:
            raise UsageError(f"no role {name!r}", hint=f"--role {' or '.join(ROLES)}")
    return [known[name] for name in names]


_Rule = tuple[Kind, "Iterable[str]", tuple[Operation, ...], Pattern]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Topics:
    """Holds the topics of contexts by what they are for."""

    contexts: tuple[str, ...]
    entities: frozenset[str]
    sources: frozenset[str]
    schedules: frozenset[str]
    indexes: frozenset[str]
    beats: frozenset[str]
    bars: frozenset[str]
    late: frozenset[str]
    queries: tuple[tuple[str, str], ...]

    @classmethod
    def of(cls, contexts: Sequence[Context]) -> _Topics:
        plans = [query.plan for context in contexts for query in context.queries.values()]
        sources = [(plan.context, plan.entity.name) for plan in plans]
        return cls(
            contexts=tuple(context.name for context in contexts),
            entities=frozenset(naming.topic(c.name, e.__entity__.name) for c in contexts for e in c.entities.values()),
            sources=frozenset(naming.topic(*source) for source in sources),
            schedules=frozenset(plan.schedule_topic for plan in plans if plan.schedule_topic is not None),
            indexes=frozenset(index.topic for index in indexes(plans)),
            beats=frozenset(naming.heartbeat_topic(p.context, p.entity.name) for p in plans if p.continuous),
            bars=frozenset(naming.bars_topic(p.context, p.entity.name, period) for p in plans for period in p.frames),
            late=frozenset(naming.late_topic(*source) for source in sources),
            queries=tuple((plan.context, plan.name) for plan in plans),
        )

    @property
    def own(self) -> list[str]:
        """How names of topics begin that only versions of queries use, on servers."""
        return [f"{context}_{query}_v" for context, query in self.queries]

    @property
    def all(self) -> frozenset[str]:
        return self.entities | self.sources | self.schedules | self.beats | self.bars | self.late


def _real(place: Place, name: str) -> str:
    """Return a name as it is on the cluster: what servers use begins with no prefix of ours."""
    return name if name == SERVERS else place.prefix + name


def _topic(names: Iterable[str], operations: tuple[Operation, ...], pattern: Pattern = "literal") -> _Rule:
    return "topic", names, operations, pattern


def _transactions(place: Place, names: Iterable[str], pattern: Pattern = "literal") -> _Rule:
    return "transactional_id", [f"{place.transactions}.{name}" for name in names], TRANSACT, pattern


def _free(place: Place) -> _Rule:
    """Let somebody write several records at once, all or none, under nobody's fence."""
    return _transactions(place, [FREE], "prefixed")


def _flink_groups(place: Place, *operations: Operation) -> _Rule:
    """Let somebody use the groups by which jobs tell how far they have read."""
    return "group", [group_of(place.env, "")], operations, "prefixed"


def _told(place: Place) -> Iterator[_Rule]:
    """Let somebody see how far a server has read."""
    if place.flink:
        yield _flink_groups(place, "DESCRIBE")
    if place.ksqldb:
        yield "group", [SERVERS], ("DESCRIBE",), "prefixed"


def _infra(topics: _Topics, place: Place) -> Iterator[_Rule]:
    yield _topic([f"{context}." for context in topics.contexts], (*MAKE, "DELETE"), "prefixed")
    yield _topic(["rc."], MAKE, "prefixed")
    yield _topic([APPLIED, HB_SPECS, FENCES], BOTH)
    yield _topic([HB_STATE, OFFSETS, DEV_CLOCK, DEAD_LETTERS], READ)
    yield _topic([CLOCK], SEND)
    if place.index:
        yield _topic(topics.schedules, READ)
        yield _topic(topics.indexes, BOTH)
    if place.flink:
        yield _topic(topics.own, (*MAKE, "DELETE"), "prefixed")
        yield _flink_groups(place, "DELETE")
    yield from _told(place)
    yield _transactions(place, [infra_role(place.env)])
    yield "group", [f"{place.transactions}.{engine_group(place.env)}"], ("DESCRIBE",), "literal"


def _heartbeat(topics: _Topics, place: Place) -> Iterator[_Rule]:
    yield from _told(place)
    yield _topic([HB_SPECS, DEV_CLOCK, *topics.schedules, *topics.sources], READ)
    yield _topic([HB_STATE, FENCES, *topics.beats], BOTH)
    yield _topic([OFFSETS], READ)
    yield _topic([DEAD_LETTERS, CLOCK], SEND)
    yield _transactions(place, [heartbeat_role(place.env, context) for context in topics.contexts])
    yield _free(place)


def _engine(topics: _Topics, place: Place) -> Iterator[_Rule]:
    if place.flink:
        yield _topic([*topics.sources, *topics.beats, *topics.indexes], READ)
        yield _topic(topics.bars | topics.late, SEND)
        yield _topic(topics.own, BOTH, "prefixed")
        yield _flink_groups(place, "READ")
        return
    if place.ksqldb:
        yield from _ksqldb(topics)
        return
    yield _topic([APPLIED, DEV_CLOCK, *topics.sources, *topics.schedules, *topics.beats], READ)
    yield _topic([OFFSETS, FENCES, *topics.bars], BOTH)
    yield _topic([DEAD_LETTERS, CLOCK, *topics.late], SEND)
    yield _transactions(place, [f"{engine_role(place.env)}{keys.SEPARATOR}"], "prefixed")
    yield _free(place)
    yield "group", [f"{place.transactions}.{engine_group(place.env)}"], ("DESCRIBE", "READ"), "literal"


def _ksqldb(topics: _Topics) -> Iterator[_Rule]:
    yield _topic([*topics.sources, *topics.beats, *topics.indexes], READ)
    yield _topic(topics.bars, SEND)
    yield _topic(topics.own, (*MAKE, "DELETE", "READ", "WRITE"), "prefixed")
    yield "topic", [SERVERS], (*MAKE, "DELETE", "READ", "WRITE"), "prefixed"
    yield "group", [SERVERS], ("DELETE", "DESCRIBE", "READ"), "prefixed"
    yield "transactional_id", [SERVERS], TRANSACT, "prefixed"


def _app(topics: _Topics, place: Place) -> Iterator[_Rule]:
    yield _topic([*topics.entities, *topics.bars], BOTH)
    yield _topic(topics.indexes, BOTH if place.index else ("DESCRIBE",))
    yield _topic([DEV_CLOCK, *topics.late], READ)
    yield _topic([DEAD_LETTERS], SEND)
    yield _free(place)


def _migrate(topics: _Topics, place: Place) -> Iterator[_Rule]:
    yield _topic([*topics.entities, *topics.bars, FENCES], BOTH)
    yield _topic([APPLIED, HB_STATE, OFFSETS, DEV_CLOCK, *topics.schedules], READ)
    yield _topic([MIGRATE_JOBS], (*BOTH, "CREATE"))
    yield _topic([DEAD_LETTERS], SEND)
    yield _transactions(place, [migrate_role(place.env, *query) for query in topics.queries])
    yield _free(place)


def _viewer(topics: _Topics, place: Place) -> Iterator[_Rule]:
    yield _topic([APPLIED, HB_SPECS, HB_STATE, OFFSETS, DEV_CLOCK, DEAD_LETTERS, FENCES, *topics.all], READ)
    yield _topic(topics.indexes, READ if place.index else ("DESCRIBE",))
    yield from _told(place)
    yield "group", [f"{place.transactions}.{engine_group(place.env)}"], ("DESCRIBE",), "literal"
