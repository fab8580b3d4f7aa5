"""What comes out of a column of a file: values, and which rows have none and why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Mask = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Parsed:
    """Holds the values of a column.

    Args:
        values: One a row; anything where the row is null or bad.
        null: Where the file has nothing; None means nowhere.
        bad: Reasons, each with the rows it holds for; without those that hold for none.
        rounded: How many values had more digits than are kept.
    """

    values: pa.Array
    null: Mask | None = None
    bad: tuple[tuple[str, Mask], ...] = ()
    rounded: int = 0


def reasons(*found: tuple[str, Mask | None]) -> tuple[tuple[str, Mask], ...]:
    """Return the reasons that hold for some row.

    >>> reasons(("is late", None), ("is odd", np.array([False])))
    ()
    """
    return tuple((reason, mask) for reason, mask in found if mask is not None and mask.any())


def nulls(values: pa.Array) -> Mask | None:
    """Return where a column has nothing, or None if that is nowhere.

    >>> nulls(pa.array([1, None])).tolist()
    [False, True]
    """
    return np.asarray(pc.is_null(values).to_numpy(zero_copy_only=False)) if values.null_count else None


def plain(values: pa.Array) -> pa.Array:
    """Return a column without a dictionary, text as `string`.

    >>> plain(pa.array(["a"]).dictionary_encode()).type
    DataType(string)
    """
    kind = values.type.value_type if pa.types.is_dictionary(values.type) else values.type
    return values.cast(pa.string() if is_text(kind) else kind)


def is_text(kind: pa.DataType) -> bool:
    """Return whether a type is text, in whatever layout.

    >>> is_text(pa.large_string()), is_text(pa.int64())
    (True, False)
    """
    if pa.types.is_dictionary(kind):
        return is_text(kind.value_type)
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def parse(
    texts: pa.Array,
    rows: Ints,
    readers: Sequence[Callable[[pa.Array], npt.NDArray[np.generic]]],
    out: npt.NDArray[np.generic],
) -> Ints:
    """Read text into the rows of `out`, halving a range until every bad row stands alone.

    Args:
        texts: The column, without nulls in `rows`.
        rows: Which rows to read.
        readers: Tried in turn; each raises `pa.ArrowInvalid` where it cannot read all it is handed.
        out: Where the values go.

    Returns:
        The rows no reader can read.
    """
    bad: list[Ints] = []
    ranges = [rows]
    while ranges:
        part = ranges.pop()
        if part.shape[0] and not _read(texts.take(pa.array(part)), part, readers, out):
            if part.shape[0] == 1:
                bad.append(part)
            else:
                ranges += [part[part.shape[0] // 2 :], part[: part.shape[0] // 2]]
    return np.concatenate(bad) if bad else np.zeros(0, dtype=np.int64)


def _read(
    texts: pa.Array,
    rows: Ints,
    readers: Sequence[Callable[[pa.Array], npt.NDArray[np.generic]]],
    out: npt.NDArray[np.generic],
) -> bool:
    for reader in readers:
        try:
            out[rows] = reader(texts)
        except pa.ArrowInvalid:
            continue
        return True
    return False


def matching(texts: pa.Array, pattern: str) -> Mask:
    r"""Return the rows whose text has a form; nulls have none.

    >>> matching(pa.array(["1", "x", None]), r"^\d+$").tolist()
    [True, False, False]
    """
    found = pc.match_substring_regex(texts, pattern)
    return np.asarray(found.fill_null(False).to_numpy(zero_copy_only=False))
