"""What stands in the way of bars: live bars, other bars, and each other."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ashioto import keys
from ashioto.errors import InputError
from ashioto.schedule.sessions import time_text
from ashioto.schema.arrow import mask_of

if TYPE_CHECKING:
    from ashioto.bars.intake import Taken
    from ashioto.bars.present import Present
    from ashioto.dsl.bar import BarBinding
    from ashioto.schedule.sessions import Flags


def is_synthetic(present: Present) -> Flags:
    """Return which of the bars that are there are synthetic."""
    return _flags(present, "synthetic", default=False)


def check_live(binding: BarBinding, bars: Taken, present: Present) -> None:
    """Refuse bars in whose place a live one of a continuous query is: the engine still changes it.

    Raises:
        InputError: There is one; names its row.
    """
    if binding.query.continuous:
        bars.rows.refuse(
            _placed(bars, present, ~_flags(present, "final", default=True)), "live_bucket",
            lambda _: "the bar that is there is still live",
            hint="it becomes final once engine and heartbeat have come so far: rc hb list; or leave the row out",
        )  # fmt: skip


def check_clash(bars: Taken, present: Present, clash: Flags, differs: dict[str, Flags]) -> None:
    """Refuse bars in whose place another one is.

    Args:
        bars: The bars.
        present: Those that are there.
        clash: Which of those are in the way; shape of `present`.
        differs: Where they differ, by column; shape of `present`.

    Raises:
        InputError: One is in the way; names its row, and the first column that differs.
    """

    def says(at: int) -> str:
        there = int(np.searchsorted(present.rows, at))
        for name, wrong in differs.items():
            if wrong[there]:
                theirs, mine = present.data[name][there].as_py(), bars.data[name][at].as_py()
                return f"another bar is there: its {name} is {theirs}, not {mine}"
        return "the same bar is there"

    bars.rows.refuse(
        _placed(bars, present, clash), "conflict", says,
        hint='conflict="upsert" replaces what is there, conflict="skip" leaves it',
    )  # fmt: skip


def twins(series: bytes, start: int, rows: tuple[int, int]) -> InputError:
    r"""Return the error for two rows that are one bar.

    Args:
        series: Their key bytes, without the bucket start.
        start: Their bucket start, ms.
        rows: Their numbers.

    >>> print(twins(b"1\x1fA", 60_000, (3, 7)))
    row 7 (A 1970-01-01T00:01:00Z): the same key and bucket_start as in row 3
    Hint: a bar is there once; leave one of them out
    """
    key = tuple(keys.decode(series))
    return InputError(
        f"row {rows[1]} ({' '.join([*key, time_text(start)])}): the same key and bucket_start as in row {rows[0]}",
        hint="a bar is there once; leave one of them out", row=rows[1], rule="duplicate", key=key,
    )  # fmt: skip


def _placed(bars: Taken, present: Present, wrong: Flags) -> Flags:
    """Return the rows in whose place something is wrong."""
    found = np.zeros(len(bars.rows), dtype=np.bool_)
    found[present.rows[wrong]] = True
    return found


def _flags(present: Present, name: str, *, default: bool) -> Flags:
    return mask_of(present.data[name], null=default)
