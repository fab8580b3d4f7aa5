"""The topic of a bar table as it is in the log, compared with what the query declares."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ashioto.errors import LogError, UnknownTopicError
from ashioto.schema.arrow import arrow_type, plain

if TYPE_CHECKING:
    from ashioto.dsl.bar import BarBinding
    from ashioto.log.base import Log, TopicSpec


def missing_topic(topic: str) -> UnknownTopicError:
    """Return the error for a bars topic that was never created.

    >>> print(missing_topic("trading.rate_bars_5m"))
    the topic trading.rate_bars_5m does not exist yet
    Hint: topics are made once, before anything runs: rc infra apply, or rc dev
    """
    return UnknownTopicError(
        f"the topic {topic} does not exist yet",
        hint="topics are made once, before anything runs: rc infra apply, or rc dev",
        topic=topic,
    )


def bars_topic(log: Log, binding: BarBinding, *, exact: bool) -> TopicSpec:
    """Return how the topic of some bars was made.

    Args:
        log: Where it is.
        binding: Whose bars.
        exact: Whether it must have the columns of the query and no others, hidden ones apart.

    Raises:
        UnknownTopicError: It was never created.
        LogError: It has other columns.
    """
    try:
        spec = log.describe(binding.topic).spec
    except UnknownTopicError as error:
        raise missing_topic(binding.topic) from error
    stored = {field.name: plain(field.type) for field in spec.schema if not field.name.startswith("__")}
    declared = {name: plain(arrow_type(kind)) for name, kind in binding.columns.items()}
    if exact and stored != declared:
        odd = [name for name in {**declared, **stored} if stored.get(name) != declared.get(name)]
        says = ", ".join(
            f"{name} is {stored.get(name, 'not there')}, not {declared.get(name, 'there')}" for name in odd
        )
        raise LogError(
            f"the topic {binding.topic} has other columns than its query: {says}",
            hint="bring it up to the query by rc infra apply", topic=binding.topic, column=odd[0],
        )  # fmt: skip
    return spec
