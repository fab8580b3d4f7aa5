"""Which partition a bar belongs to. Everybody who writes bars asks here.

The embedded engine makes the bars of a series where its ticks are, so they are placed by the key of the series. Engines
that speak SQL place records by their whole key, which has the bucket start in it. Neither can do otherwise, so the
topic says which it is: in a note of its schema, where every reader and writer finds it, whatever its settings are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

from ashioto.log.partition import partitions_of

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa

    from ashioto.log.base import TopicSpec

Placement = Literal["series", "record"]
PERIOD: Final = b"ashioto.period"
"""Note of every topic of bars that ashioto has declared."""
_PLACED: Final = b"ashioto.placed_by"


def placed(schema: pa.Schema, placement: Placement) -> pa.Schema:
    """Return the columns of bars with the note that says how they are placed.

    Args:
        schema: The columns.
        placement: How.

    >>> import pyarrow as pa
    >>> placement_of(placed(pa.schema([], metadata={PERIOD: b"5m"}), "record"))
    'record'
    """
    notes = {name: value for name, value in (schema.metadata or {}).items() if name != _PLACED}
    return schema.with_metadata(notes if placement == "series" else {**notes, _PLACED: placement.encode()})


def placement_of(schema: pa.Schema) -> Placement:
    """Return how the bars of a topic are placed.

    A schema without any note of ours is one that an engine has registered for the bars that it writes.

    Args:
        schema: The columns of the topic, with their notes.

    >>> import pyarrow as pa
    >>> placement_of(pa.schema([], metadata={PERIOD: b"5m"})), placement_of(pa.schema([]))
    ('series', 'record')
    """
    notes = schema.metadata or {}
    return "record" if _PLACED in notes or PERIOD not in notes else "series"


def bar_places(spec: TopicSpec, series: pa.Array, records: pa.Array) -> npt.NDArray[np.int32]:
    """Return the partition of each bar; shape (n,).

    Args:
        spec: The topic as it is in the log.
        series: Key bytes of the series; shape (n,).
        records: Key bytes of the bars; shape (n,).
    """
    return partitions_of(series if placement_of(spec.schema) == "series" else records, spec.partitions)


def placement_said(placement: Placement) -> str:
    """Return what places the bars, for people.

    >>> placement_said("series")
    'the key of their series'
    """
    return "the key of their series" if placement == "series" else "their whole key"
