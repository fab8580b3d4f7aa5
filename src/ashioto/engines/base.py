"""The engine: what runs registered queries. `register` is one-shot; the engine keeps the query running."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ashioto.control.applied import Registration

SQL_ENGINES: Final = frozenset({"ksqldb", "flink"})
"""Kinds of engines that are servers and told what to do in SQL; they need the schedule index.

Every version of a query reads all ticks there.
"""
RunState = Literal["running", "starting", "failed", "waiting", "ended"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningQuery:
    """Says how a version of a query stands in an engine.

    Args:
        name: As registered, e.g. `trading_rate_bars_v4`.
        state: `running`; `starting` while nobody runs some of its partitions yet; `failed`; `waiting` when no engine
            process is there to run it; or `ended` when it runs no more until it is registered again.
        cuts: Up to which offset each partition of its source has been read.
        detail: Why it failed, who runs it, or which partitions wait.
    """

    name: str
    state: RunState
    cuts: Mapping[int, int] = field(default_factory=dict)
    detail: str = ""


class Engine(Protocol):
    """Runs queries."""

    @property
    def kind(self) -> str:
        """Kind of the engine, as in `engine.kind`."""
        ...

    def compile(self, registration: Registration) -> list[str]:
        """Return the statements that make the engine run a query; changes nothing.

        Raises:
            UnsupportedError: The engine cannot run it.
        """
        ...

    def inspect(self, registrations: Sequence[Registration]) -> list[RunningQuery]:
        """Return how these versions stand, those that the engine does not know left out."""
        ...

    def register(self, registration: Registration) -> None:
        """Have the engine run a version; one that it runs already stays as it is."""
        ...

    def stop(self, registration: Registration) -> None:
        """Have the engine run a version no more; one that it does not run is no error."""
        ...

    def progress(self, registration: Registration) -> Mapping[int, int] | None:
        """Return up to which offset of each partition a version has read, or None when it has not begun."""
        ...
