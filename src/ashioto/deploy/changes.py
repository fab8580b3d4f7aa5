"""Changes: what must become different, how grave that is, and why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from ashioto.control.applied import Registration, RegistrationState
    from ashioto.control.specs import HeartbeatSpec
    from ashioto.engines.sql.index import Index
    from ashioto.log.base import TopicSpec

Kind = Literal["topic", "query", "heartbeat", "index"]
Action = Literal[
    "keep", "create", "alter", "recreate", "delete", "register", "replace", "finish", "stop", "write", "fill"
]
Row = dict[str, object]
Gravity = Literal["no-op", "in place", "replace", "blocked"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """Says what becomes of one object.

    Args:
        kind: What the object is.
        object: Its name: of a topic, a query (`trading.rate_bars`), a heartbeat spec (`trading.Rate.1m`) or an index.
        action: What is done; a blocked change says what would have to be done.
        gravity: The class of the change. `no-op`: nothing is done. `in place`: what is there stays and is added to,
            changed or ended. `replace`: a new one takes the place of the old one. `blocked`: it is refused.
        reason: Why, in words.
        hint: The way out, where there is something to decide.
    """

    kind: Kind
    object: str
    action: Action
    gravity: Gravity
    reason: str = ""
    hint: str = ""

    def row(self) -> Row:
        """Return it for printing."""
        return {
            "kind": self.kind,
            "object": self.object,
            "action": self.action,
            "class": self.gravity,
            "reason": self.reason,
            "hint": self.hint,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicChange(Change):
    """Changes a topic.

    Args:
        spec: As it shall be; None when it shall not be, or is not declared.

    >>> TopicChange(object="trading.rate", action="keep", gravity="no-op").kind
    'topic'
    """

    kind: Kind = "topic"
    spec: TopicSpec | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryChange(Change):
    """Changes which version of a query runs.

    Args:
        runs: The version that shall run; None when none shall.
        recorded: In which state it is on record; None when it is new.
        retires: Versions that shall run no more.
        retires_first: Whether they end before anything else happens, since their topics are made anew.

    >>> QueryChange(object="trading.rate_bars", action="keep", gravity="no-op").kind
    'query'
    """

    kind: Kind = "query"
    runs: Registration | None = None
    recorded: RegistrationState | None = None
    retires: tuple[Registration, ...] = ()
    retires_first: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SpecChange(Change):
    """Changes a heartbeat specification.

    Args:
        spec: As it shall be.

    >>> SpecChange(object="trading.Rate.1m", action="keep", gravity="no-op").kind
    'heartbeat'
    """

    kind: Kind = "heartbeat"
    spec: HeartbeatSpec | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexChange(Change):
    """Fills the index of a schedule that has sessions.

    Args:
        index: The index.
    """

    kind: Kind = "index"
    index: Index


AnyChange = TopicChange | QueryChange | SpecChange | IndexChange
