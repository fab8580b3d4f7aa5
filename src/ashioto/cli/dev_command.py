"""`rc dev`: every role in one process."""

from __future__ import annotations


def dev() -> None:
    """Run everything of the project in one process: topics, engine and heartbeats, until ^C."""
    from ashioto.cli.dev import run_dev
    from ashioto.config import load_config

    run_dev(load_config())
