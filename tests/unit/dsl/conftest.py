from __future__ import annotations

import pytest

from ashioto.dsl import Context


@pytest.fixture
def trading() -> Context:
    return Context("trading")
