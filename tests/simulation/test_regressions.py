"""Worlds that failed once hold every promise now."""

from __future__ import annotations

from functools import partial

import pytest
from tests.simulation.options import changed
from tests.simulation.regressions import REGRESSIONS, Regression
from tests.simulation.report import told
from tests.simulation.run import simulate


@pytest.mark.parametrize("world", REGRESSIONS, ids=lambda world: f"{world.seed}{'-' if world.options else ''}")
def test_it_holds_every_promise_now(world: Regression) -> None:
    result = simulate(world.seed, changed=partial(changed, texts=world.options))
    assert not result.failure, f"{world.why}\n{told(result)}"
