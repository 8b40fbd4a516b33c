"""What the commands share: where messages go, how results are printed, how many processes there are."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from rich.console import Console, RenderableType

if TYPE_CHECKING:
    from bana.data.records import ImageRecord

console = Console(stderr=True)


def print_json(value: dict[str, Any]) -> None:
    """Print one JSON object and nothing else on standard output (the contract of every ``--json``)."""
    print(json.dumps(value, allow_nan=False, ensure_ascii=False))


def print_tables(tables: Iterable[RenderableType]) -> None:
    """Print tables and lines on standard output."""
    for table in tables:
        Console(markup=False, highlight=False).print(table)


def tracked(what: str) -> Callable[[Iterable[ImageRecord]], Iterable[ImageRecord]]:
    """A wrapper of records that shows a progress bar on a terminal, and nothing elsewhere."""
    from rich.progress import track

    return lambda records: track(records, what, console=console, transient=True, disable=not console.is_terminal)


def cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def processes(wanted: int | None, device: str = "cpu") -> int:
    """How many processes to use: as many as wanted, else one for each core, or one alone where a GPU works.

    DistContext that a launcher such as torchrun has started on this machine share its cores.
    """
    sharing = os.environ.get("LOCAL_WORLD_SIZE", "1")
    share = max(1, cores() // max(1, int(sharing) if sharing.isdecimal() else 1))
    return wanted or (share if device == "cpu" else 1)


def end_training(file: Path, rejected: Path, picture: Callable[[], Path | None] = lambda: None) -> None:
    """Print the file that a training has written, draw its picture, and tell of images that were left out.

    Of processes that a launcher has started the first tells; none of them fails, since it would be started again.
    """
    from bana.io.shards import Shard

    part = Shard.of_rank()
    if part is not None and part.number > 1:
        return
    print(file)
    if (drawn := picture()) is not None:
        print(drawn)
    if part is None:
        exit_if_rejected(left_out(rejected), rejected)


def left_out(file: Path) -> int:
    """How many images a ``rejected.jsonl`` names."""
    return len(file.read_text(encoding="utf-8").splitlines())


def exit_if_rejected(count: int, file: Path) -> None:
    """End with exit status 1 if images were left out, and say which file names them."""
    if count:
        console.print(f"{count} images left out: see {file}", highlight=False, soft_wrap=True)
        raise typer.Exit(1)


def data_or_demo(data: Path, format: str | None) -> tuple[Path, str | None]:
    """Where the data set is and its format; of ``demo``, unless there is such a path, the photographs of bana."""
    from bana.data.sample import FOLDER

    return (FOLDER, "coco") if str(data) == "demo" and not data.exists() else (data, format)


def chosen_device(name: str) -> str:
    """The device of that name; for ``auto`` a GPU if there is one."""
    if name != "auto":
        return name
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"
