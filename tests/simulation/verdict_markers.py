"""What must be true of the markers in the log when all is quiet, by a model that walks every segment."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.simulation.declared import plan
from tests.simulation.watch import plain
from tests.simulation.world import BrokenPromiseError
from tests.support_planning import markers_of

from ashioto import naming

if TYPE_CHECKING:
    from tests.simulation.declared import Variant
    from tests.simulation.market import Market, Row
    from tests.simulation.watch import Stated
    from tests.simulation.world import World

Content = tuple[Any, ...]
"""Symbol, kind, due, at, bucket start and end, market date, open of its session, closes; next at, its bucket start,
market date and open of its session."""
COLUMNS = (
    "symbol", "kind", "due", "at", "bucket_start", "bucket_end", "market_date", "session_open", "closes", "next_at",
    "next_bucket_start", "next_market_date", "next_session_open",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Sent:
    """A marker in the log."""

    content: Content
    epoch: int
    partition: int
    offset: int


def check_markers(world: World, stated: list[Stated], since: dict[str, int]) -> None:
    """Check every context.

    Args:
        world: Where.
        stated: Every record of `rc.hb.state` of heartbeats, in order.
        since: When the specification was written that the first heartbeat of each context followed, ms.
    """
    for context, market in world.scenario.markets.items():
        found = sent_markers(world, context)
        mine = [state for state in stated if state.context == context]
        _check_epochs(context, found, mine)
        _Markers(world, context, market, found, mine, since[context]).check()


def sent_markers(world: World, context: str) -> list[Sent]:
    """Return every marker of a context, partition by partition in order."""
    topic, found = naming.heartbeat_topic(context, "Rate"), []
    for partition in world.log.end_offsets(topic):
        part = world.log.read(topic, partition, 0, max_rows=1 << 20)
        if part is not None:
            columns = [plain(part.data.column(name)) for name in COLUMNS]
            columns[COLUMNS.index("closes")] = [tuple(value) for value in columns[COLUMNS.index("closes")]]
            epochs = part.data.column("epoch").to_pylist()
            found += [
                Sent(content=content, epoch=epoch, partition=partition, offset=offset)
                for offset, (content, epoch) in enumerate(zip(zip(*columns, strict=True), epochs, strict=True))
            ]
    return found


def planned(context: str, variant: Variant, symbol: str, rows: tuple[Row, ...]) -> list[Content]:
    """Return what every marker of a schedule says."""
    return [
        (symbol, m.kind, m.due, m.at, m.bucket_start, m.bucket_end, m.day, m.opened, m.closes,
         m.next_at, m.next_bucket_start, m.next_day, m.next_opened)
        for m in (markers_of(plan(context, variant), list(rows)) if rows else [])
    ]  # fmt: skip


def _check_epochs(context: str, found: list[Sent], stated: list[Stated]) -> None:
    """Epochs never interleave, neither in the markers nor in the watermarks."""
    order: dict[int, int] = {}
    for marker in found:
        if marker.epoch < order.get(marker.partition, 0):
            raise BrokenPromiseError("P4", f"{context}: {marker} comes after epoch {order[marker.partition]}")
        order[marker.partition] = marker.epoch
    epochs = [state.epoch for state in stated]
    if epochs != sorted(epochs):
        raise BrokenPromiseError("P4", f"{context}: watermarks of epochs {epochs}")


class _Markers:
    """Checks the markers of a context."""

    def __init__(
        self, world: World, context: str, market: Market, found: list[Sent], stated: list[Stated], since: int
    ) -> None:
        self._world, self._context, self._market, self._found, self._stated = world, context, market, found, stated
        self._since = since
        self._last = stated[-1].last if stated else since - 1
        rows = sum(len(rows) for rows in market.first.values())
        self._informed = [state for state in stated if state.schedule >= rows]
        """Watermarks of senders that knew the sessions; before these are imported there is nothing to send."""
        variants = [deployment.variants[context] for deployment in world.scenario.deployments]
        self._variants = {variant.grace_ms: variant for variant in variants}
        self._now = variants[-1]

    def check(self) -> None:
        """Check each key, then who sent what."""
        counted: dict[str, Counter[Content]] = {symbol: Counter() for symbol in self._market.first}
        for marker in self._found:
            counted[marker.content[0]][marker.content] += 1
        for symbol, contents in counted.items():
            self._check_key(symbol, contents)
        self._check_watermarks()
        self._check_senders()

    def _check_key(self, symbol: str, contents: Counter[Content]) -> None:
        known: set[Content] = set()
        for _, rows in self._market.versions[symbol]:
            for variant in self._variants.values():
                known |= set(planned(self._context, variant, symbol, rows))
        invented = contents.keys() - known
        if invented:
            self._world.counts["conflicting"] += len(invented)
            raise BrokenPromiseError("P1", f"{self._context}: no plan says {sorted(invented, key=repr)[:3]}")
        twice = [content for content, count in contents.items() if count > 1]
        if symbol not in self._market.edited and twice and len(self._variants) == 1:
            raise BrokenPromiseError("P3", f"{self._context}: sent again without an edit: {twice[:3]}")
        self._check_missing(symbol, contents)

    def _check_missing(self, symbol: str, contents: Counter[Content]) -> None:
        """Each segment of the schedule as it is in the end has begun and ended, whichever grace was in force."""
        rows = self._market.sessions(symbol)
        graces = list(self._variants)
        missing = []
        for content in planned(self._context, self._now, symbol, rows):
            _, kind, due, *_ = content
            bare = due - self._now.grace_ms if kind == "final" else due
            if bare < self._since or due > self._last:
                continue
            shifts = [grace - self._now.grace_ms for grace in graces] if kind == "final" else [0]
            if not any((*content[:2], due + shift, *content[3:]) in contents for shift in shifts):
                missing.append(content)
        if missing:
            self._world.counts["missing"] += len(missing)
            raise BrokenPromiseError("P1", f"{self._context}: {len(missing)} markers are missing: {missing[:3]}")

    def _check_watermarks(self) -> None:
        """What a watermark says has been sent is in the log before it."""
        if len(self._variants) > 1:
            return  # which grace was in force at a watermark is nobody's record
        for symbol in self._market.first.keys() - self._market.edited:
            contents = planned(self._context, self._now, symbol, self._market.sessions(symbol))
            mine = [m for m in self._found if m.content[0] == symbol]
            for state in self._informed:
                wanted = sum(self._since <= content[2] <= state.last for content in contents)
                there = sum(
                    m.offset < state.ends[m.partition] and self._since <= m.content[2] <= state.last for m in mine
                )
                if there != wanted:
                    raise BrokenPromiseError(
                        "P1", f"{self._context}: {state} speaks of {wanted} markers, {there} are there"
                    )

    def _check_senders(self) -> None:
        """Each epoch sends what is due after the watermark it found, up to the one it left, edits apart."""
        found: dict[int, int] = {}
        left: dict[int, int] = {}
        before = 0  # the first one begins where the specification was written, by a clock that may be behind
        for state in self._informed:
            found.setdefault(state.epoch, before)
            left[state.epoch] = before = max(state.last, before)
        for marker in self._found:
            due = marker.content[2]
            if marker.content[0] in self._market.edited or len(self._variants) > 1:
                continue
            if not found.get(marker.epoch, self._last) < due <= left.get(marker.epoch, 0):
                raise BrokenPromiseError(
                    "P3", f"{self._context}: epoch {marker.epoch} found {found.get(marker.epoch)} and sent {marker}"
                )
