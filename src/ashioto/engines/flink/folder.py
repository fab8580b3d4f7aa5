"""Checkpoints in a folder: what is left of the state of jobs that the job manager has forgotten."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

from ashioto.engines.flink.identity import JobId

_NUMBERED: Final = re.compile(r"chk-(\d+)")
_WHOLE: Final = "_metadata"
"""Written last: a checkpoint without it was cut off."""


def local_folder(uri: str) -> Path | None:
    """Return a folder that this machine may be able to read; None where it is on some other storage.

    >>> local_folder("file:///data/flink").as_posix()
    '/data/flink'
    >>> local_folder("s3://bucket/flink") is None
    True
    """
    parts = urlsplit(uri)
    return Path(unquote(parts.path)) if parts.scheme == "file" and parts.netloc in {"", "localhost"} else None


def newest_checkpoint(uri: str, owner: str, sql: str) -> tuple[JobId, str] | None:
    """Return the newest whole checkpoint of a version that ran by the same SQL, and the job that it is of.

    Args:
        uri: Where checkpoints are.
        owner: Of the version, see `JobId`.
        sql: Of the SQL, see `JobId`.
    """
    folder = local_folder(uri)
    jobs = [job for path in _entries(folder) if (job := JobId.parse(path.name)) is not None] if folder else []
    mine = [job for job in jobs if (job.owner, job.sql) == (owner, sql)]
    for job in sorted(mine, key=lambda job: job.attempt, reverse=True):
        found = [(int(match[1]), path) for path in _entries(Path(folder or "", str(job)))
                 if (match := _NUMBERED.fullmatch(path.name)) and (path / _WHOLE).is_file()]  # fmt: skip
        if found:
            return job, f"{uri.rstrip('/')}/{job}/{max(found)[1].name}"
    return None


def _entries(folder: Path) -> list[Path]:
    """Return what is in a folder; nothing where this machine does not have it, or may not look."""
    try:
        return list(folder.iterdir())
    except OSError:
        return []
