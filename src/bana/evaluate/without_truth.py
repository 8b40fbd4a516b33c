"""How well masks fit their images and boxes, where no true mask is known."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter

from bana.data.images import open_record_image
from bana.data.label_folder import LabelFolder
from bana.data.masks import box_iou, decode_mask, mask_bounds
from bana.data.records import BoolArray, FloatArray, ImageRecord, pixel_slices

MARGIN = 0.25
"""How far the surroundings of a box reach, in its sides."""


def color_gradient(image: npt.NDArray[np.uint8]) -> FloatArray:
    """How fast the colors of an RGB image (H, W, 3) change at each pixel, (H, W): slightly blurred, all channels."""
    blurred = np.asarray(Image.fromarray(image).filter(ImageFilter.GaussianBlur(1)), dtype=np.float32)
    squares = np.zeros(blurred.shape[:2], dtype=np.float32)
    for axis in (0, 1):
        if blurred.shape[axis] > 1:
            squares += np.square(np.gradient(blurred, axis=axis)).sum(2)
    return np.sqrt(squares)


def contour_contrast(gradient: FloatArray, mask: BoolArray) -> float:
    """The mean gradient (H, W) on both sides of a mask's outline, over that of all pixels; 0 without an outline."""
    outline = np.zeros_like(mask)
    for here, there in ((np.s_[1:], np.s_[:-1]), (np.s_[:, 1:], np.s_[:, :-1])):
        differs = mask[here] != mask[there]
        outline[here] |= differs
        outline[there] |= differs
    return float(gradient[outline].mean() / max(gradient.mean(), 1e-6)) if outline.any() else 0.0


def mask_fit(gradient: FloatArray, mask: BoolArray, box: FloatArray) -> float:
    """How well a mask fits its image and its box, without a true mask.

    An object's outline lies on edges of the image, and reaches the sides of its box. So the measure is the contrast of
    the outline within the box and its surroundings, times the IoU of the mask's tight box and the given one. A filled
    box has the second alone, a blob on an edge in the middle of the box the first.

    Args:
        gradient: The gradient of the image's colors, (H, W).
        mask: The mask, (H, W).
        box: The given box, xyxy in pixel-edge coordinates.

    Returns:
        0 for an empty mask; without an upper bound.
    """
    if not mask.any():
        return 0.0
    sides = np.tile(box[2:] - box[:2], 2) * (-MARGIN, -MARGIN, MARGIN, MARGIN)
    height, width = mask.shape
    window = pixel_slices(np.clip(box + sides, 0, (width, height, width, height)))
    return contour_contrast(gradient[window], mask[window]) * box_iou(mask_bounds(mask), box)


def label_fit(labels: LabelFolder, records: Sequence[ImageRecord]) -> float:
    """The mean fit of the masks of all boxes of some images; a rejected box counts 0.

    Raises:
        DataError: If labels or an image are missing or damaged.
    """
    fits = []
    for record in records:
        gradient = color_gradient(open_record_image(record))
        for labeled, box in zip(labels.boxes(record), record.boxes, strict=True):
            fits.append(mask_fit(gradient, decode_mask(labeled.mask, record.height, record.width), box))
    return float(np.mean(fits)) if fits else 0.0
