"""Looks at every write as it happens: what must never be in the log, whoever did it and why."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
from tests.simulation.declared import ENV, FRAMES
from tests.simulation.world import BrokenPromiseError

from ashioto import naming
from ashioto.control.applied import registrations
from ashioto.control.specs import heartbeat_specs
from ashioto.control.topics import APPLIED, HB_SPECS, HB_STATE
from ashioto.engines.embedded.topics import OFFSETS
from ashioto.schema.arrow import int64_view

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.simulation.process import Process
    from tests.simulation.world import World

    from ashioto.log.base import Appended, Batch, Fence, Ints
    from ashioto.log.leases import Lease

RECORDED: Final[dict[str, set[str | None]]] = {
    "intent": {None},
    "registered": {"intent", "registered"},
    "applied": {"registered"},
    "stopped": {"intent", "registered", "applied"},
}
"""From which states a version may come into each."""


class Stated(NamedTuple):
    """A record of `rc.hb.state`: which context's, by which epoch, how far, and where its heartbeats ended by then.

    `schedule` is up to which record of the schedule it speaks of.
    """

    context: str
    epoch: int
    last: int
    ends: dict[int, int]
    mode: str
    schedule: int


@dataclass(kw_only=True)
class Watch:
    """Looks at writes.

    Args:
        world: Where.
        epochs: The newest epoch of each role.
        stated: Every record of `rc.hb.state`, in order.
        since: When the specification was written that the first heartbeat of a context followed, ms.
    """

    world: World
    epochs: dict[str, int] = field(default_factory=dict)
    stated: list[Stated] = field(default_factory=list)
    since: dict[str, int] = field(default_factory=dict)
    _states: dict[str, str] = field(default_factory=dict)
    _finals: dict[str, set[bytes]] = field(default_factory=dict)
    _cuts: dict[tuple[str, int], list[int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        contexts = self.world.scenario.contexts
        self._beats = {naming.heartbeat_topic(name, "Rate"): name for name in contexts}
        self._steady = {
            f"{naming.topic(name, 'Rate')}_bars_{period.kind}": market.edited
            for name, market in self.world.scenario.markets.items()
            if len({at.variants[name] for at in self.world.scenario.deployments}) == 1
            for period in FRAMES[name]
        }
        self._bars = tuple(f"{naming.topic(name, 'Rate')}_bars_" for name in contexts)

    def leased(self, process: Process, name: str, before: Lease | None, after: Lease | None) -> None:
        """Look at a lease that a process has changed."""
        if after is None or after == before:
            return
        mine = process.holder
        if after.holder == mine and (before is None or after.epoch != before.epoch):
            self._taken(process, name, before, after)
        elif after.holder is None:
            self._resigned(process, name, before, after)
        elif before is None or before.holder != mine or after.epoch != before.epoch:
            raise BrokenPromiseError("P4", f"{process.name} changed the lease of another: {before} to {after}")
        self.epochs[name] = max(after.epoch, self.epochs.get(name, 0))

    def appended(
        self, process: Process, batches: Sequence[Batch], where: Sequence[Appended], fence: Fence | None
    ) -> None:
        """Look at what a process has appended."""
        topics = {batch.topic for batch in batches}
        self._check_fence(process, fence)
        if process.kind == "engine" and any(t.startswith(self._bars) for t in topics) and OFFSETS not in topics:
            self._check_sweep(batches)
        for batch, at in zip(batches, where, strict=True):
            if batch.topic in self._beats:
                self._check_markers(process, batch)
                self.world.counts["markers"] += at.count
            elif batch.topic in self._steady:
                self._check_final(batch)
            elif batch.topic == HB_STATE:
                self._state(batch)
            elif batch.topic == OFFSETS:
                self._check_progress(batch)
            elif batch.topic == HB_SPECS:
                self._check_specs(batch)
            elif batch.topic == APPLIED:
                self._check_record()

    def _taken(self, process: Process, name: str, before: Lease | None, after: Lease) -> None:
        known = 0 if before is None else before.epoch
        if after.epoch <= max(known, self.epochs.get(name, 0)):
            raise BrokenPromiseError("P4", f"{process.name} took {name!r} with epoch {after.epoch} after {known}")
        held = before is not None and before.holder not in {None, process.holder}
        if before is not None and before.holder is not None and held:
            self.world.counts["takeovers"] += 1
            alive = before.holder.name not in self.world.gone
            if alive and self.world.now - 1_600_000_000_000 < before.expires_ms:
                raise BrokenPromiseError("P4", f"{process.name} took {name!r} from {before.holder.name}, who has it")
        if name.startswith("hb") and after.epoch > 1:
            self.world.counts["promotions"] += 1
        self.world.tell(process.name, "took", f"{name.replace(chr(31), '/')} as epoch {after.epoch}")

    def _resigned(self, process: Process, name: str, before: Lease | None, after: Lease) -> None:
        """Whoever hands over says so in its state first."""
        if before is None or before.holder != process.holder or after.epoch != before.epoch:
            raise BrokenPromiseError("P4", f"{process.name} gave the lease of another away: {before} to {after}")
        mine = [state for state in self.stated if name.endswith(f"\x1f{state.context}") and state.epoch == after.epoch]
        if name.startswith("hb") and mine and mine[-1].mode != "stopped":
            raise BrokenPromiseError("P3", f"{process.name} handed {name!r} over, and its state is {mine[-1]}")

    def _check_fence(self, process: Process, fence: Fence | None) -> None:
        if fence is None:
            raise BrokenPromiseError("P4", f"{process.name} appended without a fence")
        if fence.epoch < self.epochs.get(fence.name, 0):
            self.world.counts["stale"] += 1
            raise BrokenPromiseError(
                "P4", f"epoch {fence.epoch} of {fence.name!r} wrote after {self.epochs[fence.name]}"
            )

    def _check_markers(self, process: Process, batch: Batch) -> None:
        """No marker is due later than its sender's clock, and its cut is where the source ended when it was due."""
        due = int64_view(batch.data.column("due"))
        told = process.clock.told
        allowed = max((at for at, _ in told), default=0)
        latest = max(int(due.max()), int(batch.timestamps.max()))
        if latest > allowed:
            self.world.counts["early"] += 1
            raise BrokenPromiseError("P2", f"{process.name} sent a marker of {latest} at {allowed} by its clock")
        source = naming.topic(self._beats[batch.topic], "Rate"), batch.partition
        cuts = int64_view(batch.data.column("source_cut"))
        self._remember_cuts(batch, cuts)
        rows = zip(due.tolist(), cuts.tolist(), batch.data.column("kind").to_pylist(), strict=True)
        for moment, cut in {(moment, cut) for moment, cut, kind in rows if kind == "final"}:
            ends = next(ends for at, ends in told if at >= moment)
            if not ends.get(source, 0) <= cut <= self.world.ends.get(source, 0):
                raise BrokenPromiseError(
                    "P1", f"the cut of a marker due at {moment} is {cut}, not {ends.get(source, 0)}"
                )

    def _remember_cuts(self, batch: Batch, cuts: Ints) -> None:
        """Keep, for each offset, the largest cut of all markers up to it."""
        known = self._cuts.setdefault((batch.topic, batch.partition), [])
        known += np.maximum.accumulate(np.maximum(cuts, known[-1] if known else 0)).tolist()

    def _state(self, batch: Batch) -> None:
        last = int64_view(batch.data.column("last_hb_at_utc")).tolist()
        rows = batch.data.select(["epoch", "mode", "schedule_offset"]).to_pylist()
        for key, moment, row in zip(batch.keys.to_pylist(), last, rows, strict=True):
            context = key.decode().split("\x1f")[2]
            ends = self.world.log.end_offsets(naming.heartbeat_topic(context, "Rate"))
            self.stated.append(Stated(context, row["epoch"], moment, ends, row["mode"], row["schedule_offset"]))

    def _check_progress(self, batch: Batch) -> None:
        """Heartbeats count as applied only when the ticks before them have been read."""
        for key, row in zip(batch.keys.to_pylist(), batch.data.to_pylist(), strict=True):
            _, _, _, context, _, partition = key.decode().split("\x1f")
            read, done = row["source_offset"], row["hb_offset"]
            if read < 0 or not done:
                continue
            cut = self._cuts[naming.heartbeat_topic(context, "Rate"), int(partition)][done - 1]
            if cut > read:
                raise BrokenPromiseError(
                    "P9", f"heartbeats with cut {cut} were applied when {read} ticks had been read"
                )

    def _check_final(self, batch: Batch) -> None:
        """A bar that is final stays so, where neither its sessions nor its query were changed."""
        edited = self._steady[batch.topic]
        finals = self._finals.setdefault(batch.topic, set())
        for key, final in zip(batch.keys.to_pylist(), batch.data.column("final").to_pylist(), strict=True):
            if final:
                finals.add(key)
            elif key in finals and key.decode().split("\x1f")[1] not in edited:
                raise BrokenPromiseError("P9", f"{batch.topic}: the bar {key!r} was final and is not any more")

    def _check_sweep(self, batches: Sequence[Batch]) -> None:
        for batch in batches:
            if batch.tombstones is None or not batch.tombstones.all():
                raise BrokenPromiseError("P9", f"bars of {batch.topic} were appended without how far has been read")

    def _check_specs(self, batch: Batch) -> None:
        """A specification is written after its query was registered."""
        keys = set(batch.keys.to_pylist())
        for spec in heartbeat_specs(self.world.log, ENV):
            if spec.key(ENV) in keys and spec.enabled:
                if not any(state.context == spec.context for state in self.stated):
                    self.since[spec.context] = max(spec.updated_ms, self.since.get(spec.context, 0))
                known = {r.version: r.state for r in registrations(self.world.log, ENV, spec.context)}
                if known.get(spec.version) not in {"registered", "applied"}:
                    raise BrokenPromiseError("P5", f"{spec.id} was written while v{spec.version} is {known}")

    def _check_record(self) -> None:
        """A version is an intent first, then registered, then applied with its specification, then stopped."""
        specs: dict[tuple[str, str], Any] = {
            (s.context, s.query): s.version for s in heartbeat_specs(self.world.log, ENV)
        }
        for record in registrations(self.world.log, ENV):
            before = self._states.get(record.name)
            if record.state == before:
                continue
            if before not in RECORDED[record.state]:
                raise BrokenPromiseError("P5", f"{record.name} is {record.state} after {before}")
            if record.state == "applied" and specs.get((record.context, record.query)) != record.version:
                raise BrokenPromiseError("P5", f"{record.name} is applied, and the specification is {specs}")
            self._states[record.name] = record.state


def plain(column: pa.Array) -> list[Any]:
    """Return times as ms, dates as days, and everything else as it is."""
    if pa.types.is_timestamp(column.type):
        return list(column.cast(pa.int64()).to_pylist())
    return list((column.cast(pa.int32()) if pa.types.is_date32(column.type) else column).to_pylist())
