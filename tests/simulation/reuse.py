"""Keeps what is pure and dear from one world to the next: compiled plans, what is declared, kernels that are ready."""

from __future__ import annotations

from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any, Final

import pytest

from ashioto.deploy import bootstrap, desired, plan
from ashioto.engines.embedded import registry, runner
from ashioto.engines.embedded.plan import compile_query
from ashioto.engines.embedded.warmup import warm_up

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ashioto.deploy.desired import Desired
    from ashioto.dsl.context import Context
    from ashioto.logical.nodes import Query

compiled: Final = cache(compile_query)
warm: Final = cache(warm_up)
_desired: Final = desired.desired_state


@cache
def _known(contexts: tuple[Context, ...], partitions: int, in_sql: bool) -> Desired:  # noqa: FBT001
    return _desired(contexts, partitions=partitions, in_sql=in_sql)


def known_desired(contexts: Any, *, partitions: int = 1, in_sql: bool = False) -> Desired:
    """Return what is declared, made once for the same contexts."""
    return _known(tuple(contexts), partitions, in_sql)


def warmed(query: Query) -> int:
    """Make kernels ready, once."""
    return warm(query)


@contextmanager
def reuse() -> Iterator[None]:
    """Have pure things made once."""
    with pytest.MonkeyPatch.context() as patch:
        for module in (runner, registry, bootstrap, desired):
            patch.setattr(module, "compile_query", compiled)
        patch.setattr(plan, "desired_state", known_desired)
        patch.setattr("ashioto.engines.embedded.host.warm_up", warmed)
        yield
