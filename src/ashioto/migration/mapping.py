"""Mapping files: how the columns, numbers and times of files become those of bars.

::

    columns:                  # column of the bars: column of the file; the others keep their names
      bucket_start: ts
      open: bid_open
    constants:                # column of the bars: one value for all; null is nothing
      symbol: EURUSD
      volume: null
    scale: {open: 5}          # whole numbers that have so many digits after the point
    bucket: end               # the times say where bars end; `start` when not given
    time_zone: Asia/Tokyo     # where times without a zone are local; UTC when not given
    time_unit: ms             # what times that are numbers count since 1970; told by the first when not given
    day_zone: Etc/GMT+5       # where the days of day, week and month bars begin; UTC when not given
"""

from __future__ import annotations

import difflib
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, cast

from ashioto.errors import ConfigError, UsageError
from ashioto.files.times import UNITS, zone_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ashioto.dsl.bar import BarBinding
    from ashioto.files.times import TimeUnit

Convention = Literal["start", "end"]
FOLDER: Final = Path("dict/migration_maps")
"""Where a project keeps its mappings; a name without an ending is looked up here."""
PERIOD: Final = "period"
"""A column that files of several kinds of bars have, as those of `rc bars build`; bars have it not."""

_ENDINGS: Final = (".yaml", ".yml", ".toml")
_SECTIONS: Final = ("columns", "constants", "scale", "bucket", "time_zone", "time_unit", "day_zone")
_MOST_DIGITS: Final = 18


@dataclass(frozen=True, slots=True, kw_only=True)
class BarMap:
    """Says how files become bars.

    Args:
        file: Where it was read from; None where it was not.
        columns: Column of the file, by column of the bars; those not named keep their name.
        constants: Value by column of the bars, as text, for columns that are not in the files; None is nothing.
        scale: By column of the bars: digits after the point of numbers that are whole in the files.
        bucket: Whether times say where a bar starts or where it ends.
        time_zone: Where times without a zone are local.
        time_unit: What times that are numbers count since 1970; None tells it by the first.
        day_zone: Where the days of bars of days, weeks and months begin.

    >>> BarMap(columns={"open": "o"}).source("open"), BarMap().source("open")
    ('o', 'open')
    """

    file: Path | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    constants: Mapping[str, str | None] = field(default_factory=dict)
    scale: Mapping[str, int] = field(default_factory=dict)
    bucket: Convention = "start"
    time_zone: str = "UTC"
    time_unit: TimeUnit | None = None
    day_zone: str = "UTC"

    def source(self, column: str) -> str:
        """Return the column of the files that a column of the bars is read from."""
        return self.columns.get(column, column)

    def with_constants(self, more: Mapping[str, str]) -> BarMap:
        """Return it with further constants, which stand above those it has and above its columns."""
        kept = {name: source for name, source in self.columns.items() if name not in more}
        return BarMap(
            file=self.file,
            columns=kept,
            constants={**self.constants, **more},
            scale=self.scale,
            bucket=self.bucket,
            time_zone=self.time_zone,
            time_unit=self.time_unit,
            day_zone=self.day_zone,
        )

    def check(self, binding: BarBinding) -> None:
        """Raise unless every column it names is one of these bars, and of a type that fits.

        Raises:
            ConfigError: One is not; names file, key, and the nearest column.
        """
        for section in ("columns", "constants", "scale"):
            known = [*binding.columns, *([PERIOD] if section == "columns" else [])]
            for name in getattr(self, section):
                if name not in known:
                    what = f"{section}.{name} is no column of {binding.topic}"
                    raise self.error(what, _nearest(name, known))
        for name in self.scale:
            if binding.columns[name].name not in {"decimal", "float64"}:
                what = f"scale.{name}: {name} is {binding.columns[name]}, which has no digits after the point"
                raise self.error(what, "leave it out")
        for name in (*binding.query.group_by, "bucket_start"):
            if name in self.constants and self.constants[name] is None:
                raise self.error(f"constants.{name} is null, and no bar is without a {name}", f"give {name} a value")

    def error(self, what: str, hint: str) -> ConfigError:
        """Return an error of this mapping."""
        return ConfigError(f"{self.file}: {what}" if self.file else what, hint=hint, file=str(self.file or ""))


def find_map(name: str, root: Path) -> Path:
    """Return the file of a mapping: a path, or the name of one of the project's.

    Args:
        name: `mine.yaml`, or `mine` for `dict/migration_maps/mine.yaml`.
        root: Folder of the project.

    Raises:
        UsageError: There is none; names those there are.

    >>> find_map("nothing_of_this_name", Path("."))
    Traceback (most recent call last):
    ...
    ashioto.errors.UsageError: --map nothing_of_this_name: there is no such mapping
    Hint: make dict/migration_maps/nothing_of_this_name.yaml, or name a file
    """
    given = Path(name)
    if given.suffix.lower() in _ENDINGS:
        for path in (given, root / FOLDER / given):
            if path.is_file():
                return path
    else:
        for ending in _ENDINGS:
            path = root / FOLDER / f"{name}{ending}"
            if path.is_file():
                return path
    known = sorted(path.stem for path in (root / FOLDER).glob("*") if path.suffix.lower() in _ENDINGS)
    near = difflib.get_close_matches(given.stem, known, 1)
    hint = f"there are {', '.join(known)}" if known else f"make {FOLDER}/{given.stem}.yaml, or name a file"
    raise UsageError(
        f"--map {name}: there is no such mapping", hint=f"did you mean {near[0]}?" if near else hint, map=name
    )


def load_map(path: Path) -> BarMap:
    """Read a mapping.

    Args:
        path: A .yaml, .yml or .toml file.

    Raises:
        ConfigError: It cannot be read, or says something that is not known; names file, key and the way out.

    >>> import tempfile
    >>> file = Path(tempfile.mkdtemp(), "mine.toml")
    >>> _ = file.write_text('bucket = "end"')
    >>> load_map(file).bucket
    'end'
    """
    found = BarMap(file=path)
    try:
        text = path.read_text(encoding="utf-8")
        said: object = _toml(text) if path.suffix.lower() == ".toml" else _yaml(text)
    except (OSError, UnicodeDecodeError) as error:
        raise found.error(f"cannot be read: {error}", "is it a text file that may be read?") from error
    except ValueError as error:
        raise found.error(str(error), "see docs/reference/migrate.md for what a mapping says") from error
    if said is None:
        said = {}
    if not isinstance(said, dict):
        raise found.error(f"is a {type(said).__name__}, not names with values", "e.g. columns: {bucket_start: ts}")
    for name in said:
        if name not in _SECTIONS:
            raise found.error(f"no such key: {name}", _nearest(str(name), _SECTIONS))
    return _checked(found, said)


def _checked(found: BarMap, said: dict[str, Any]) -> BarMap:
    columns = {name: _text(found, f"columns.{name}", value) for name, value in _named(found, said, "columns").items()}
    constants = {name: _constant(found, name, value) for name, value in _named(found, said, "constants").items()}
    scale = {name: _digits(found, name, value) for name, value in _named(found, said, "scale").items()}
    for name in columns:
        if name in constants:
            raise found.error(f"{name} is under columns and under constants", "a column comes from one of them")
    for name in scale:
        if name in constants:
            raise found.error(f"scale.{name}: {name} is a constant", "write the constant as it is meant")
    return BarMap(
        file=found.file,
        columns=columns,
        constants=constants,
        scale=scale,
        bucket=cast("Convention", _one_of(found, said, "bucket", ("start", "end")) or "start"),
        time_zone=_zone(found, said, "time_zone"),
        time_unit=cast("TimeUnit | None", _one_of(found, said, "time_unit", UNITS)),
        day_zone=_zone(found, said, "day_zone"),
    )


def _named(found: BarMap, said: dict[str, Any], section: str) -> dict[str, object]:
    value = said.get(section)
    if value is None:
        return {}
    if not isinstance(value, dict) or not all(isinstance(name, str) for name in value):
        raise found.error(f"{section} is {value!r}, not names with values", f"e.g. {section}: {{open: ...}}")
    return value


def _text(found: BarMap, key: str, value: object) -> str:
    if not isinstance(value, str) or not value:
        raise found.error(f"{key} is {value!r}, not the name of a column", f"e.g. {key.rpartition('.')[2]}: bid_open")
    return value


def _constant(found: BarMap, name: str, value: object) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict | list):
        raise found.error(f"constants.{name} is {value!r}, not one value", "write text, a number, true or false")
    return str(value)


def _digits(found: BarMap, name: str, value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= _MOST_DIGITS:
        raise found.error(f"scale.{name} is {value!r}, not a number of digits", f"0 to {_MOST_DIGITS}")
    return value


def _one_of(found: BarMap, said: dict[str, Any], key: str, allowed: Iterable[str]) -> str | None:
    value = said.get(key)
    if value is not None and value not in allowed:
        raise found.error(f"{key} is {value!r}", f"it is one of {', '.join(allowed)}")
    return cast("str | None", value)


def _zone(found: BarMap, said: dict[str, Any], key: str) -> str:
    value = said.get(key)
    if value is None:
        return "UTC"
    if not isinstance(value, str):
        raise found.error(f"{key} is {value!r}, not the name of a zone", "e.g. UTC, America/New_York or Asia/Tokyo")
    try:
        zone_of(value)
    except UsageError as error:
        raise found.error(f"{key}: {error.message}", error.hint) from error
    return value


def _nearest(name: str, known: Iterable[str]) -> str:
    names = list(known)
    near = difflib.get_close_matches(name, names, 1)
    return f"did you mean {near[0]}?" if near else f"there are {', '.join(names)}"


def _toml(text: str) -> object:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"is no TOML: {error}") from error


def _yaml(text: str) -> object:
    """Read YAML; a key that stands twice is an error, as it is in TOML."""
    import yaml

    try:
        _refuse_twice(yaml.compose(text, Loader=yaml.SafeLoader))
        found: object = yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        line = f"line {error.problem_mark.line + 1}: " if error.problem_mark else ""
        raise ValueError(f"is no YAML: {line}{error.problem}") from error
    except yaml.YAMLError as error:
        raise ValueError(f"is no YAML: {error}") from error
    return found


def _refuse_twice(node: Any) -> None:
    """Raise where a key stands twice, or is no plain name."""
    if node is None or node.id != "mapping":
        return
    seen: set[str] = set()
    for key, value in node.value:
        line = key.start_mark.line + 1
        if key.id != "scalar":
            raise ValueError(f"line {line}: a name is text, not a {key.id}")
        if key.value in seen:
            raise ValueError(f"line {line}: {key.value} stands there twice")
        seen.add(key.value)
        _refuse_twice(value)
