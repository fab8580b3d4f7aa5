"""Fixtures of queries that run on a real Flink."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from tests.support_flink_bars import FlinkMarket, World

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ashioto.dsl import BarQuery
    from ashioto.testing.stack import FlinkPlace


@pytest.fixture
def world(kafka: str, registry: str, flink: FlinkPlace, unique: str, tmp_path: Path) -> World:
    """Where queries run on Flink, under names that no other test uses."""
    return World(kafka=kafka, registry=registry, flink=flink, unique=unique, folder=tmp_path)


@pytest.fixture
def started(world: World) -> Iterator[Any]:
    """Starts queries on the cluster, and stops them in the end."""
    made: list[FlinkMarket] = []

    def start(query: BarQuery, **options: Any) -> FlinkMarket:
        market = FlinkMarket.of(query, world, **options)
        made.append(market)
        market.engine.register(market.version)
        return market

    yield start
    for market in made:
        market.end()
