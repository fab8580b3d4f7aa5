"""`rc dev`: every role in one process."""

from __future__ import annotations

from typing import Annotated

import typer


def dev(
    *,
    wall: Annotated[bool, typer.Option("--wall", help="Keep to today's clock, whatever was played back.")] = False,
) -> None:
    """Run everything of the project in one process, until ^C: topics, engine and heartbeats."""
    from ashioto.cli.dev import run_dev
    from ashioto.config import load_config

    run_dev(load_config(), wall=wall, tell=typer.echo)
