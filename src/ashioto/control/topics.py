"""The topics and keys that roles speak through, and the columns of heartbeats."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pyarrow as pa

from ashioto import keys
from ashioto.log.base import TopicSpec
from ashioto.period import DAY_MS
from ashioto.schema.arrow import TIME

if TYPE_CHECKING:
    from collections.abc import Sequence

APPLIED: Final = "rc.infra.applied"
HB_SPECS: Final = "rc.hb.specs"
HB_STATE: Final = "rc.hb.state"
MIGRATE_JOBS: Final = "rc.migrate.jobs"
HEARTBEATS_KEPT_MS: Final = 7 * DAY_MS

APPLIED_SCHEMA: Final = pa.schema(
    [
        ("query", pa.string()),
        ("version", pa.int64()),
        ("state", pa.string()),
        ("engine", pa.string()),
        ("checksum", pa.string()),
        ("plan", pa.string()),
        ("begins", pa.string()),
        ("updated_at_utc", TIME),
    ]
)
HB_SPECS_SCHEMA: Final = pa.schema(
    [
        ("schedule_topic", pa.string()),
        ("open_column", pa.string()),
        ("close_column", pa.string()),
        ("day_column", pa.string()),
        ("grace", pa.int64()),
        ("hb_interval", pa.int64()),
        ("query_checksum", pa.string()),
        ("version", pa.int64()),
        ("enabled", pa.bool_()),
        ("updated_at_utc", TIME),
        ("query", pa.string()),
        ("frames", pa.list_(pa.string())),
        ("align", pa.string()),
        ("group_by", pa.list_(pa.string())),
        ("schedule_keys", pa.list_(pa.string())),
        ("join_ticks", pa.list_(pa.string())),
        ("join_schedule", pa.list_(pa.string())),
    ]
)
HB_STATE_SCHEMA: Final = pa.schema(
    [
        ("last_hb_at_utc", TIME),
        ("mode", pa.string()),
        ("holder", pa.string()),
        ("epoch", pa.int64()),
        ("updated_at_utc", TIME),
        ("schedule_offset", pa.int64()),
        ("grace", pa.int64()),
    ]
)


def control_key(*parts: str) -> bytes:
    r"""Return the key of a control record: `env␟cluster␟context␟…`, without a version.

    >>> control_key("dev", "local", "trading", "Rate", "1m")
    b'dev\x1flocal\x1ftrading\x1fRate\x1f1m'
    """
    return keys.SEPARATOR.join(map(keys.escape, parts)).encode()


def control_parts(key: bytes) -> list[str]:
    """Return the parts of a control key.

    >>> control_parts(control_key("dev", "local", "trading"))
    ['dev', 'local', 'trading']
    """
    return keys.decode(keys.VERSION.encode() + keys.SEPARATOR.encode() + key)


def below(*parts: str) -> tuple[bytes, bytes]:
    r"""Return the range of keys that begin with these parts and go on: first, and first beyond.

    >>> below("dev", "local")
    (b'dev\x1flocal\x1f', b'dev\x1flocal ')
    """
    prefix = control_key(*parts)
    return prefix + keys.SEPARATOR.encode(), prefix + bytes([keys.SEPARATOR.encode()[0] + 1])


def control_topics() -> list[TopicSpec]:
    """Return the topics that `infra apply` and the heartbeat write."""
    named = [(APPLIED, APPLIED_SCHEMA), (HB_SPECS, HB_SPECS_SCHEMA), (HB_STATE, HB_STATE_SCHEMA)]
    return [TopicSpec(name=n, partitions=1, cleanup="compact", schema=s, retention_ms=None) for n, s in named]


def marker_schema(group_by: Sequence[str]) -> pa.Schema:
    """Return the columns of an entity's heartbeats.

    Args:
        group_by: The grouping columns of the query they are for.
    """
    return pa.schema(
        [
            *(pa.field(name, pa.string()) for name in group_by),
            ("base", pa.string()),
            ("kind", pa.string()),
            ("at", TIME),
            ("due", TIME),
            ("bucket_start", TIME),
            ("bucket_end", TIME),
            ("market_date", pa.date32()),
            ("session_open", TIME),
            ("closes", pa.list_(pa.string())),
            ("next_at", TIME),
            ("next_bucket_start", TIME),
            ("next_market_date", pa.date32()),
            ("next_session_open", TIME),
            ("source_cut", pa.int64()),
            ("epoch", pa.int64()),
        ]
    )
