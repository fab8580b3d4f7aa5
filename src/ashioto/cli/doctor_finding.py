"""What `rc doctor` has found."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from ashioto.errors import LogError


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Holds the outcome of one check.

    Args:
        state: `ok`, `warning`, or `error` for what does not work.
        check: What was looked at.
        detail: What there is.
        hint: The way out.
    """

    state: Literal["ok", "warning", "error"]
    check: str
    detail: str
    hint: str = ""

    def row(self) -> dict[str, object]:
        """Return it for printing.

        >>> Finding(state="ok", check="python", detail="3.11").row()
        {'state': 'ok', 'check': 'python', 'detail': '3.11', 'hint': ''}
        """
        return asdict(self)


def denied(error: LogError) -> bool:
    """Return whether a log has refused something to this user that it may do for others.

    >>> from ashioto.errors import LogError
    >>> denied(LogError("no", denied=True)), denied(LogError("no"))
    (True, False)
    """
    return bool(error.ids.get("denied"))
