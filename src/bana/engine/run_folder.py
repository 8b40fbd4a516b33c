"""The folder of a training run: refused where another run is in it, and what it says of itself."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from bana._version import __version__
from bana.data.files import write_json, write_text
from bana.data.records import Rejected
from bana.data.strict_json import json_lines
from bana.engine.loop import CHECKPOINT, check_same_run
from bana.engine.memory import keep_freed_memory
from bana.engine.processes import Processes
from bana.errors import DataError, OutputError

REJECTED = "rejected.jsonl"
"""The file that names the images left out, one JSON object a line."""

SETTINGS = "settings.json"
"""The file that says what the run is of."""


def refuse_a_run(out: Path) -> None:
    """Raise OutputError if a folder holds a run, which a new one would go on with."""
    if (out / CHECKPOINT).exists():
        raise OutputError(f"{out}: holds a run already; go on with --resume, or choose another --out")


def open_run(
    out: Path,
    identity: dict[str, Any],
    images: int,
    rejected: Sequence[Rejected],
    missing: str,
    processes: Processes,
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
        LabelerError: If the folder's checkpoint is of another run.
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
