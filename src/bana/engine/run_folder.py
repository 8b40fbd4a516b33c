"""The folder of a training run: what it says of the run."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from bana._version import __version__
from bana.io.faults import Rejected
from bana.io.files import write_json, write_text
from bana.io.strict_json import json_lines

REJECTED = "rejected.jsonl"
"""The file that names the images left out, one JSON object a line."""

SETTINGS = "settings.json"
"""The file that says what the run depends on."""


def write_rejected(out: Path, rejected: Sequence[Rejected]) -> None:
    """Write the images left out because of a fault. Raises OutputError if the folder cannot be written."""
    write_text(out / REJECTED, json_lines(asdict(entry) for entry in rejected))


def write_settings(out: Path, facts: dict[str, Any]) -> None:
    """Write what the run depends on. Raises OutputError if the folder cannot be written."""
    write_json(out / SETTINGS, facts | {"versions": versions()}, indent=2)


def versions() -> dict[str, str]:
    """The versions that a run depends on."""
    return {
        "bana": __version__,
        "torch": torch.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
    }
