"""Images made smaller by whole numbers of pixels, in little memory whatever their size."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image

_STRIP = 2**20
"""Pixels that are reduced at once: Pillow keeps a copy of them."""


def block_means(image: npt.NDArray[np.uint8], factors: tuple[int, int]) -> npt.NDArray[np.uint8]:
    """The mean of each block of pixels; the last blocks of a row or column may be narrower.

    Args:
        image: uint8 (H, W) or (H, W, 3).
        factors: Height and width of a block, in pixels.

    Returns:
        uint8 (ceil(H / height), ceil(W / width)) or with 3 channels; the image itself for blocks of one pixel.
    """
    down, across = factors
    if down == across == 1:
        return image
    rows = max(_STRIP // (image.shape[1] * down), 1) * down
    strips = (image[first : first + rows] for first in range(0, len(image), rows))
    reduced = [np.asarray(Image.fromarray(np.ascontiguousarray(strip)).reduce((across, down))) for strip in strips]
    return np.concatenate(reduced)
