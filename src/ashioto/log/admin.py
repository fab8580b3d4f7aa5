"""What `infra apply` may do to the topics of a log, and nobody else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ashioto.log.base import TopicSpec


class LogAdmin(Protocol):
    """Lists, changes and deletes topics."""

    def topics(self) -> list[str]:
        """Return the names of all topics, sorted."""
        ...

    def alter(self, spec: TopicSpec) -> None:
        """Change the columns or the retention of a topic that exists, so that it is as declared.

        Columns may be added anywhere, left out, and put in another order; records that were written before have null in
        columns they lack. A column of a name that stays keeps its type.

        Raises:
            UnknownTopicError: It was never created.
            LogError: Partitions or cleanup differ, or a column would change its type; nothing was changed.
        """
        ...

    def delete(self, names: Sequence[str]) -> None:
        """Delete topics and all their records; those that do not exist are left out."""
        ...


@runtime_checkable
class Preflight(Protocol):
    """A log that can say before whether it would take topics; others take what passes their checks of declarations."""

    def refusals(self, new: Sequence[TopicSpec], changed: Sequence[TopicSpec]) -> dict[str, str]:
        """Return why topics would be refused, by name; nothing is made or changed.

        Args:
            new: Topics to be made.
            changed: Topics that exist, as they shall be.
        """
        ...

    def leftovers(self, new: Sequence[TopicSpec]) -> dict[str, str]:
        """Return what stands in the way of topics that do not exist and would go if they were deleted, by name.

        Args:
            new: Topics to be made.
        """
        ...
