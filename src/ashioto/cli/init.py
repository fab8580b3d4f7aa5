"""`rc init`: a starter project that works as it is."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import typer

from ashioto.errors import UsageError

FILES: Final = {
    "ashioto.toml": "ashioto.toml",
    "bars.py": "bars.py.txt",
    "README.md": "README.md",
    ".gitignore": "gitignore.txt",
}
"""Files of the project, and the templates they are copied from."""
ON_KAFKA: Final = {"ashioto.toml": "kafka.toml", "README.md": "kafka.md"}
"""What other templates a project on Kafka has."""


def init(
    folder: Annotated[Path, typer.Argument(help="Where; made if it is not there.")] = Path(),
    *,
    kafka: Annotated[bool, typer.Option("--kafka", help="Keep records on Kafka, not in one file.")] = False,
) -> None:
    """Make a starter project: ashioto.toml, bars.py and a README that says what to do next."""
    taken = [name for name in FILES if (folder / name).exists()]
    if taken:
        raise UsageError(
            f"{folder.resolve()} already holds {', '.join(taken)}", hint="choose another folder: rc init my-bars"
        )
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder} is a file", hint="choose a folder: rc init my-bars")
    folder.mkdir(parents=True, exist_ok=True)
    for name, template in (FILES | (ON_KAFKA if kafka else {})).items():
        (folder / name).write_text(read_template(template), encoding="utf-8")
    typer.echo(f"made {', '.join(FILES)} in {folder.resolve()}")
    if kafka:
        typer.echo("First: say in ashioto.toml where Kafka and its schema registry are.")
    typer.echo(
        f"{'Then' if kafka else 'Next'}: read README.md there; it imports a schedule, starts `rc dev` and sends ticks."
    )


def read_template(name: str) -> str:
    """Return the text of a starter file.

    >>> "contexts" in read_template("ashioto.toml")
    True
    """
    from importlib.resources import files

    return (files("ashioto.cli") / "starter" / name).read_text(encoding="utf-8")
