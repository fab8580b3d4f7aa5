"""Rules for changes of topics and of leases; every log shares them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ashioto.errors import LogError
from ashioto.log.leases import Lease

if TYPE_CHECKING:
    from ashioto.log.base import TopicSpec


def check_alter(known: TopicSpec, wanted: TopicSpec) -> None:
    """Refuse to change what must stay as it is: partitions, cleanup, and the types of columns that stay.

    Raises:
        LogError: One of these differs; the message says which.

    >>> import pyarrow as pa
    >>> from ashioto.log.base import TopicSpec
    >>> known = TopicSpec(name="t", schema=pa.schema({"x": pa.int64()}))
    >>> check_alter(known, TopicSpec(name="t", schema=pa.schema({"x": pa.string()})))
    Traceback (most recent call last):
    ...
    ashioto.errors.LogError: the topic t cannot be changed: x is int64, not string
    Hint: keep what it has, or write to a new topic
    """
    differs = [name for name in ("partitions", "cleanup") if getattr(known, name) != getattr(wanted, name)]
    said = [f"{name} is {getattr(known, name)!r}, not {getattr(wanted, name)!r}" for name in differs]
    types = {field.name: field.type for field in known.schema}
    said += [f"{f.name} is {types[f.name]}, not {f.type}" for f in wanted.schema if types.get(f.name, f.type) != f.type]
    if said:
        raise LogError(
            f"the topic {known.name} cannot be changed: {' and '.join(said)}",
            hint="keep what it has, or write to a new topic",
            topic=known.name,
        )


def same_spec(known: TopicSpec, wanted: TopicSpec) -> bool:
    """Return whether two declarations are equal in all that is kept, notes in the schema included.

    >>> import pyarrow as pa
    >>> from ashioto.log.base import TopicSpec
    >>> one = TopicSpec(name="t", schema=pa.schema({"x": pa.int64()}))
    >>> same_spec(one, one), same_spec(one, TopicSpec(name="t", schema=one.schema, retention_ms=5))
    (True, False)
    """
    return known == wanted and bool(known.schema.equals(wanted.schema, check_metadata=True))


def known_lease(name: str, lease: Lease | None, epoch: int | None) -> Lease | None:
    """Return a lease as it stands before a change: nobody holds it where a newer writer than its holder has written.

    Args:
        name: Of the lease and of the fence.
        lease: What is kept.
        epoch: Of the newest writer under the fence.

    >>> known_lease("hb", None, 7).epoch
    7
    """
    if epoch is None or (lease is not None and lease.epoch >= epoch):
        return lease
    return Lease(name=name, epoch=epoch, holder=None, expires_ms=0)


def check_lease(name: str, known: Lease | None, wanted: Lease) -> None:
    """Refuse a lease of another name, or one whose epoch goes back.

    Raises:
        LogError: It is such a one.
    """
    if wanted.name != name or (known is not None and wanted.epoch < known.epoch):
        before = "none" if known is None else known.epoch
        raise LogError(
            f"the lease {name} cannot become {wanted.name} with epoch {wanted.epoch}: its epoch is {before}",
            hint="keep the name and an epoch that does not go back",
            lease=name,
        )
