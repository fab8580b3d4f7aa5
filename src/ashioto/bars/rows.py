"""Names rows of bars in messages, and refuses the first one that breaks a rule."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ashioto import keys
from ashioto.errors import InputError
from ashioto.schedule.sessions import time_text

if TYPE_CHECKING:
    from collections.abc import Callable

    import pyarrow as pa

    from ashioto.errors import AshiotoError
    from ashioto.schedule.sessions import Flags, Ints


class BarRows:
    """Knows the number, the key and the bucket of each row.

    Args:
        numbers: Number of each row in what the user handed in; shape (n,).
        series: Key bytes of each, without the bucket start; shape (n,).
        start: Bucket start of each, ms; shape (n,).
    """

    def __init__(self, numbers: Ints, series: pa.DictionaryArray, start: Ints) -> None:
        self.numbers, self.series, self.start = numbers, series, start

    def __len__(self) -> int:
        return int(self.numbers.shape[0])

    def key(self, at: int) -> tuple[str, ...]:
        """Return the key parts of a row."""
        return tuple(keys.decode(self.series[at].as_py()))

    def name(self, at: int) -> str:
        """Return what a row is called in messages."""
        whose = " ".join([*self.key(at), time_text(int(self.start[at]))])
        return f"row {self.numbers[at]} ({whose})"

    def take(self, order: Ints) -> BarRows:
        """Return some rows."""
        return BarRows(self.numbers[order], self.series.take(order), self.start[order])

    def refuse(
        self, bad: Flags, rule: str, says: Callable[[int], str], *, hint: str,
        column: str | None = None, error: type[AshiotoError] = InputError,
    ) -> None:  # fmt: skip
        """Raise where a mask is set.

        Args:
            bad: The mask; shape (n,).
            rule: Short name of the rule, for programs.
            says: What is wrong with a row, with its value.
            hint: The way out.
            column: Which column is wrong.
            error: What to raise.

        Raises:
            AshiotoError: It is set somewhere; of all such rows the one with the smallest number is named.
        """
        at = np.flatnonzero(bad)
        if not at.size:
            return
        first = int(at[np.argmin(self.numbers[at])])
        ids = {} if column is None else {"column": column}
        raise error(
            f"{self.name(first)}: {says(first)}", hint=hint, row=int(self.numbers[first]), rule=rule,
            key=self.key(first), **ids,
        )  # fmt: skip
