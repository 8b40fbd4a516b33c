"""How scores are written for people. Imports nothing heavy: the command line loads it before it knows the command."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

TITLES = {"box": "Box", "y_crf": "Y_crf", "y_ret": "Y_ret", "agreed": "Y_crf & Y_ret"}
"""The labelings that are scored, by their JSON keys."""


def shown(value: float | None) -> str:
    """A score with one decimal; a dash where there is none."""
    return "-" if value is None or math.isnan(value) else f"{value:.1f}"


def spread(values: Sequence[float]) -> str:
    """The mean of values, and the standard deviation of three or more."""
    if len(values) < 3:
        return shown(statistics.mean(values) if values else None)
    return f"{statistics.mean(values):.1f} ± {statistics.stdev(values):.1f}"
