"""Which versions run once what is declared is applied, by what is recorded alone: nobody has to answer for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ashioto.deploy.actual import Actual
from ashioto.deploy.changes import QueryChange
from ashioto.deploy.desired import desired_state
from ashioto.deploy.diff import diff

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ashioto.control.applied import Registration
    from ashioto.dsl.context import Context


def declared_versions(
    contexts: Sequence[Context], recorded: Sequence[Registration], *, engine: str
) -> list[Registration]:  # fmt: skip
    """Return the version of each declared query that runs, or would run once it is applied.

    Args:
        contexts: What is declared.
        recorded: Every version that is on record.
        engine: Kind of the engine.

    Raises:
        DefinitionError: Two declarations want one topic in different ways.

    >>> declared_versions([], [], engine="flink")
    []
    """
    changes = diff(desired_state(contexts), Actual(registrations=tuple(recorded)), engine=engine)
    return [c.runs for c in changes if isinstance(c, QueryChange) and c.runs is not None]
