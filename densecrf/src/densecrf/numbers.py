"""Checks of numbers that users give: what is wrong, and what is allowed."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from densecrf.errors import DenseCRFError


def number(name: str, value: Any) -> float:
    """The value as a finite float."""
    try:
        result = float(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise DenseCRFError(f"{name}: {value!r} is not a number") from error
    if not math.isfinite(result):
        raise DenseCRFError(f"{name}: {value!r} is not finite; give a finite number")
    return result


def number_in(name: str, value: Any, low: float, high: float, from_low: str) -> float:
    """The value as a float in low..high; without ``low`` itself if ``from_low`` says so ("above 0")."""
    result = number(name, value)
    if not low <= result <= high or (from_low.startswith("above") and result == low):
        raise DenseCRFError(f"{name}: {value!r} is not allowed; give a number from {from_low} to {high:.3g}")
    return result


def numbers_in(name: str, value: Any, low: float, high: float, from_low: str) -> list[float]:
    """One or more such values, given as a number or a sequence of them."""
    if isinstance(value, (list, tuple, np.ndarray)) and np.ndim(value) == 1 and len(value):
        return [number_in(f"{name}[{i}]", item, low, high, from_low) for i, item in enumerate(value)]
    return [number_in(name, value, low, high, from_low)]


def count(name: str, value: Any, least: int) -> int:
    """The value as a whole number."""
    result = number(name, value)
    if result != int(result) or result < least:
        raise DenseCRFError(f"{name}: {value!r} is not allowed; give a whole number of at least {least}")
    return int(result)
