"""The folder of a training run: what it says of the run."""

from __future__ import annotations

import platform
from pathlib import Path
from typing import Any

import numpy as np
import torch

from bana._version import __version__
from bana.errors import DataError
from bana.io.files import write_json
from bana.io.strict_json import read_json_object

SETTINGS = "settings.json"
"""The file that says what the run depends on."""


def write_settings(out: Path, facts: dict[str, Any]) -> None:
    """Write what the run depends on. Raises OutputError if the folder cannot be written."""
    write_json(out / SETTINGS, facts | {"versions": versions()}, indent=2)


def restore_settings(out: Path, facts: dict[str, Any]) -> None:
    """Write what a finished run depends on again where that file is missing or damaged; else leave it as it is.

    Raises:
        OutputError: If the folder cannot be written.
    """
    try:
        read_json_object(out / SETTINGS)
    except DataError:
        write_settings(out, facts)


def versions() -> dict[str, str]:
    """The versions that a run depends on."""
    return {
        "bana": __version__,
        "torch": torch.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
    }
