"""Ids of jobs: which version a job runs, by which SQL, since when. So jobs and their checkpoints need no other record.

A job that is started again must have another id, and old state must not be read back by other SQL: so the number of
the attempt and a hash of the SQL are in it.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import Final

_SHAPE: Final = re.compile(r"([0-9a-f]{10})([0-9a-f]{7})([0-9a-f]{7})([0-9a-f]{8})")
MINUTE_MS: Final = 60_000


@dataclass(frozen=True, slots=True, kw_only=True)
class JobId:
    """Names a job.

    Args:
        owner: Hash of prefix, environment, cluster and version: 10 digits.
        sql: Hash of what it does: 7 digits.
        since_min: Buckets before this minute are left alone; 0 where none is.
        attempt: Second at which it was submitted.

    >>> str(JobId(owner="0" * 10, sql="1" * 7, since_min=2, attempt=3))
    '00000000001111111000000200000003'
    """

    owner: str
    sql: str
    since_min: int
    attempt: int

    def __str__(self) -> str:
        return f"{self.owner}{self.sql}{self.since_min:07x}{self.attempt:08x}"

    @property
    def since_ms(self) -> int | None:
        """Buckets before this moment are left alone, ms; None where none is.

        >>> JobId.parse("00000000001111111000000200000003").since_ms
        120000
        """
        return self.since_min * MINUTE_MS if self.since_min else None

    @classmethod
    def parse(cls, text: str) -> JobId | None:
        """Return the parts of an id; None where it is none of ours.

        >>> JobId.parse("a662011aea41f156439831989bfba4") is None
        True
        """
        match = _SHAPE.fullmatch(text)
        if match is None:
            return None
        return cls(owner=match[1], sql=match[2], since_min=int(match[3], 16), attempt=int(match[4], 16))


def owner_of(prefix: str, env: tuple[str, ...], name: str) -> str:
    """Return the digits of a version of a query in an environment.

    Args:
        prefix: Of the topics: a cluster may run the queries of several worlds.
        env: Environment and cluster.
        name: Of the version.

    >>> owner_of("", ("dev", "local"), "bars_v1") == owner_of("", ("prod", "local"), "bars_v1")
    False
    """
    return _digits("\x1f".join((prefix, *env, name)))[:10]


def group_of(env: tuple[str, ...], name: str) -> str:
    """Return the consumer group of a version of a query, behind the prefix of the log.

    >>> group_of(("dev", "local"), "trading_rate_bars_v1")
    'ashioto-dev-local-trading_rate_bars_v1'
    """
    return "-".join(("ashioto", *env, name))


def sql_of(text: str) -> str:
    """Return the digits of a script.

    >>> len(sql_of("SELECT 1"))
    7
    """
    return _digits(text)[:7]


def minute_of(since_ms: int | None) -> int:
    """Return the minute from which on buckets are whole, if they are from a moment on; 0 where all are.

    >>> minute_of(None), minute_of(60_001)
    (0, 2)
    """
    return 0 if since_ms is None else max(-(-since_ms // MINUTE_MS), 1)


def _digits(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
