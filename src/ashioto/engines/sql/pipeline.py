"""The steps from ticks to bars that every engine that speaks SQL takes: stamp, fold, carry, publish.

*Stamp* gives every tick that counts, and every marker, the labels of its buckets. *Fold* makes one row a bucket.
*Carry* hands what a bar holds on to the segment that follows, back into the stamped rows, so that runs of empty bars
and revisions pass over breaks, nights and weekends. *Publish* reads the columns of bars off the folded rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ashioto.engines.sql.atoms import Atoms, atoms, counted_beside
from ashioto.engines.sql.fold import Fold, folds
from ashioto.engines.sql.layout import Layout, lay_out
from ashioto.engines.sql.publish import Publication, publications
from ashioto.engines.sql.stamp import Stamp, TickSource, stamped_empty, stamped_markers, stamped_own, stamped_ticks

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ashioto.control.applied import Registration
    from ashioto.engines.sql.ast import Sql
    from ashioto.engines.sql.dialect import Dialect
    from ashioto.logical.nodes import Query

TICKS: Final = "t"
BEATS: Final = "h"
FOLDED: Final = "f"
"""Aliases of the ticks, the heartbeats, and folded rows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pipeline:
    """Holds the steps of one version of a query.

    Args:
        name: Of the version, with which all names in the engine begin.
        layout: The query and its columns in between.
        ticks: Which ticks go into the stamped stream, or into atoms.
        atoms: How ticks are folded before their session is known; None where the engine needs no such step.
        markers: Which markers do; None unless bars are continuous.
        carries: Which folded rows do, by the name of their fold; none unless bars are continuous.
        folds: How stamped rows are folded.
        publications: What is published, a frame each.
    """

    name: str
    layout: Layout
    ticks: Stamp
    atoms: Atoms | None
    markers: Stamp | None
    carries: Mapping[str, Stamp]
    folds: tuple[Fold, ...]
    publications: tuple[Publication, ...]

    @property
    def query(self) -> Query:
        """The query."""
        return self.layout.query


def build_pipeline(
    registration: Registration,
    dialect: Dialect,
    *,
    ticks: Callable[[Layout], TickSource],
    beat_key: Sql,
) -> Pipeline:
    """Return the steps of a version.

    Args:
        registration: The version.
        dialect: What the engine does differently.
        ticks: Says how the engine reads ticks and finds their session.
        beat_key: Text of the key of heartbeats.

    Raises:
        UnsupportedError: The engine cannot run it; says why, and the way out.
    """
    layout = lay_out(registration.decoded(), dialect)
    source = ticks(layout)
    found = atoms(layout, source) if dialect.prefolds else None
    others: dict[str, Stamp] = {}
    if layout.query.continuous:
        others["markers"] = stamped_markers(layout, BEATS, beat_key)
        others |= {"own": stamped_own(layout, FOLDED), "empty": stamped_empty(layout, FOLDED)}
    if dialect.prefolds:
        others = {name: counted_beside(stamp) for name, stamp in others.items()}
    return Pipeline(
        name=registration.name,
        layout=layout,
        ticks=stamped_ticks(layout, source) if found is None else found.ticks,
        atoms=found,
        markers=others.pop("markers", None),
        carries=others,
        folds=folds(layout),
        publications=publications(layout, FOLDED),
    )
