"""What labels say of one box: which pixels are its object, and how sure that is."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from bana.data.label_maps import LabelMap
from bana.data.masks import box_iou, mask_bounds
from bana.data.records import BoolArray, FloatArray, pixel_slices

SURE = 255
"""The weight of a pixel whose label is taken at its word."""

CONTESTED = 128
"""The weight of a pixel that labels give to another object of the same class: where one ends is the least sure."""


_LEAST_COVER = 0.6
"""IoU of a box with that of its label's mask from which the label's is taken for the tight box."""


class BoxTarget(NamedTuple):
    """What is learned of one box.

    Attributes:
        target: uint8 (H, W), 255 on the object, else 0.
        weight: uint8 (H, W), 0 where nothing is known to ``SURE``.
    """

    target: npt.NDArray[np.uint8]
    weight: npt.NDArray[np.uint8]


def box_target(mask: BoolArray, agreed: LabelMap, box: npt.ArrayLike, class_id: int, ignore_index: int) -> BoxTarget:
    """The target of a box from labels of its image.

    Nothing outside a tight box is its object, so that is sure. Inside, pixels on which Y_crf and Y_ret agree are
    learned and the others are not.

    Args:
        mask: bool (H, W), the box's object by the labels.
        agreed: (H, W), the class of every pixel, ``ignore_index`` where the labels do not agree.
        box: (4,) xyxy in pixel-edge coordinates, inside the image.
        class_id: 1..L, of the box.
        ignore_index: Of ``agreed``.
    """
    weight = np.full(mask.shape, SURE, dtype=np.uint8)
    place = pixel_slices(box)
    inside = agreed[place]
    weight[place] = np.where(inside == ignore_index, 0, np.where((inside == class_id) & ~mask[place], CONTESTED, SURE))
    return BoxTarget(mask.astype(np.uint8) * np.uint8(255), weight)


def tight_box(mask: BoolArray, box: FloatArray) -> FloatArray:
    """The tight box of a label's mask, or the given box where the mask may lack a part of the object.

    People draw boxes some pixels too large or too small. A network that is to fill tight boxes must see tight ones.

    Args:
        mask: bool (H, W), the box's object by the labels, with some pixel.
        box: (4,) xyxy in pixel-edge coordinates, as given.
    """
    bounds = mask_bounds(mask)
    return bounds if box_iou(bounds, box) >= _LEAST_COVER else box
