"""Boxes are tight: an object reaches into almost every row and column of its box.

Where a label leaves much of its box's rows and columns empty, the object was lost there, most often to the CRF, which
smooths away what is small or thin. Such rows and columns are given to the object a little more and the CRF is asked
again.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from bana.data.records import BoolArray, FloatArray, pixel_slices

STEP = 1.0
"""What the unary of an object's class is raised by in an empty row or column of its box; twice where both are empty."""

ROUNDS = 2
"""How often the CRF is asked again at most."""


def reached_share(mask: BoolArray) -> float:
    """The share of rows and columns of a box that its mask (h, w) reaches into, 0..1."""
    return float((mask.any(0).sum() + mask.any(1).sum()) / sum(mask.shape))


def raised_unaries(
    labels: npt.NDArray[np.int64], boxes: FloatArray, classes: npt.NDArray[np.int64], count: int, least: float
) -> FloatArray | None:
    """What the unaries are to be raised by where objects do not reach into their boxes.

    Args:
        labels: (H, W), indices into the labels of the image.
        boxes: (K, 4) xyxy inside the image.
        classes: (K,), the index of each box's class.
        count: V, of labels.
        least: The share of rows and columns (``reached_share``) that satisfies a box.

    Returns:
        float32 (V, H, W), the greatest of all boxes where they overlap; None if all are satisfied.
    """
    raised = np.zeros((count, *labels.shape), dtype=np.float32)
    for box, index in zip(boxes, classes, strict=True):
        place = pixel_slices(box)
        mask = labels[place] == index
        if reached_share(mask) < least:
            empty = STEP * ((~mask.any(1))[:, None].astype(np.float32) + ~mask.any(0))
            raised[(index, *place)] = np.maximum(raised[(index, *place)], empty)
    return raised if raised.any() else None
