"""Outlines of fewer points: for tools that are slow with one at each corner of a pixel."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bana.data.outlines import Outlines, Ring, signed_area
from bana.errors import SettingsError

_FIRST = 0.5
"""Pixels: the least tolerance that is tried to keep a limit of points; it doubles from there."""


@dataclass(frozen=True)
class Simplification:
    """How far outlines may be simplified; by default they are exact.

    Attributes:
        tolerance: Pixels by which an outline may deviate. Parts and holes of a smaller area than its square are left
            out, but for the largest part.
        max_points: Maximum points of an object. The tolerance is raised to keep it (default: no limit).

    Raises:
        SettingsError: If the tolerance is negative, or the limit is below 4, which a rectangle has.
    """

    tolerance: float = 0.0
    max_points: int | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.tolerance < np.inf:
            raise SettingsError(f"tolerance is {self.tolerance:g}; give 0 or more pixels")
        if self.max_points is not None and self.max_points < 4:
            raise SettingsError(f"max_points is {self.max_points}; give at least 4")

    @property
    def is_exact(self) -> bool:
        """Whether outlines stay as they are."""
        return self.tolerance == 0 and self.max_points is None

    def __call__(self, outlines: Outlines) -> Outlines:
        """The outlines with fewer points, at the least tolerance that keeps the limit."""
        tolerance = self.tolerance
        found = _simplified(outlines, tolerance)
        while self.max_points is not None and _points(found) > self.max_points:
            tolerance = max(2 * tolerance, _FIRST)
            found = _simplified(outlines, tolerance)
        return found


EXACT = Simplification()
"""A point at each corner."""


def _simplified(outlines: Outlines, tolerance: float) -> Outlines:
    if tolerance == 0 or not outlines.parts:
        return outlines
    largest = max(outlines.parts, key=signed_area)
    kept = [ring for ring in outlines.parts if ring is largest or signed_area(ring) >= tolerance**2]
    holes = [ring for ring in outlines.holes if -signed_area(ring) >= tolerance**2]
    return Outlines(*(tuple(simplified_ring(ring, tolerance) for ring in rings) for rings in (kept, holes)))


def _points(outlines: Outlines) -> int:
    """The points of all rings, and those of the ways by which they are joined."""
    rings = (*outlines.parts, *outlines.holes)
    return sum(map(len, rings)) + 5 * (len(rings) - 1)


def simplified_ring(ring: Ring, tolerance: float) -> Ring:
    """A closed outline by the points of it that are needed (Ramer, Douglas and Peucker).

    Args:
        ring: (V, 2) corners.
        tolerance: Pixels that a point left out may lie from the outline.

    Returns:
        (W, 2) of these corners in their order; the four of its box where fewer than three are needed.
    """
    farthest = int(np.argmax(((ring - ring[0]) ** 2).sum(axis=1)))
    closed = np.concatenate([ring, ring[:1]])
    needed = np.zeros(len(closed), bool)
    needed[[0, farthest]] = True
    pieces = [(0, farthest), (farthest, len(ring))]
    while pieces:
        first, last = pieces.pop()
        if last - first < 2:
            continue
        distances, unit = _squared_distances(closed[first + 1 : last], closed[first], closed[last])
        worst = int(np.argmax(distances))
        if distances[worst] > tolerance**2 * unit:
            middle = first + 1 + worst
            needed[middle] = True
            pieces += [(first, middle), (middle, last)]
    found = ring[needed[:-1]]
    if len(found) >= 3:
        return found
    (x0, y0), (x1, y1) = ring.min(axis=0), ring.max(axis=0)
    return np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]])


def _squared_distances(points: Ring, start: Ring, end: Ring) -> tuple[npt.NDArray[np.int64], int]:
    """How far points (V, 2) lie from a straight piece: their squared distances times a number, and that number.

    Of corners at whole numbers both are whole, so that of two points at one distance neither seems farther.
    """
    way, offsets = (end - start).astype(np.int64), (points - start).astype(np.int64)
    length = int(way @ way)
    from_start = (offsets**2).sum(axis=1)
    if length == 0:
        return from_start, 1
    along = offsets @ way
    across = offsets[:, 0] * way[1] - offsets[:, 1] * way[0]
    from_end = ((offsets - way) ** 2).sum(axis=1)
    return np.where(along < 0, from_start * length, np.where(along > length, from_end * length, across**2)), length
