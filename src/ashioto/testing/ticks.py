"""Ticks that look like a market and are the same for the same seed: for demos, tests and `rc ticks simulate`."""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ashioto.errors import UsageError
from ashioto.schema.arrow import arrow_type, from_numpy, storage_schema

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ashioto.logical.nodes import Column, Entity

Key = tuple[str, ...]
Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

_DAY_MS: Final = 86_400_000
_SIZES: Final = re.compile(r"size|vol|qty|quantity|amount", re.IGNORECASE)
_SIDES: Final = {"bid": -0.5, "ask": 0.5, "offer": 0.5}


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulationOptions:
    """Says how simulated markets behave.

    Args:
        rate: Ticks a second of each key, on average; arrivals are Poisson.
        volatility: Standard deviation of one tick's relative change.
        spread: Difference of ask and bid, relative to the price.
        seed: Equal seeds give equal ticks.
        prices: First price by key; others follow from the key's name.
    """

    rate: float = 5.0
    volatility: float = 5e-5
    spread: float = 5e-5
    seed: int = 1
    prices: Mapping[Key, float] = field(default_factory=dict)


class TickSimulator:
    """Walks the price of every key at random, one stretch of time after another.

    Args:
        entity: The stream to make ticks of. Columns called size, volume, quantity or amount become sizes, other numbers
            prices; bid and ask stand half a spread below and above.
        keys: One tuple a key: the values of the key columns, in order.
        options: How the markets behave.

    Raises:
        UsageError: A key has another number of parts than the entity, or there is none.

    >>> from ashioto.logical.nodes import FLOAT64, TEXT, TIMESTAMP, Column, Entity
    >>> at = Column(name="at", type=TIMESTAMP, role="timestamp")
    >>> columns = (Column(name="symbol", type=TEXT, role="key"), at, Column(name="price", type=FLOAT64))
    >>> made = TickSimulator(Entity(name="Tick", kind="stream", columns=columns), [("A",)])
    >>> made.batch(0, 10_000).num_rows
    50
    """

    def __init__(self, entity: Entity, keys: Sequence[Key], options: SimulationOptions | None = None) -> None:
        if not keys:
            raise UsageError(f"no keys to simulate {entity.name} for", hint="import a schedule, or name symbols")
        for key in keys:
            if len(key) != len(entity.keys):
                raise UsageError(
                    f"the key {key} of {entity.name} has {len(key)} parts", hint=f"it needs {', '.join(entity.keys)}"
                )
        self.entity = entity
        self.keys = list(keys)
        self.options = options or SimulationOptions()
        self._random = np.random.default_rng(self.options.seed)
        self._prices = np.array([self.options.prices.get(key) or _first_price(key) for key in self.keys])
        self._sequence = 0

    def batch(self, start_ms: int, end_ms: int, *, trading: npt.NDArray[np.bool_] | None = None) -> pa.RecordBatch:
        """Return the ticks of `[start_ms, end_ms)`, sorted by time, as the entity is stored.

        Args:
            start_ms: From, UTC milliseconds.
            end_ms: Until, exclusive.
            trading: Which keys have ticks at all; all without. Shape (keys,).
        """
        seconds = max(end_ms - start_ms, 0) / 1000
        counts = self._random.poisson(self.options.rate * seconds, len(self.keys))
        if trading is not None:
            counts = np.where(trading, counts, 0)
        owner = np.repeat(np.arange(len(self.keys)), counts)
        at = start_ms + np.floor(self._random.random(owner.size) * (end_ms - start_ms)).astype(np.int64)
        order = np.lexsort((at, owner))
        price = self._walk(counts, owner)
        by_time = np.argsort(at[order], kind="stable")
        return self._columns(owner[by_time], at[order][by_time], price[by_time])

    def _walk(self, counts: Ints, owner: Ints) -> Floats:
        steps = np.cumsum(self._random.normal(0.0, self.options.volatility, owner.size))
        ends = np.cumsum(counts)
        before = np.where(ends - counts > 0, steps[np.maximum(ends - counts - 1, 0)] if steps.size else 0.0, 0.0)
        price: Floats = self._prices[owner] * np.exp(steps - before[owner])
        moved = np.flatnonzero(counts)
        self._prices[moved] = price[ends[moved] - 1]
        return price

    def _columns(self, owner: Ints, at: Ints, price: Floats) -> pa.RecordBatch:
        made: list[pa.Array] = []
        for column in self.entity.columns:
            if column.role == "key":
                made.append(self._key_column(column, owner))
            elif column.role == "timestamp" or column.type.name == "timestamp":
                made.append(from_numpy(at, arrow_type(column.type)))
            elif column.role == "sequence":
                made.append(pa.array(np.arange(self._sequence, self._sequence + at.size)))
            else:
                made.append(self._value_column(column, at, price))
        self._sequence += at.size
        return pa.RecordBatch.from_arrays(made, schema=storage_schema(self.entity))

    def _key_column(self, column: Column, owner: Ints) -> pa.Array:
        part = self.entity.keys.index(column.name)
        values = [key[part] for key in self.keys]
        if column.type.name != "text":
            return pa.array([int(v) for v in values], pa.int64()).take(pa.array(owner))
        return pa.array(values, pa.string()).take(pa.array(owner)).dictionary_encode().cast(arrow_type(column.type))

    def _value_column(self, column: Column, at: Ints, price: Floats) -> pa.Array:
        kind = arrow_type(column.type)
        name = column.type.name
        if name == "text":
            return pa.array([str(column.default.value) if column.default else ""] * at.size, pa.string()).cast(kind)
        if name == "date":
            return from_numpy(at // _DAY_MS, kind)
        if name == "bool":
            return pa.array(np.zeros(at.size, dtype=np.bool_))
        if _SIZES.search(column.name):
            numbers = np.ceil(self._random.exponential(3.0, at.size))
        else:
            side = next((s for word, s in _SIDES.items() if word in column.name.lower()), 0.0)
            numbers = price * (1.0 + side * self.options.spread)
        if name == "float64":
            return pa.array(numbers)
        return from_numpy(np.rint(numbers * 10**column.type.scale).astype(np.int64), kind)


def simulate_ticks(
    entity: Entity, keys: Sequence[Key], start_ms: int, end_ms: int, options: SimulationOptions | None = None
) -> pa.RecordBatch:
    """Return the ticks of one stretch of time, equal for equal arguments.

    Args:
        entity: The stream to make ticks of.
        keys: One tuple a key: the values of the key columns, in order.
        start_ms: From, UTC milliseconds.
        end_ms: Until, exclusive.
        options: How the markets behave.

    >>> from ashioto.logical.nodes import FLOAT64, TEXT, TIMESTAMP, Column, Entity
    >>> at = Column(name="at", type=TIMESTAMP, role="timestamp")
    >>> columns = (Column(name="symbol", type=TEXT, role="key"), at, Column(name="price", type=FLOAT64))
    >>> simulate_ticks(Entity(name="Tick", kind="stream", columns=columns), [("A",)], 0, 0).num_rows
    0
    """
    return TickSimulator(entity, keys, options).batch(start_ms, end_ms)


def _first_price(key: Key) -> float:
    return float(np.round(10 ** (zlib.crc32("/".join(key).encode()) / 2**32 * 2), 2))
