"""Four hundred seeds hold every promise, and enough goes wrong in them for that to mean something."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.simulation.report import WRONG, figures, told, totals
from tests.simulation.run import simulate

if TYPE_CHECKING:
    from collections.abc import Callable

SEEDS, CHUNK = 400, 100
LEAST = {
    "promotions": 250,
    "takeovers": 400,
    "deaths": 700,
    "stops": 400,
    "refusals": 30,
    "edits": 150,
    "applies": 300,
    "markers": 3_000,
    "ticks": 4_000,
}
"""What must have happened in each hundred seeds, at least; about half of what does."""


@pytest.mark.parametrize("first", range(0, SEEDS, CHUNK))
def test_every_promise_holds(first: int, record_property: Callable[[str, object], None]) -> None:
    results = [simulate(seed) for seed in range(first, first + CHUNK)]
    failed = [result for result in results if result.failure]
    found = figures(totals(results))
    for name, count in found.items():
        record_property(name, count)
    assert not failed, "\n\n".join(told(result) for result in failed[:3])
    assert not any(found[name] for name in WRONG)
    assert {name: found[name] for name, least in LEAST.items() if found[name] < least} == {}
