"""Rows of files that cannot be used: counted by reason, and listed for who wants them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ashioto.files.parsed import Ints
    from ashioto.files.reading import BrokenLine, Part

_SHOWN: Final = 80
REJECTS: Final = pa.schema(
    [("file", pa.string()), ("row", pa.int64()), ("reason", pa.string()), ("value", pa.string())]
)
"""Columns of a list of rejected rows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RejectedRow:
    """Names a row that cannot be used.

    Args:
        file: Where it stands.
        row: Its number in the file, from 1; the header and empty lines do not count.
        reason: What is wrong, e.g. `bid is no number`.
        value: What the file has there.
    """

    file: Path
    row: int
    reason: str
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejected:
    """Holds the rows of a part that cannot be used.

    Args:
        part: The part.
        rows: Which rows of it, ascending.
        why: For each of them the number of its reason.
        reasons: Column of the file and what is wrong with it.
    """

    part: Part
    rows: Ints
    why: Ints
    reasons: tuple[tuple[str, str], ...]

    def __len__(self) -> int:
        return int(self.rows.shape[0]) + len(self.part.broken)

    def counts(self) -> Counter[str]:
        """Return how many rows there are of each reason."""
        found = Counter(_why_broken(line) for line in self.part.broken)
        for number, count in enumerate(np.bincount(self.why, minlength=len(self.reasons)).tolist()):
            if count:
                found[" ".join(self.reasons[number])] += count
        return found

    def examples(self) -> dict[str, RejectedRow]:
        """Return the first row of each reason."""
        _, firsts = np.unique(self.why, return_index=True)
        found = [*self._broken(), *(self._row(at) for at in firsts.tolist())]
        return {row.reason: row for row in sorted(found, key=lambda row: -row.row)}

    def __iter__(self) -> Iterator[RejectedRow]:
        found = [*self._broken(), *(self._row(at) for at in range(self.rows.shape[0]))]
        return iter(sorted(found, key=lambda row: row.row) if self.part.broken else found)

    def to_table(self) -> pa.Table:
        """Return them as rows of `REJECTS`."""
        rows = [{"file": str(r.file), "row": r.row, "reason": r.reason, "value": r.value} for r in self]
        return pa.Table.from_pylist(rows, schema=REJECTS)

    def _row(self, at: int) -> RejectedRow:
        row, (column, problem) = int(self.rows[at]), self.reasons[int(self.why[at])]
        return RejectedRow(
            file=self.part.file,
            row=self.part.number(row),
            reason=f"{column} {problem}",
            value=text_of(self.part.rows.column(column)[row]),
        )

    def _broken(self) -> list[RejectedRow]:
        return [
            RejectedRow(file=self.part.file, row=line.row, reason=_why_broken(line), value=_short(line.text))
            for line in self.part.broken
        ]


def text_of(value: pa.Scalar) -> str:
    """Return a cell as a person would read it, whatever is in it.

    >>> text_of(pa.scalar("abc")), text_of(pa.scalar(None, pa.int64()))
    ('abc', '')
    """
    kind = value.type.value_type if pa.types.is_dictionary(value.type) else value.type
    try:
        found = value.as_py()
    except UnicodeDecodeError:
        found = value.cast(kind).cast(pa.binary()).as_py().decode(errors="backslashreplace")
    except ValueError:  # finer than what Python's times hold
        found = value.cast(pa.string()).as_py()
    return _short("" if found is None else str(found))


def _why_broken(line: BrokenLine) -> str:
    return f"the line has too {'many' if line.cells > line.wanted else 'few'} cells"


def _short(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
