"""What comes from outside: the schedule and its edits, and ticks. It has no faults, and waits for the log."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa
from tests.simulation.declared import Hours, Rate

from ashioto import naming
from ashioto.log.base import Batch
from ashioto.log.partition import partitions_of
from ashioto.schema.arrow import from_numpy, key_column, storage_schema

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.simulation.market import Edit, Market, Row, Tick
    from tests.simulation.world import World

BUSY_MS: Final = 40
HOURS_SCHEMA: Final = storage_schema(Hours.__entity__)
RATE_SCHEMA: Final = storage_schema(Rate.__entity__)


class Feed:
    """Appends sessions and ticks of one context when they come.

    Args:
        world: Where.
        context: Its name.
    """

    def __init__(self, world: World, context: str) -> None:
        self.name = f"feed {context}"
        self.ticks: list[list[Tick]] = [[] for _ in range(world.scenario.options.partitions)]
        """What has been appended to each partition, in the order of the offsets."""
        self._world, self._context = world, context
        self._market: Market = world.scenario.markets[context]
        self._hours = naming.topic(context, "Hours")
        self.source = naming.topic(context, "Rate")
        self._edits, self._coming = list(self._market.edits), list(self._market.ticks)
        self._begun = False

    @property
    def done(self) -> bool:
        """Whether all is in the log."""
        return self._begun and not self._edits and not self._coming

    def turn(self) -> int | None:
        """Append what has come."""
        if self._world.blocker is not None or self._hours not in self._world.log.topics():
            return self._world.now + BUSY_MS
        now = self._world.now
        if not self._begun:
            self._begun = True
            for symbol, rows in self._market.first.items():
                self._world.log.append([session_batch(self._hours, symbol, put=rows)])
        while self._edits and self._edits[0].at <= now:
            self._send(self._coming_before(self._edits[0].at))
            self._edit(self._edits.pop(0))
        self._send(self._coming_before(now + 1))
        nexts = [self._edits[0].at] if self._edits else []
        nexts += [self._coming[0].arrives + self._world.random.choice((0, 0, 50, 700))] if self._coming else []
        return min(nexts, default=None)

    def _coming_before(self, at: int) -> list[Tick]:
        found = [tick for tick in self._coming if tick.arrives < at]
        self._coming = self._coming[len(found) :]
        return found

    def _edit(self, edit: Edit) -> None:
        self._world.counts["edits"] += 1
        self._world.tell(self.name, f"edits {edit.symbol}", f"-{list(edit.gone)} +{list(edit.put)}")
        self._world.log.append([session_batch(self._hours, edit.symbol, put=edit.put, gone=edit.gone)])

    def _send(self, ticks: Sequence[Tick]) -> None:
        if not ticks:
            return
        self._world.counts["ticks"] += len(ticks)
        data = tick_columns(ticks)
        made = key_column(Rate.__entity__.keys, data)
        places = partitions_of(made, len(self.ticks))
        times = np.array([tick.at for tick in ticks], dtype=np.int64)
        batches = []
        for partition in sorted(set(places.tolist())):
            at = np.flatnonzero(places == partition)
            rows = pa.array(at)
            batches.append(
                Batch(
                    topic=self.source,
                    partition=partition,
                    keys=made.take(rows),
                    timestamps=times[at],
                    data=data.take(rows),
                )
            )
            self.ticks[partition] += [ticks[i] for i in at.tolist()]
        self._world.log.append(batches)
        ends = {(self.source, partition): len(found) for partition, found in enumerate(self.ticks)}
        self._world.ends = self._world.ends | ends


def session_batch(topic: str, symbol: str, *, put: Sequence[Row], gone: Sequence[Row] = ()) -> Batch:
    """Return sessions as records of a schedule topic, those that go as tombstones first."""
    rows = [*gone, *put]
    columns = np.array(rows, dtype=np.int64).reshape(-1, 3).T
    texts = pa.array([symbol] * len(rows), pa.string()).dictionary_encode()
    numbers = [from_numpy(column, HOURS_SCHEMA.field(i + 1).type) for i, column in enumerate(columns)]
    data = pa.RecordBatch.from_arrays([texts, *numbers], schema=HOURS_SCHEMA)
    return Batch(
        topic=topic,
        partition=0,
        keys=key_column(Hours.__entity__.keys, data),
        timestamps=np.zeros(len(rows), dtype=np.int64),
        data=data,
        tombstones=np.arange(len(rows)) < len(gone) if gone else None,
    )


def tick_columns(ticks: Sequence[Tick]) -> pa.RecordBatch:
    """Return ticks as they are stored."""
    prices = np.array([tick.price or 0 for tick in ticks], dtype=np.int64)
    missing = np.array([tick.price is None for tick in ticks])
    price = from_numpy(prices, RATE_SCHEMA.field("price").type)
    if missing.any():
        price = pa.array(
            [None if bad else value for bad, value in zip(missing, price.to_pylist(), strict=True)], price.type
        )
    return pa.RecordBatch.from_arrays(
        [
            pa.array([tick.symbol for tick in ticks], pa.string()).dictionary_encode(),
            from_numpy(np.array([tick.at for tick in ticks], dtype=np.int64), RATE_SCHEMA.field("at").type),
            price,
            from_numpy(np.array([tick.size for tick in ticks], dtype=np.int64), RATE_SCHEMA.field("size").type),
        ],
        schema=RATE_SCHEMA,
    )
