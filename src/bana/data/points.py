"""Points set in boxes, as annotation files have them: strokes, flat lists, and points outside their box."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from bana.data.records import Point
from bana.errors import DataError
from bana.io.strict_json import is_number

STEP = 0.05
"""Distance of the points of a stroke, in sides of the square that has the box's area."""

Place = tuple[float, float]


def along(stroke: Sequence[Place], step: float) -> list[Place]:
    """Evenly spaced places on a line through places (x, y), its ends among them.

    Args:
        stroke: At least one place.
        step: The greatest distance of two neighbors, in the unit of the places, more than 0.
    """
    corners = np.array(stroke, dtype=np.float64)
    passed = np.concatenate([[0], np.cumsum(np.hypot(*np.diff(corners, axis=0).T))])
    wanted = np.linspace(0, passed[-1], int(np.ceil(passed[-1] / step)) + 1)
    xs, ys = (np.interp(wanted, passed, values) for values in corners.T)
    return list(zip(xs.tolist(), ys.tolist(), strict=True))


def inside(points: Sequence[Point], box: Sequence[float]) -> tuple[Point, ...]:
    """The points that lie in an xyxy box."""
    return tuple(each for each in points if box[0] <= each.x <= box[2] and box[1] <= each.y <= box[3])


def flat_points(values: Any, where: str) -> list[Point]:
    """Points of a flat list [x, y, v, ...] with v 1 on the object and 0 beside it.

    Raises:
        DataError: If it is none; the message begins with ``where``.
    """
    is_flat = isinstance(values, list) and len(values) % 3 == 0 and all(map(is_number, values))
    if not is_flat or not set(values[2::3]) <= {0, 1}:
        raise DataError(f"{where}: points is no list [x, y, v, ...] with v 0 or 1; correct it")
    return [Point(float(x), float(y), bool(v)) for x, y, v in zip(values[::3], values[1::3], values[2::3], strict=True)]
