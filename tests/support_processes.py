"""Processes that tests say are gone, and that note who would have been ended."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ashioto.log.leases import Holder


@dataclass
class FakeProcesses:
    """Knows who is gone; ends whom it is told to, unless it shall not."""

    gone: set[Holder] = field(default_factory=set)
    ended: list[Holder] = field(default_factory=list)
    may_end: bool = True

    def is_gone(self, holder: Holder) -> bool:
        return holder in self.gone

    def end(self, holder: Holder) -> bool:
        if self.may_end:
            self.ended.append(holder)
            self.gone.add(holder)
        return self.may_end
