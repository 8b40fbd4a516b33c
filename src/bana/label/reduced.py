"""Large images: the labeler sees them reduced, and its result is brought back to their pixels.

A pixel of the reduced image is a block of the image's own. So memory and time are bounded for any size of image.
Nothing is lost. The CRF's kernels were made for images of a fifth of a megapixel. Objects get their outlines from the
refiner, which sees each box at the image's own resolution. Photographs enlarged fourfold got better labels this way.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, sqrt
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F

from bana.data.records import BoolArray, FloatArray
from bana.label.boxes import BoxedImage, Place

MOST_PIXELS = 2**20
"""Of an image that the labeler sees as it is."""

MOST_VALUES = 2**24
"""Of all labels' maps together, of which the CRF needs several: 64 MB each."""

Values = TypeVar("Values", bound=np.generic)


def block_side(size: tuple[int, int], labels: int = 1) -> int:
    """The side of a block, in pixels, at which an image is small enough; 1 for one that is.

    Args:
        size: (H, W) of the image.
        labels: How many there are in the image, with the background.
    """
    return ceil(sqrt(size[0] * size[1] / min(MOST_PIXELS, MOST_VALUES / labels)))


@dataclass(frozen=True)
class ReducedMap:
    """A map of an image's blocks as if it were one of its pixels.

    Attributes:
        values: float32 (h, w), a number for each block.
        block: Side of a block, in pixels.
    """

    values: FloatArray
    block: int

    def at(self, place: Place) -> FloatArray:
        """The numbers at some rows and columns of the image, between the centers of blocks bilinearly: float32."""
        if self.block == 1:
            return self.values[place]
        down, across = (
            ((torch.arange(part.start, part.stop) + 0.5) * (2 / (self.block * length)) - 1).float()
            for part, length in zip(place, self.values.shape, strict=True)
        )
        grid = torch.stack([across.expand(len(down), -1), down[:, None].expand(-1, len(across))], -1)
        values = torch.from_numpy(self.values)[None, None]
        sampled = F.grid_sample(values, grid[None], align_corners=False, padding_mode="border")
        found: FloatArray = sampled[0, 0].numpy()
        return found


def enlarged(values: npt.NDArray[Values], block: int, size: tuple[int, int]) -> npt.NDArray[Values]:
    """A map (h, w) of blocks as one (H, W) of pixels, each pixel with its block's value."""
    return values if block == 1 else values.repeat(block, 0)[: size[0]].repeat(block, 1)[:, : size[1]]


def enlarged_parts(parts: list[BoolArray], reduced: BoxedImage, boxed: BoxedImage, block: int) -> list[BoolArray]:
    """Masks of reduced boxes as masks of the boxes themselves, each bool (h, w) of its box's pixels."""
    found = []
    for part, small, large in zip(parts, reduced.places, boxed.places, strict=True):
        rows, columns = (
            np.clip(np.arange(pixels.start, pixels.stop) // block, blocks.start, blocks.stop - 1) - blocks.start
            for pixels, blocks in zip(large, small, strict=True)
        )
        found.append(part[np.ix_(rows, columns)])
    return found
