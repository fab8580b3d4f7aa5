"""The batch path gives the reference's bars, bit for bit, whatever the order, the batches and the frames."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.support_oracle import START, batch_of, cases, expected, got, query, source_of
from tests.support_shared import oracle

from ashioto.engines.embedded.batch import BatchBuilder
from ashioto.period import Period


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(case=cases(), seed=st.integers(0, 2**32 - 1))
def test_batch_equals_the_reference(case: dict[str, Any], seed: int) -> None:
    ref = oracle()
    if not Period.parse(case["frames"][0]).is_intraday:
        case["hours"] = {k: [(o, c, o // 86_400_000) for o, c, _ in rows if o // 86_400_000 == (c - 1) // 86_400_000]
                         for k, rows in case["hours"].items()}  # fmt: skip
        case["hours"] = {k: rows or [(START, START + 1000, START // 86_400_000)] for k, rows in case["hours"].items()}
    plan = query(case["frames"], align=case["align"], continuous=case["continuous"], grace=case["grace"])
    builder = BatchBuilder(plan, source_of(case), threads=1 + seed % 2)
    rng = np.random.default_rng(seed)
    position = 0
    while position < len(case["ticks"]):
        size = int(rng.integers(1, 12))
        builder.add(batch_of(case["ticks"][position : position + size]), first_seq=position)
        position += size
    tables = builder.finish(now_ms=case["now"], trim=False)
    for period, table in tables.items():
        rows = [{k: v for k, v in r.items() if k != "period"} for r in expected(ref, case, period.kind)]
        assert got(table) == rows, period
