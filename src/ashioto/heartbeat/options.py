"""How a heartbeat behaves, apart from what it says."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class HeartbeatOptions:
    """Says how much is sent at once and how often changes are looked for.

    Args:
        max_rows: Most markers of one append; a catch-up is cut into such pieces.
        watch_s: How often changed specifications, schedules and keys are looked for, seconds.
        retry_s: After how long a specification that could not be served is tried again, seconds.
        warn_days: How many days ahead the end of a schedule is warned of.
        catch_up_ms: How far back markers are sent that were due while nobody was active; None is for ever.
    """

    max_rows: int = 100_000
    watch_s: float = 0.25
    retry_s: float = 5.0
    warn_days: int = 7
    catch_up_ms: int | None = None
