"""Photographs as network input."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor


def network_input(image: npt.NDArray[np.uint8], side: int | None, multiple: int) -> Tensor:
    """Scale an image to sides that are a multiple of the stride, plus 1, so that features line up with its corners.

    Args:
        image: uint8 (H, W, 3).
        side: What the longer side shall be, in pixels, to the nearest allowed size; None: as it is.
        multiple: Of which the sides less 1 are multiples.

    Returns:
        float32 (1, 3, h, w) of RGB in 0..255, resampled with corners on corners.
    """
    height, width = image.shape[:2]
    factor = 1.0 if side is None else side / max(height, width)
    size = [max(round((length * factor - 1) / multiple), 1) * multiple + 1 for length in (height, width)]
    pixels = torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1)[None].float()
    return F.interpolate(pixels, size, mode="bicubic", align_corners=True).clamp(0.0, 255.0)
