"""Where `rc dev` says how it stands: one line that changes for people, a line now and then for files."""

from __future__ import annotations

from dataclasses import dataclass, field
from shutil import get_terminal_size
from typing import TYPE_CHECKING, Final, TextIO

if TYPE_CHECKING:
    from ashioto.cli.dev import DevStatus

_CLEAR: Final = "\r\x1b[2K"
PEOPLE_SECONDS: Final = 0.5
FILE_SECONDS: Final = 10.0


@dataclass(slots=True)
class Screen:
    """Writes what happens, and how the project stands.

    Args:
        out: Where to.

    >>> import sys
    >>> Screen(sys.stdout).tell("running")
    running
    """

    out: TextIO
    _shown: str = field(default="", init=False)
    _counts: list[str] = field(default_factory=list, init=False)

    @property
    def interval(self) -> float:
        """Seconds between two looks at the status."""
        return PEOPLE_SECONDS if self.out.isatty() else FILE_SECONDS

    def tell(self, text: str) -> None:
        """Write a line that stays."""
        self._write(f"{_CLEAR if self._shown else ''}{text}\n")
        self._shown = ""

    def show(self, status: DevStatus) -> None:
        """Say how the project stands; in a file only when more has been counted."""
        line = status.line()
        if self.out.isatty():
            self._write(f"{_CLEAR}{line[: get_terminal_size().columns - 1]}")
            self._shown = line
        elif status.counts() != self._counts:
            self._counts = status.counts()
            self.tell(line)

    def _write(self, text: str) -> None:
        self.out.write(text)
        self.out.flush()
