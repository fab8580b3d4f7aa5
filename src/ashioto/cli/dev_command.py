"""`rc dev`: every role in one process."""

from __future__ import annotations

from typing import Annotated

import typer


def dev(
    *,
    wall: Annotated[
        bool, typer.Option("--wall", help="Return to today's clock and keep to it, whatever is played back.")
    ] = False,
) -> None:
    """Run everything of the project in one process, until ^C: topics, engine and heartbeats."""
    import sys

    from ashioto.cli.dev import run_dev
    from ashioto.cli.dev_screen import Screen
    from ashioto.config import load_config

    run_dev(load_config(), Screen(sys.stdout), wall=wall)
