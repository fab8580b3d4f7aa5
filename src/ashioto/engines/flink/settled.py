"""How far a job has not only read, but also written bars.

The offsets that a job commits are those of its last checkpoint. Ticks that were read just before it may still lie in a
slice of time that ends later. So what is committed counts from the checkpoint on that began when that slice was over:
a checkpoint is complete only when everything before it has been written.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ashioto.engines.flink.jobs import Checkpoints

    Cuts = Mapping[int, int]


class Settled:
    """Knows what of the offsets that a job has committed is written.

    Args:
        slice_ms: How long ticks may lie in a slice, ms.

    >>> from ashioto.engines.flink.jobs import Checkpoints
    >>> settled = Settled(500)
    >>> settled.of("job", {0: 7}, Checkpoints(completed=1, begun_ms=1_000, at_ms=1_100)) is None
    True
    >>> settled.of("job", {0: 9}, Checkpoints(completed=2, begun_ms=1_700, at_ms=1_800))
    {0: 7}
    """

    def __init__(self, slice_ms: int) -> None:
        self._slice_ms = slice_ms
        self._waiting: dict[str, list[tuple[int, Cuts]]] = {}
        self._written: dict[str, Cuts] = {}

    def of(self, job: str, cuts: Cuts, saved: Checkpoints) -> Cuts | None:
        """Return the newest offsets of a job that are written, or None where none is known to be.

        Args:
            job: Its id.
            cuts: What it has committed, as it was just now.
            saved: How its state is saved, asked after that.
        """
        waiting = self._waiting.setdefault(job, [])
        if saved.at_ms is not None and (not waiting or waiting[-1][1] != cuts) and self._written.get(job) != cuts:
            waiting.append((saved.at_ms + self._slice_ms, cuts))
        while waiting and saved.begun_ms is not None and waiting[0][0] <= saved.begun_ms:
            self._written[job] = waiting.pop(0)[1]
        return self._written.get(job)
