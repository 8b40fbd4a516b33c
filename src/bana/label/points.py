"""Points that a person sets beside a box correct its mask around them (beyond the paper).

The log odds of a box's mask are modeled as a Gaussian process whose mean is the networks' opinion. They are known at a
point. A point's influence falls with distance and with difference of color. So it corrects similar pixels nearby and
leaves the rest. Nothing is trained, and any labeler's masks can be corrected.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from bana.data.points import inside as points_inside
from bana.data.records import FloatArray, Point, box_sides, pixel_slices
from bana.label.boxes import BoxedImage, Image, Place
from bana.refine.refiner import BoxProbability

KNOWN = 3.0
"""Log odds of "object" at a point on the object; at one beside it they are as far below 0."""

REACH = 0.2
"""Standard deviation of the kernel in space, in sides of the square that has the box's area."""

COLOR_REACH = 100.0
"""Standard deviation of the kernel in color: Euclidean distance in RGB, each channel 0..255."""

NOISE = 0.01
"""Variance of what a point says, beside 1 of the process: points that contradict each other are averaged."""

MAX_POINTS = 100
"""The most points of a box that are used; of more, evenly spaced ones."""

_LIMIT = 1e-3
"""Probabilities are kept this far from 0 and 1."""

_DISC = 0.05
"""Radius around a point in which the CRF takes its label for known, in sides of the box."""


@dataclass(frozen=True, eq=False)
class CorrectedProbability:
    """A box's probability, corrected at points.

    Attributes:
        box: The probability before.
        image: RGB uint8 (H, W, 3).
        points: float64 (P, 5): x and y in sides of the box, and the color, each in standard deviations of the kernel.
        weights: float64 (P,): by how much each point's kernel changes the log odds.
        reach: Standard deviation of the kernel in space, in pixels.
    """

    box: BoxProbability
    image: Image
    points: npt.NDArray[np.float64]
    weights: npt.NDArray[np.float64]
    reach: float

    @property
    def place(self) -> Place:
        """The rows and columns of the box's pixels."""
        return self.box.place

    def at(self, place: Place) -> FloatArray:
        """The probabilities at some rows and columns of the image: float32 (h, w) in 0..1."""
        rows, columns = place
        colors = self.image[place].astype(np.float32) / COLOR_REACH
        odds = log_odds(self.box.at(place), _LIMIT)
        for (x, y, *color), weight in zip(self.points.tolist(), self.weights.tolist(), strict=True):
            across = (np.arange(columns.start, columns.stop) + 0.5) / self.reach - x
            down = (np.arange(rows.start, rows.stop) + 0.5) / self.reach - y
            apart = ((colors - np.array(color, np.float32)) ** 2).sum(2) + (down[:, None] ** 2 + across**2)
            odds += weight * np.exp(-apart / 2)
        probability: FloatArray = (1 / (1 + np.exp(-odds))).astype(np.float32)
        return probability


def corrected(box: BoxProbability, image: Image, points: Sequence[Point], side: float) -> BoxProbability:
    """A box's probability, corrected at points inside the box.

    A point that the probability is already as sure of changes nothing.

    Args:
        box: The box's probability.
        image: RGB uint8 (H, W, 3).
        points: What a person says.
        side: The side of the square that has the box's area, in pixels.
    """
    if not points:
        return box
    used = [points[number] for number in np.linspace(0, len(points) - 1, min(len(points), MAX_POINTS)).astype(int)]
    reach = REACH * side
    seen = np.array([_seen(image, point, reach) for point in used])
    before = [box.at(_cell(image.shape, point))[0, 0] for point in used]
    odds = log_odds(np.array(before, dtype=np.float32), _LIMIT)
    is_object = np.array([point.is_object for point in used])
    missing = np.where(is_object, np.maximum(KNOWN - odds, 0), np.minimum(-KNOWN - odds, 0))
    return CorrectedProbability(box, image, seen, kernel_weights(seen, missing), reach)


def kernel_weights(points: npt.NDArray[np.float64], missing: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    """How much the kernel around each point counts, so that all together they add what is missing at the points.

    Args:
        points: (P, D), in standard deviations of the kernel.
        missing: (P,), what is to be added at each point.

    Returns:
        float64 (P,): the solution w of (K + NOISE I) w = missing with K_ij = exp(-|p_i - p_j|^2 / 2), the mean of a
        Gaussian process given its observations (Rasmussen and Williams 2006, Eq. 2.23).
    """
    apart = ((points[:, None] - points[None]) ** 2).sum(2)
    weights: npt.NDArray[np.float64] = np.linalg.solve(np.exp(-apart / 2) + NOISE * np.eye(len(points)), missing)
    return weights


def corrected_boxes(boxed: BoxedImage, image: Image, boxes: Sequence[BoxProbability]) -> list[BoxProbability]:
    """The probabilities of the usable boxes, corrected at their points; a point on one object is on no other."""
    if not any(boxed.points):
        return list(boxes)
    numbers = np.flatnonzero(boxed.usable).tolist()
    on_objects = [(number, point) for number in numbers for point in boxed.points[number] if point.is_object]
    found = []
    for number, box in zip(numbers, boxes, strict=True):
        own = boxed.inside[number]
        others = points_inside([point for other, point in on_objects if other != number], own)
        points = [*boxed.points[number], *(point._replace(is_object=False) for point in others)]
        found.append(corrected(box, image, points, float(box_sides(own[None])[0])))
    return found


def known_labels(boxed: BoxedImage, labels: Sequence[int]) -> Tensor | None:
    """What points say of the pixels right around them, as indices into ``labels``: int64 (H, W), -1 where nothing.

    None where no box has points, as in nearly all images. A point beside an object is background where no other box
    holds it.

    Args:
        boxed: The image's boxes.
        labels: Class ids in the image, the background's 0 first.
    """
    if not any(boxed.points):
        return None
    known = torch.full(boxed.size, -1)
    for number in np.flatnonzero(boxed.usable).tolist():
        radius = _DISC * float(box_sides(boxed.inside[number][None])[0])
        for point in boxed.points[number]:
            holders = sum(bool(points_inside([point], box)) for box in boxed.inside[boxed.usable].tolist())
            if point.is_object or holders == 1:
                label = list(labels).index(int(boxed.class_ids[number])) if point.is_object else 0
                place, disc = _disc(point, radius, boxed.places[number])
                known[place] = torch.where(disc, label, known[place])
    return known


def log_odds(probability: FloatArray, limit: float) -> FloatArray:
    """Log odds of probabilities, which are kept ``limit`` away from 0 and 1."""
    kept = np.clip(probability, limit, 1 - limit)
    odds: FloatArray = np.log(kept) - np.log1p(-kept)
    return odds


def _pixel(size: tuple[int, ...], point: Point) -> tuple[int, int]:
    """Row and column of the pixel (of an image H x W) that holds a point."""
    return min(int(point.y), size[0] - 1), min(int(point.x), size[1] - 1)


def _cell(size: tuple[int, ...], point: Point) -> Place:
    """The same as rows and columns."""
    row, column = _pixel(size, point)
    return slice(row, row + 1), slice(column, column + 1)


def _seen(image: Image, point: Point, reach: float) -> list[float]:
    """Place and color of a point in standard deviations of the kernel; the color is the mean of 3 x 3 pixels."""
    row, column = _pixel(image.shape, point)
    around = image[max(row - 1, 0) : row + 2, max(column - 1, 0) : column + 2]
    return [point.x / reach, point.y / reach, *(around.mean((0, 1)) / COLOR_REACH).tolist()]


def _disc(point: Point, radius: float, place: Place) -> tuple[Place, Tensor]:
    """Rows and columns around a point, cut at those of ``place``, and which of their pixels lie within ``radius``."""
    around = pixel_slices([point.x - radius, point.y - radius, point.x + radius, point.y + radius])
    rows, columns = (
        slice(max(min(each.start, box.stop - 1), box.start), max(min(each.stop, box.stop), box.start + 1))
        for each, box in zip(around, place, strict=True)
    )
    down = torch.arange(rows.start, rows.stop) + 0.5 - point.y
    across = torch.arange(columns.start, columns.stop) + 0.5 - point.x
    disc = down[:, None] ** 2 + across**2 <= max(radius, 0.75) ** 2
    return (rows, columns), disc
