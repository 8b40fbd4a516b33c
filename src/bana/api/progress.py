"""Arguments that the functions of the API share: paths, lists, and where progress goes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bana.io.terminal import Terminal

if TYPE_CHECKING:
    from bana.data.records import ImageRecord

AnyPath = str | Path


def progress_console(quiet: bool) -> Terminal:
    """Where progress is shown: standard error, or nowhere."""
    return Terminal(stderr=True, quiet=quiet)


def tracked(what: str, quiet: bool) -> Callable[[Iterable[ImageRecord]], Iterable[ImageRecord]]:
    """A wrapper of records that shows a progress bar on a terminal and nothing elsewhere."""
    from rich.progress import track

    console = progress_console(quiet)
    return lambda records: track(records, what, console=console, transient=True, disable=not console.is_terminal)


def optional_path(path: AnyPath | None) -> Path | None:
    """The path, if there is one."""
    return None if path is None else Path(path)


def as_list(values: AnyPath | Sequence[AnyPath] | None) -> list[AnyPath]:
    """A single path, several, or none, as a list."""
    if values is None:
        return []
    return [values] if isinstance(values, (str, Path)) else list(values)
