"""Boundary IoU (Cheng et al., CVPR 2021): IoU of the bands along the borders of two masks.

The IoU of whole masks hardly moves when a large object's outline is wrong; the IoU of the bands does.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from bana.errors import DataError, SettingsError
from bana.evaluate.confusion import FloatArray, IntArray, mean_of_present, percent

BoolArray = npt.NDArray[np.bool_]

BAND_SHARE_OF_DIAGONAL = 0.02
"""Width of the band as a share of the image's diagonal, as in the paper."""


class BoundaryIoU:
    """Intersections and unions of boundary bands per class, summed over images.

    Pixels whose truth is the ignore label belong to no mask, of truth or prediction: both masks then have the same
    border along a void region, and it does not count against the prediction what it says there.

    Args:
        num_classes: C, background included.
        ignore_index: The label that is no class, outside 0..C-1.

    Attributes:
        intersection: int64 (C,) pixels in both bands.
        union: int64 (C,) pixels in at least one band.

    Raises:
        SettingsError: If ``num_classes`` is below 1 or ``ignore_index`` is a class.
    """

    def __init__(self, num_classes: int, ignore_index: int = 255) -> None:
        if num_classes < 1 or 0 <= ignore_index < num_classes:
            raise SettingsError(
                f"num_classes {num_classes} must be at least 1 and ignore_index {ignore_index} no class"
            )
        self.num_classes = num_classes
        self.ignore_index = ignore_index
        self.intersection: IntArray = np.zeros(num_classes, dtype=np.int64)
        self.union: IntArray = np.zeros(num_classes, dtype=np.int64)

    def update(self, prediction: npt.NDArray[Any], truth: npt.NDArray[Any]) -> None:
        """Add one image.

        Args:
            prediction: Integers (H, W), each 0..C-1 or the ignore label.
            truth: The same of the true classes.

        Raises:
            DataError: If the shapes differ or are not (H, W), or a label is neither a class nor the ignore label.
        """
        prediction, truth = np.asarray(prediction), np.asarray(truth)
        if prediction.shape != truth.shape or truth.ndim != 2:
            raise DataError(f"prediction {prediction.shape} and truth {truth.shape} must be (H, W) of the same size")
        prediction = np.where(truth == self.ignore_index, truth, prediction)
        classes = np.union1d(np.unique(prediction), np.unique(truth))
        classes = classes[classes != self.ignore_index]
        if classes.size and not 0 <= classes[0] <= classes[-1] < self.num_classes:
            raise DataError(f"labels go from {classes[0]} to {classes[-1]}; classes are 0..{self.num_classes - 1}")
        width = band_width(*truth.shape)
        for class_id in classes:
            predicted = boundary_band(prediction == class_id, width)
            true = boundary_band(truth == class_id, width)
            self.intersection[class_id] += np.count_nonzero(predicted & true)
            self.union[class_id] += np.count_nonzero(predicted | true)

    def per_class(self) -> FloatArray:
        """Boundary IoU of every class, float64 (C,) in 0..100; NaN for classes absent from truth and prediction."""
        return percent(self.intersection, self.union)

    def mean(self) -> float:
        """Mean over the classes that occur, 0..100; NaN where none does."""
        return mean_of_present(self.per_class())


def band_width(height: int, width: int) -> int:
    """Width in pixels of the boundary band of a (height, width) image: 2 % of its diagonal, at least 1."""
    return max(1, round(BAND_SHARE_OF_DIAGONAL * math.hypot(height, width)))


def boundary_band(mask: BoolArray, width: int) -> BoolArray:
    """The pixels of a mask within ``width`` pixels (in both directions) of its border.

    The edge of the image is a border too. It is the mask without its erosion by ``width`` rounds of a 3x3 square,
    computed at once: those rounds are one square of side 2 * width + 1, which separates into rows and columns.

    Args:
        mask: bool (H, W).
        width: Pixels, at least 1.

    Returns:
        bool (H, W), a subset of ``mask``.
    """
    eroded = _all_in_window(np.pad(mask, width), 2 * width + 1)
    eroded = _all_in_window(eroded.T, 2 * width + 1).T
    return mask & ~eroded


def _all_in_window(values: BoolArray, length: int) -> BoolArray:
    """Whether all of ``values[i : i + length]`` hold, for every i: windows of 1, 2, 4, ... rows, joined in pairs."""
    reach = 1
    while 2 * reach <= length:
        values = values[:-reach] & values[reach:]
        reach *= 2
    rest = length - reach
    return values[:-rest] & values[rest:] if rest else values
