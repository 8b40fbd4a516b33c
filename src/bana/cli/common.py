"""What the commands share: turning options into arguments, printing results, exit statuses."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Protocol

import typer
from rich.console import RenderableType

from bana.errors import SettingsError
from bana.io.faults import REJECTED
from bana.io.terminal import Terminal, escaped_json, print_line

console = Terminal(stderr=True)


class Result(Protocol):
    """What a function of the API returns."""

    def as_dict(self) -> dict[str, Any]:
        """The result for JSON."""


def arguments(options: dict[str, Any]) -> dict[str, Any]:
    """The arguments of the API's function that has a command's name, from the command's options and its --set.

    A missing split is reported here, because the API's functions are slow to import.
    """
    data, format = options.get("data", options.get("images")), options.get("format")
    for split in (options.get("split"), options.get("val_split")):
        for each in data if isinstance(data, list) else [data]:
            if split is not None and each is not None:
                _require_split(str(each), split, format)
    given = {name: value for name, value in options.items() if name not in ("as_json", "settings")}
    given["quiet"] = console.quiet
    settings = _parsed(options.get("settings") or ())
    for name in settings.keys() & given.keys():
        raise SettingsError(f"--set {name}: is an option of its own; give --{name.replace('_', '-')}")
    return given | settings


def _parsed(settings: Iterable[str]) -> dict[str, Any]:
    """The values of --set KEY=VALUE by name; a dot in KEY leads into a section, such as crf.iterations."""
    from bana.io.strict_yaml import parse_yaml
    from bana.presets import merged

    values: dict[str, Any] = {}
    for setting in settings:
        key, _, text = setting.partition("=")
        value = parse_yaml(text, f"--set {key}")
        if not key or value is None:
            raise SettingsError(f"--set {setting:.200}: give KEY=VALUE, such as image_side=900")
        for name in reversed(key.split(".")):
            value = {name: value}
        values = merged(values, value)
    return values


def export_names(text: str) -> list[str]:
    """The formats to write, from a list joined by commas. Raises SettingsError if one is not known."""
    from bana.data.convert import writer
    from bana.data.formats import GEO, format_name

    names = split_names(text)
    for name in names:
        if name not in ("png", GEO):
            writer(format_name(name))
    return names


def _require_split(data: str, split: str, format: str | None) -> None:
    """Raise BanaError if a data set of this machine has no such split."""
    from bana.data.reading import require_split
    from bana.io.remote import parse_path

    path = parse_path(data)
    if isinstance(path, Path) and (path.exists() or data != "demo"):
        require_split(path, split, format)


def show(result: Result, as_json: bool, tables: Callable[[], Iterable[RenderableType]]) -> None:
    """Print a result on standard output: as one JSON object and nothing else, or as tables and lines."""
    if as_json:
        print(escaped_json(result.as_dict()))
    else:
        print_tables(tables())


def print_tables(tables: Iterable[RenderableType]) -> None:
    """Print tables and lines on standard output; a line is left as it is, however narrow the terminal."""
    for table in tables:
        Terminal(markup=False, highlight=False).print(table, crop=False, soft_wrap=isinstance(table, str))


def split_names(text: str) -> list[str]:
    """The names in a list joined by commas, with or without spaces; the comma of ``fuse:A,B`` is part of the name."""
    names: list[str] = []
    for part in map(str.strip, text.split(",")):
        if names and names[-1].startswith("fuse:") and "," not in names[-1]:
            names[-1] += f",{part}"
        else:
            names.append(part)
    return names


def show_training(file: Path, picture: Path | None = None) -> None:
    """Print the file that a training run has written and its picture, and report skipped images.

    If a launcher has started several processes, only the first prints. None of them fails, since it would be restarted.
    """
    from bana.io.shards import Shard

    part = Shard.of_rank()
    if part is not None and part.number > 1:
        return
    print_line(file)
    if picture is not None and picture.is_file():
        print_line(picture)
    rejected = file.parent / REJECTED
    if part is None:
        exit_if_rejected(len(rejected.read_text(encoding="utf-8").splitlines()), rejected)


def is_shard(shard: str | None) -> bool:
    """Whether this process works on a part of the whole, by its options or as one of several of a launcher."""
    from bana.io.shards import Shard

    return shard is not None or Shard.of_rank() is not None


def exit_if_rejected(count: int, file: Path) -> None:
    """End with exit status 1 if images were skipped, and say which file lists them."""
    if count:
        console.print(f"{count} images left out: see {file}", highlight=False, soft_wrap=True)
        raise typer.Exit(1)
