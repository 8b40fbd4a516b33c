"""Defaults that the functions of the API share: device, worker processes, labeler, sample data set."""

from __future__ import annotations

import os
from pathlib import Path

from bana.api.progress import AnyPath
from bana.data.sample import FOLDER
from bana.nn.initialization import pretrained_path


def cores() -> int:
    """The number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def worker_count(wanted: int | None, device: str = "cpu") -> int:
    """How many worker processes to use: ``wanted``, else one per core, or a single one if a GPU does the work.

    Processes that a launcher such as torchrun has started on this machine share its cores.
    """
    sharing = os.environ.get("LOCAL_WORLD_SIZE", "1")
    share = max(1, cores() // max(1, int(sharing) if sharing.isdecimal() else 1))
    return wanted or (share if device == "cpu" else 1)


def choose_device(name: str) -> str:
    """The device of that name; ``auto`` is CUDA if there is a GPU, else the CPU."""
    if name != "auto":
        return name
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def locate_data(data: AnyPath, format: str | None) -> tuple[Path, str | None]:
    """The path and format of a data set; ``demo`` is the sample data set, unless there is a path of that name."""
    return (FOLDER, "coco") if str(data) == "demo" and not Path(data).exists() else (Path(data), format)


def labeler_or_own(labeler: AnyPath | None) -> Path:
    """A labeler's path; None is the labeler that comes with bana."""
    return pretrained_path() if labeler is None else Path(labeler)
