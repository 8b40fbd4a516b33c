"""Crowds from single objects: an object of another image is pasted in front of a box's own.

This is copy-paste (Ghiasi et al., CVPR 2021), with cutouts by labels instead of drawn masks.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image

from bana.data.masks import mask_bounds
from bana.data.records import BoolArray, FloatArray
from bana.refine.targets import SURE, BoxTarget

_LEAST_VISIBLE = 0.5
"""An object that would keep a smaller share of its pixels stays as it is."""

_HIDDEN = 127
"""What lies under a pixel of greater opacity (0..255) is hidden."""

Picture = npt.NDArray[np.uint8]
"""uint8 (H, W, 3), RGB."""


class Cutout(NamedTuple):
    """An object without its surroundings.

    Attributes:
        picture: RGB uint8 (h, w, 3).
        mask: bool (h, w), the object's pixels; some in each outermost row and column.
    """

    picture: Picture
    mask: BoolArray


class BoxedObject(NamedTuple):
    """What is known of one box.

    Attributes:
        image: RGB uint8 (H, W, 3).
        target: What is learned of the box.
        box: (4,) xyxy in pixel-edge coordinates.
    """

    image: Picture
    target: BoxTarget
    box: FloatArray


def cut_out(image: Picture, mask: BoolArray) -> Cutout:
    """The object of a mask (H, W) that has some pixel."""
    x0, y0, x1, y1 = mask_bounds(mask).astype(int)
    return Cutout(image[y0:y1, x0:x1], mask[y0:y1, x0:x1])


def occluded(boxed: BoxedObject, cutout: Cutout, side: int, center: tuple[int, int]) -> BoxedObject:
    """A box's object with another in front of it, and the tight box of what is still seen.

    Where less than half would be seen, or a row or column in between would be empty, nothing changes: people would
    draw other boxes then.

    Args:
        boxed: The box.
        cutout: What is pasted.
        side: Its longer side, in pixels of the image.
        center: Row and column of its center.
    """
    image, hidden = with_cutout(boxed.image, cutout, side, center)
    before = boxed.target.target > 0
    after: BoolArray = before & ~hidden
    if after.sum() < max(_LEAST_VISIBLE * before.sum(), 1):
        return boxed
    seen = mask_bounds(after)
    if _is_torn(before, after, seen):
        return boxed
    target = np.where(hidden, np.uint8(0), boxed.target.target)
    weight = np.where(hidden, np.uint8(SURE), boxed.target.weight)
    return BoxedObject(image, BoxTarget(target, weight), boxed.box + (seen - mask_bounds(before)))


def with_cutout(image: Picture, cutout: Cutout, side: int, center: tuple[int, int]) -> tuple[Picture, BoolArray]:
    """An image with a cutout in it, and which pixels the cutout hides, bool (H, W).

    Args:
        image: RGB uint8 (H, W, 3).
        cutout: What is pasted.
        side: Its longer side, in pixels of the image.
        center: Row and column of its center.
    """
    height, width = (max(round(length * side / max(cutout.mask.shape)), 1) for length in cutout.mask.shape)
    corner = (center[1] - width // 2, center[0] - height // 2)
    canvases = []
    for part in (cutout.picture, cutout.mask.astype(np.uint8) * np.uint8(255)):
        layer = Image.fromarray(part).resize((width, height), Image.Resampling.BILINEAR)
        canvas = Image.new(layer.mode, (image.shape[1], image.shape[0]))
        canvas.paste(layer, corner)
        canvases.append(canvas)
    front, opacity = canvases
    return np.asarray(Image.composite(front, Image.fromarray(image), opacity)), np.asarray(opacity) > _HIDDEN


def _is_torn(before: BoolArray, after: BoolArray, seen: FloatArray) -> bool:
    """Whether a row or column that had object pixels has none left, within the bounds (4,) of what is still seen."""
    x0, y0, x1, y1 = seen.astype(int).tolist()
    rows = np.asarray(before.any(1) & ~after.any(1))
    columns = np.asarray(before.any(0) & ~after.any(0))
    return bool(rows[y0:y1].any() or columns[x0:x1].any())
