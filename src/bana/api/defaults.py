"""Defaults that the functions of the API share: device, worker processes, labeler, sample data set."""

from __future__ import annotations

import os
from pathlib import Path

from bana.api.progress import AnyPath
from bana.data.sample import FOLDER
from bana.engine.memory import available_memory
from bana.errors import SettingsError
from bana.nn.initialization import pretrained_path

WORKER_BYTES = 2 * 2**30
"""Memory that a worker may need: labeling takes the most, 1.9 GB on photographs of usual size."""


def cores() -> int:
    """The number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def worker_count(wanted: int | None, device: str = "cpu") -> int:
    """How many worker processes to use: ``wanted``, else one per core, or a single one if a GPU does the work.

    There are fewer if memory is short. Processes that a launcher such as torchrun has started on this machine share its
    cores and memory.
    """
    if wanted or device != "cpu":
        return wanted or 1
    sharing = os.environ.get("LOCAL_WORLD_SIZE", "1")
    processes = max(1, int(sharing) if sharing.isdecimal() else 1)
    memory = available_memory()
    most = cores() if memory is None else min(cores(), memory // WORKER_BYTES)
    return max(1, most // processes)


def choose_device(name: str) -> str:
    """The device of that name; ``auto`` is CUDA if there is a GPU, else the CPU.

    Raises:
        SettingsError: If there is no such device, before anything is written.
    """
    import torch

    count = torch.cuda.device_count()
    if name == "auto":
        return "cuda" if count else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise SettingsError(f"device {name!r} is not known; choose cpu, cuda, cuda:1, mps or auto") from error
    if device.type == "cuda" and (device.index or 0) >= count:
        raise SettingsError(f"device {name!r} cannot be used (this machine has {count} GPUs); choose cpu")
    return name


def locate_data(data: AnyPath, format: str | None) -> tuple[Path, str | None]:
    """The path and format of a data set; ``demo`` is the sample data set, unless there is a path of that name."""
    return (FOLDER, "coco") if str(data) == "demo" and not Path(data).exists() else (Path(data), format)


def labeler_or_own(labeler: AnyPath | None) -> Path:
    """A labeler's path; None is the labeler that comes with bana."""
    return pretrained_path() if labeler is None else Path(labeler)
