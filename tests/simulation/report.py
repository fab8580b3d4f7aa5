"""Tells people what became of seeds: a failure with all that is needed to run it again, and what happened how often."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from tests.simulation.options import text_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.simulation.run import Result

WRONG: Final = ("missing", "conflicting", "early", "stale", "unequal")
"""What must never happen."""
HAPPENED: Final = (
    "promotions",
    "takeovers",
    "deaths",
    "killed",
    "stops",
    "refusals",
    "edits",
    "applies",
    "markers",
    "ticks",
)


def totals(results: Iterable[Result]) -> Counter[str]:
    """Return what happened in all of them."""
    found: Counter[str] = Counter()
    for result in results:
        found.update(result.counts)
    return found


def figures(counts: Counter[str]) -> dict[str, int]:
    """Return the figures to publish.

    >>> figures(Counter({"fault: busy": 2, "deaths": 1}))["refusals"]
    2
    """
    grouped = Counter(counts)
    grouped["stops"] = sum(n for name, n in counts.items() if name.startswith("fault: stop"))
    grouped["refusals"] = counts["fault: busy"] + counts["fault: full"]
    return {name: grouped[name] for name in (*WRONG, *HAPPENED)}


def told(result: Result, *, lines: int = 60) -> str:
    """Return a failure as people read it: the seed, what to type, what happened, and what failed.

    Args:
        result: Of a seed that failed.
        lines: How much of the trace.
    """
    options = text_of(result.options)
    return "\n".join(
        [
            *result.trace[-lines:],
            f"seed {result.seed} failed: {result.failure}",
            f"again: python -m tests.simulation --first {result.seed} --seeds 1 --options {options}",
        ]
    )
