"""What must be true of the bars in the log when all is quiet, by two references that know no kernel and no stream."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NoReturn

from tests.simulation.declared import ENV, plan
from tests.simulation.watch import plain
from tests.simulation.world import BrokenPromiseError
from tests.support_model import bars_of, same
from tests.support_planning import bucket

from ashioto import keys, naming
from ashioto.control.applied import registrations
from ashioto.engines.embedded.progress import version_progress
from ashioto.log.dead_letters import DEAD_LETTERS
from ashioto.log.partition import partition_of
from ashioto.schema.arrow import int64_view

if TYPE_CHECKING:
    from types import ModuleType

    from tests.simulation.feed import Feed
    from tests.simulation.world import World

    from ashioto.logical.nodes import Query
    from ashioto.period import Period

EPOCH = date(1970, 1, 1)
Bar = dict[str, Any]


def check_bars(world: World, feeds: dict[str, Feed], ref: ModuleType | None) -> None:
    """Check the bars of every context.

    Args:
        world: Where.
        feeds: What was sent.
        ref: The reference beside the repository, where there is one.
    """
    for context, variant in world.scenario.last.items():
        query = plan(context, variant)
        records = registrations(world.log, ENV, context)
        progress = version_progress(world.log, ENV, context, records[-1].object)
        for partition, ticks in enumerate(feeds[context].ticks):
            now = progress[partition].now_ms
            _check_time(world, context, partition, now)
            for period in query.frames:
                _Frame(world, context, query, period, partition, now).check(ticks, ref)
        _check_dead(world, feeds[context], rebuilt=any(r.begins == "start" and r.version > 1 for r in records))


def _check_time(world: World, context: str, partition: int, now: int) -> None:
    """The engine takes it to be as late as the latest of all markers says, whoever sent what after it."""
    part = world.log.read(naming.heartbeat_topic(context, "Rate"), partition, 0, max_rows=1 << 20)
    latest = now if part is None else int(int64_view(part.data.column("due")).max())
    if latest != now and len(set(world.scenario.graces(context))) == 1:
        raise BrokenPromiseError("P9", f"{context}: the engine takes it to be {now}, and it is {latest}")


class _Frame:
    """Checks the bars of one frame in one partition."""

    def __init__(self, world: World, context: str, query: Query, period: Period, partition: int, now: int) -> None:
        self._world, self._context, self._query, self._period = world, context, query, period
        self._market, self._now, self._partition = world.scenario.markets[context], now, partition
        self._regraced = len(set(world.scenario.graces(context))) > 1

    def check(self, ticks: list[Any], ref: ModuleType | None) -> None:
        """Compare what is there with the model, and with the reference."""
        found = self._found()
        by_key: dict[str, list[tuple[int, int, Any]]] = {}
        for offset, tick in enumerate(ticks):
            if tick.price is not None and tick.symbol in self._market.first:
                by_key.setdefault(tick.symbol, []).append((tick.at, offset, tick))
        for symbol, mine in by_key.items():
            self._compare(symbol, found.pop(symbol, {}), self._model(symbol, mine))
            if ref is not None:
                theirs = self._reference(ref, symbol, mine)
                self._compare_reference(symbol, theirs, self._model(symbol, mine))
        if found:
            raise BrokenPromiseError(
                "P9", f"{self._context} {self._period.kind}: bars of {sorted(found)} without ticks"
            )

    def _found(self) -> dict[str, dict[int, Bar]]:
        page = self._world.log.view(naming.bars_topic(self._context, "Rate", self._period))
        names = [name for name in page.data.schema.names if not name.startswith("__")]
        columns = {name: plain(page.data.column(name)) for name in names}
        found: dict[str, dict[int, Bar]] = {}
        for values in zip(*columns.values(), strict=True):
            row = dict(zip(columns, values, strict=True))
            if self._world.scenario.options.partitions == 1 or self._is_mine(row["symbol"]):
                found.setdefault(row["symbol"], {})[row["bucket_start"]] = row
        return found

    def _is_mine(self, symbol: str) -> bool:
        return partition_of(keys.encode([symbol]), self._world.scenario.options.partitions) == self._partition

    def _model(self, symbol: str, mine: list[tuple[int, int, Any]]) -> dict[int, Bar]:
        rows = [
            (at, offset, {"symbol": symbol, "price": Decimal(tick.price) / 100, "size": Decimal(tick.size) / 100})
            for at, offset, tick in mine
        ]
        sessions = [(row.open, row.close, EPOCH + timedelta(days=row.day)) for row in self._market.sessions(symbol)]
        made = bars_of(self._query, self._period, rows, sessions, self._now)
        return {row["bucket_start"]: row for row in made}

    def _compare(self, symbol: str, found: dict[int, Bar], wanted: dict[int, Bar]) -> None:
        where = f"{self._context} {self._period.kind} {symbol}"
        for start, row in wanted.items():
            there = found.get(start)
            if there is None:
                self._unequal(f"{where}: no bar at {start}, it should be {row}")
            off = {name: (there[name], value) for name, value in row.items() if not same(there[name], value)}
            if there["final"] and self._regraced:
                off.pop("final", None)  # it was final by a shorter grace, and stays so
            if off:
                self._unequal(f"{where}: the bar at {start} has (is, should be) {off}")
        extra = found.keys() - wanted.keys()
        if extra and not any(edit.gone or edit.put for edit in self._market.edits if edit.symbol == symbol):
            self._unequal(f"{where}: bars at {sorted(extra)[:3]} that no session explains")
        for start in extra:
            if not self._was_planned(symbol, start):
                self._unequal(f"{where}: a bar at {start} that no session ever explained")

    def _was_planned(self, symbol: str, start: int) -> bool:
        for _, rows in self._market.versions[symbol]:
            for row in rows:
                first = bucket(self._period, self._query.align, row.open, row)[0]
                last = bucket(self._period, self._query.align, row.close - 1, row)[0]
                if first <= start <= last:
                    return True
        return False

    def _unequal(self, text: str) -> NoReturn:
        self._world.counts["unequal"] += 1
        raise BrokenPromiseError("P9", text)

    def _reference(self, ref: ModuleType, symbol: str, mine: list[tuple[int, int, Any]]) -> dict[int, Bar]:
        sessions = [
            ref.Session(key=(symbol,), open=row.open, close=row.close, market_date=EPOCH + timedelta(days=row.day))
            for row in self._market.sessions(symbol)
        ]
        ticks = [
            ref.Tick(key=(symbol,), at=at, seq=seq, price=Decimal(t.price) / 100, size=Decimal(t.size) / 100)
            for at, seq, t in mine
        ]
        made = ref.bars(
            ticks, sessions, base=self._query.base.kind, period=self._period.kind, now=self._now,
            grace=self._query.grace_ms, align=self._query.align,
        )  # fmt: skip
        return {bar.bucket_start: {name: getattr(bar, name) for name in vars(bar)} for bar in made}

    def _compare_reference(self, symbol: str, theirs: dict[int, Bar], mine: dict[int, Bar]) -> None:
        if theirs.keys() != mine.keys():
            self._unequal(f"{self._context} {symbol}: the references differ at {sorted(theirs.keys() ^ mine.keys())}")
        for start, row in mine.items():
            off = {n: (theirs[start][n], v) for n, v in row.items() if not same(theirs[start][n], v)}
            if off:
                self._unequal(f"{self._context} {symbol}: the references differ at {start}: {off}")


def _check_dead(world: World, feed: Feed, *, rebuilt: bool) -> None:
    """Every bad record is in the dead letters, once."""
    source = feed.source
    part = world.log.read(DEAD_LETTERS, 0, 0, max_rows=1 << 20)
    rows = [] if part is None else part.data.select(["source_topic", "source_partition", "source_offset"]).to_pylist()
    found = sorted((r["source_partition"], r["source_offset"]) for r in rows if r["source_topic"] == source)
    wanted = [
        (partition, offset)
        for partition, ticks in enumerate(feed.ticks)
        for offset, tick in enumerate(ticks)
        if tick.price is None
    ]
    if (sorted(set(found)) if rebuilt else found) != wanted:
        raise BrokenPromiseError("P8", f"{source}: dead letters of {found}, not {wanted}")
