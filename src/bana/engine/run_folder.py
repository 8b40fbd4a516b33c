"""The folder of a training run: refused where another run is in it, and what it says of itself."""

from __future__ import annotations

import platform
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from bana._version import __version__
from bana.engine.distributed import DistContext, RuntimeConfig, joined
from bana.engine.loop import CHECKPOINT, check_same_run
from bana.engine.memory import keep_freed_memory
from bana.errors import DataError, OutputError
from bana.io.faults import Rejected
from bana.io.files import write_json, write_text
from bana.io.strict_json import json_lines

REJECTED = "rejected.jsonl"
"""The file that names the images left out, one JSON object a line."""

SETTINGS = "settings.json"
"""The file that says what the run is of."""


@contextmanager
def run_in(out: Path, runtime: RuntimeConfig, resume: bool) -> Iterator[DistContext]:
    """Have a folder for a run, together with the other processes that train if there are any.

    Args:
        out: The folder.
        runtime: On what the run computes.
        resume: Whether a run that is there goes on, as it does after a restart.

    Raises:
        OutputError: If the folder holds a run that shall not go on, or another run writes to it.
        SettingsError: If the processes cannot find each other.
    """
    with joined(out, runtime.device) as processes:
        if not (resume or processes.restarted) and (out / CHECKPOINT).exists():
            raise OutputError(f"{out}: holds a run already; go on with --resume, or choose another --out")
        yield processes


def open_run(
    out: Path,
    identity: dict[str, Any],
    images: int,
    rejected: Sequence[Rejected],
    missing: str,
    processes: DistContext,
    **facts: Any,
) -> None:
    """Begin a run in its folder, or go on with the one that was cut.

    Args:
        out: The folder.
        identity: What the run depends on, as plain values.
        images: How many it learns from.
        rejected: Those left out because of a fault.
        missing: What to say where no image is left.
        processes: Of which the first writes.
        facts: More for ``settings.json``.

    Raises:
        DataError: If no image is left.
        CheckpointError: If the folder's checkpoint is of another run.
        OutputError: If the folder cannot be written.
    """
    check_same_run(out / CHECKPOINT, identity)
    if processes.first:
        write_text(out / REJECTED, json_lines(asdict(entry) for entry in rejected))
    if not images:
        raise DataError(f"{missing} is left to train on; see {out / REJECTED}")
    if processes.first:
        write_json(out / SETTINGS, identity | facts | {"versions": versions()}, indent=2)
    keep_freed_memory()


def versions() -> dict[str, str]:
    """The versions that a run depends on."""
    return {
        "bana": __version__,
        "torch": torch.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
    }
