from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ashioto.errors import InputError
from ashioto.migration import seen as module
from ashioto.migration.seen import SeenBars

PARTS = st.lists(st.lists(st.tuples(st.sampled_from("ABC"), st.integers(0, 12)), min_size=1, max_size=6), max_size=8)


@given(PARTS)
def test_the_first_bar_that_comes_again_is_noticed_however_far_apart(parts: list[list[tuple[str, int]]]) -> None:
    seen, known = SeenBars(["symbol"]), set()
    for part in parts:
        wanted = None
        fresh: set[tuple[str, int]] = set()
        for row, bar in enumerate(part):
            if wanted is None and (bar in known or bar in fresh):
                wanted = row
            fresh.add(bar)
        rows = pa.record_batch({"symbol": [symbol for symbol, _ in part]})
        assert seen.again(rows, np.array([start for _, start in part], dtype=np.int64)) == wanted
        if wanted is not None:
            return
        known |= fresh


def test_runs_are_merged_so_that_there_are_few() -> None:
    seen = SeenBars(["symbol"])
    rows = pa.record_batch({"symbol": ["A"] * 10})
    for part in range(500):
        assert seen.again(rows, np.arange(part * 10, part * 10 + 10)) is None
    assert len(seen._runs) < 12
    assert sum(run.shape[0] for run in seen._runs) == 5000


def test_too_many_series_are_said_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_SERIES", 1)
    with pytest.raises(InputError, match="more than 1 series"):
        SeenBars(["symbol"]).again(pa.record_batch({"symbol": ["A", "B"]}), np.array([1, 1]))
