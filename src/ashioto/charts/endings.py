"""Chooses how a picture is written by the ending of its name."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from ashioto.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_T = TypeVar("_T")


def by_ending(out: Path, writers: Mapping[str, _T]) -> _T:
    """Return what writes a file, and make its folder.

    Args:
        out: The file.
        writers: One for `.png` and one for `.html`.

    Raises:
        InputError: The ending is another.

    >>> from pathlib import Path
    >>> by_ending(Path("day.PNG"), {".png": "draws", ".html": "writes"})
    'draws'
    """
    writer = writers.get(out.suffix.lower())
    if writer is None:
        raise InputError(f"cannot draw a {out.suffix or 'nameless'} file: {out}", hint="end it in .png or .html")
    out.parent.mkdir(parents=True, exist_ok=True)
    return writer
