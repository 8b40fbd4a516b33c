"""Outlines of masks along the edges of their pixels, so that an outline filled is the mask again."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bana.data.records import BoolArray

Ring = npt.NDArray[np.int64]
"""(V, 2) corners (x, y) of a closed outline in pixel-edge coordinates; the last joins the first."""


@dataclass(frozen=True, eq=False)
class Outlines:
    """The boundary of a mask.

    Attributes:
        parts: The outer ring of each part, clockwise as one sees the image. Pixels that touch only at a corner are
            different parts.
        holes: The rings around the holes, counterclockwise.
    """

    parts: tuple[Ring, ...]
    holes: tuple[Ring, ...]


def trace(mask: BoolArray) -> Outlines:
    """Follow the boundary of a mask.

    Args:
        mask: bool (H, W).

    Returns:
        Its rings in the order of their topmost, then leftmost corner; corners only, no points on straight lines.
    """
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return Outlines((), ())
    top, left = rows[0], columns[0]
    rings = _rings(*_segments(mask[top : rows[-1] + 1, left : columns[-1] + 1]))
    areas = [(ring + np.array([left, top]), signed_area(ring)) for ring in rings]
    return Outlines(
        parts=tuple(ring for ring, area in areas if area > 0), holes=tuple(ring for ring, area in areas if area < 0)
    )


def signed_area(ring: npt.NDArray[np.int64] | npt.NDArray[np.float64]) -> float:
    """The area inside a ring, in pixels; negative where it runs counterclockwise as one sees the image."""
    x, y = ring[:, 0], ring[:, 1]
    return float(np.sum(x * np.roll(y, -1) - np.roll(x, -1) * y)) / 2.0


def join_rings(rings: tuple[Ring, ...]) -> Ring:
    """One ring that runs through several: parts, and holes, which run the other way around.

    It goes around the first, on to the second, and so on, and at the end back the way it came, so that the ways
    enclose nothing. They follow the edges of pixels: a slanting line there and back may be rounded to different pixels.
    """
    way = [rings[0][0]]
    path = [*rings[0], rings[0][0]]
    for ring in rings[1:]:
        step = [np.array([ring[0, 0], way[-1][1]]), ring[0]]
        way += step
        path += [*step, *ring[1:], ring[0]]
    return np.array(path + way[-2::-1] if len(rings) > 1 else rings[0])


def _segments(mask: BoolArray) -> tuple[Ring, Ring]:
    """The straight pieces of the boundary, each (start, end) as (S, 2, 2), with the mask on their right.

    Corners come in pairs: going along a line of the pixel grid, the first of a pair opens a piece of boundary and the
    second closes it. Where two pixels touch only at a corner, that corner counts twice.
    """
    padded = np.pad(mask, 1)
    above_left, above_right = padded[:-1, :-1], padded[:-1, 1:]
    below_left, below_right = padded[1:, :-1], padded[1:, 1:]
    left, right = above_left != below_left, above_right != below_right
    corners = (left != right).astype(np.int64) + 2 * (left & right & (above_left != above_right))
    y, x = np.nonzero(corners)
    count = corners[y, x]
    horizontal = np.repeat(np.stack([x, y], axis=1), count, axis=0).reshape(-1, 2, 2)
    by_column = np.lexsort((y, x))
    vertical = np.repeat(np.stack([x, y], axis=1)[by_column], count[by_column], axis=0).reshape(-1, 2, 2)
    # The mask lies below a horizontal piece that runs to the right, and left of a vertical piece that runs down.
    to_left = ~below_right[horizontal[:, 0, 1], horizontal[:, 0, 0]]
    to_top = ~below_left[vertical[:, 0, 1], vertical[:, 0, 0]]
    horizontal[to_left] = horizontal[to_left, ::-1]
    vertical[to_top] = vertical[to_top, ::-1]
    return horizontal, vertical


def _rings(horizontal: Ring, vertical: Ring) -> list[Ring]:
    """Link the pieces end to start; at a corner that counts twice turn right, that is, stay with the same pixel."""
    to_right = horizontal[:, 1, 0] > horizontal[:, 0, 0]
    to_bottom = vertical[:, 1, 1] > vertical[:, 0, 1]
    after_horizontal = _matched(horizontal[:, 1], to_right, vertical[:, 0], to_bottom).tolist()
    after_vertical = _matched(vertical[:, 1], ~to_bottom, horizontal[:, 0], to_right).tolist()
    rings = []
    visited = [False] * len(horizontal)
    for first in range(len(horizontal)):
        pieces = []
        piece = first
        while not visited[piece]:
            visited[piece] = True
            pieces.append(piece)
            piece = after_vertical[after_horizontal[piece]]
        if pieces:
            rings.append(horizontal[pieces].reshape(-1, 2))
    return rings


def _matched(ends: Ring, prefers: BoolArray, starts: Ring, kind: BoolArray) -> npt.NDArray[np.int64]:
    """For each piece that ends at a corner, the piece that starts there; of two, the one of the preferred kind."""
    order_of_ends = np.lexsort((prefers, ends[:, 0], ends[:, 1]))
    order_of_starts = np.lexsort((kind, starts[:, 0], starts[:, 1]))
    successors = np.empty(len(ends), dtype=np.int64)
    successors[order_of_ends] = order_of_starts
    return successors
