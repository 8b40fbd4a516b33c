"""The rules by which Simple Does It makes labels of a network's predictions, between two rounds of training.

Khoreva et al., "Simple Does It: Weakly supervised instance and semantic segmentation", CVPR 2017, section 3.1. A class
stays inside its boxes; a box whose segment is too small gets back its first labels; and a CRF aligns labels with the
image (which is the caller's to run, between ``within_boxes`` and ``reset_small``).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bana.data.label_maps import LabelMap
from bana.data.records import BoolArray, FloatArray, IntArray

MIN_IOU = 0.5
"""Least IoU of a segment with its box; below it the box's labels are reset."""


def allowed_classes(regions: BoolArray, class_ids: IntArray) -> tuple[IntArray, BoolArray]:
    """The background and the classes that have boxes, and where each may be.

    Args:
        regions: bool (K, H, W), the pixels of each box.
        class_ids: (K,), each from 1 on.

    Returns:
        Class ids (V,), 0 first, and bool (V, H, W); the background may be anywhere.
    """
    present = np.unique([0, *class_ids]).astype(np.int64)
    allowed = np.stack([regions[class_ids == class_id].any(0) for class_id in present])
    allowed[0] = True
    return present, allowed


def within_boxes(probabilities: FloatArray, present: IntArray, allowed: BoolArray) -> FloatArray:
    """The probabilities that are left where a class may only be in its boxes (the first rule).

    Args:
        probabilities: float32 (L + 1, H, W), the network's.
        present: Class ids (V,).
        allowed: bool (V, H, W), where each of them may be.

    Returns:
        float32 (V, H, W) that sum to 1 at every pixel.
    """
    left = probabilities[present] * allowed
    total = left.sum(0)
    share: FloatArray = np.where(total > 0, left / np.where(total > 0, total, 1), allowed / allowed.sum(0))
    return share.astype(np.float32)


def front_boxes(regions: BoolArray, order: Sequence[int]) -> IntArray:
    """The number of the box in front at every pixel, int64 (H, W); -1 outside all boxes.

    Args:
        regions: bool (K, H, W), the pixels of each box.
        order: The numbers of boxes in painting order; the last is in front.
    """
    front = np.full(regions.shape[1:], -1, dtype=np.int64)
    for number in order:
        front[regions[number]] = number
    return front


def too_small(labels: LabelMap, regions: BoolArray, class_ids: IntArray, min_iou: float = MIN_IOU) -> BoolArray:
    """The boxes whose segment is too small: bool (K,), the IoU of segment and box is below ``min_iou``.

    A box's segment is what is labeled with its class inside it, so the IoU is the share of the box that it fills.

    Args:
        labels: (H, W).
        regions: bool (K, H, W), the pixels of each box.
        class_ids: (K,).
        min_iou: The least IoU, 0..1.
    """
    segments = (labels == class_ids[:, None, None]) & regions
    small: BoolArray = segments.sum((1, 2)) < min_iou * regions.sum((1, 2))
    return small


def reset_small(labels: LabelMap, first: LabelMap, small: BoolArray, front: IntArray) -> LabelMap:
    """Labels with those of the first round in boxes that are too small (the second rule).

    Where boxes overlap, the one in front decides, so that a box is not reset for what lies behind it.

    Args:
        labels: (H, W), of this round.
        first: (H, W), of the first round.
        small: bool (K,), the boxes to reset.
        front: int64 (H, W), the box in front of every pixel, -1 outside all boxes.
    """
    reset = np.append(small, False)[front]  # -1 takes the last, which is for no box
    return np.where(reset, first, labels).astype(labels.dtype)
