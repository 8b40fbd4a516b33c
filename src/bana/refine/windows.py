"""Windows: each box with some of its surroundings, cut out of the image and stretched to one square.

A window of side S shows the box as the same square whatever its size, so a network knows where the box is without
being told. Corner cells of the network's map sit on the window's corner pixels (see ``bana.nn.backbones``): cell j of a
map of n cells lies at pixel j (S - 1) / (n - 1).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from bana.data.records import FloatArray
from bana.data.reduction import block_means

_MIN_SIDE = 1e-3
"""Least side of a window, in pixels."""

_FINEST = 8
"""Pixels a pixel of the window, in each direction; of finer images means of blocks are taken first."""

_SUPERSAMPLED = 4
"""Points a pixel in each direction where a map is finer than the image's pixels."""


def windows_of(boxes: npt.ArrayLike, context: float) -> FloatArray:
    """Boxes (K, 4) xyxy, ``context`` times as wide and high, their centers staying where they are: float64 (K, 4)."""
    corners = np.asarray(boxes, dtype=np.float64).reshape(-1, 4)
    centers, halves = (corners[:, :2] + corners[:, 2:]) / 2, (corners[:, 2:] - corners[:, :2]) / 2
    windows: FloatArray = np.concatenate([centers - context * halves, centers + context * halves], 1)
    return windows


def cut_window(array: npt.NDArray[np.uint8], window: npt.ArrayLike, side: int, fill: int) -> npt.NDArray[np.uint8]:
    """What a window shows, resampled bilinearly, with all pixels counted where the window is larger than ``side``.

    Args:
        array: uint8 (H, W) or (H, W, 3).
        window: (4,) xyxy in pixel-edge coordinates; it may reach beyond the array.
        side: S, in pixels.
        fill: Value beyond the array's edges, 0..255.

    Returns:
        uint8 (S, S) or (S, S, 3).
    """
    x0, y0, x1, y1 = np.asarray(window, dtype=np.float64)
    x1, y1 = max(x1, x0 + _MIN_SIDE), max(y1, y0 + _MIN_SIDE)
    down, across = _Part.of(y0, y1, array.shape[0], side), _Part.of(x0, x1, array.shape[1], side)
    part = block_means(array[down.shown, across.shown], (down.block, across.block))
    if any(down.padding + across.padding):
        part = np.pad(part, [down.padding, across.padding, (0, 0)][: array.ndim], constant_values=fill)
    box = (across.within(x0), down.within(y0), across.within(x1), down.within(y1))
    picture = Image.fromarray(np.ascontiguousarray(part))
    return np.asarray(picture.resize((side, side), Image.Resampling.BILINEAR, box=box))


class _Part(NamedTuple):
    """What is cut out for a window along one axis.

    Attributes:
        shown: The array's pixels.
        block: How many of them become one.
        padding: Blocks beyond the array, before and after.
    """

    shown: slice
    block: int
    padding: tuple[int, int]

    @classmethod
    def of(cls, low: float, high: float, length: int, side: int) -> _Part:
        first, last = int(np.floor(low)), int(np.ceil(high))
        block = max(int((high - low) / (_FINEST * side)), 1)
        before, after = (-(-max(beyond, 0) // block) for beyond in (-first, last - length))
        return cls(slice(max(first, 0), max(last, 0)), block, (before, after))

    def within(self, position: float) -> float:
        """A position in the array, in blocks of what is cut out."""
        begin: int = self.shown.start
        return (position - begin) / self.block + self.padding[0]


def paste_map(values: Tensor, window: npt.ArrayLike, side: int, place: tuple[slice, slice]) -> FloatArray:
    """A network's map of a window, resampled bilinearly to pixels of the image.

    Args:
        values: float32 (n, n).
        window: (4,) xyxy in pixel-edge coordinates of the image.
        side: S, the window's side as the network saw it.
        place: The rows and columns of the image that are wanted.

    Returns:
        float32 (h, w), as ``place`` says; where the map is finer than the pixels, its mean over each pixel.
    """
    x0, y0, x1, y1 = np.asarray(window, dtype=np.float64)
    rows, columns = place
    cells = values.shape[-1]
    finer = min(x1 - x0, y1 - y0) < cells
    points = _SUPERSAMPLED if finer else 1
    down = _grid_coordinates(rows, y0, y1, side, points)
    across = _grid_coordinates(columns, x0, x1, side, points)
    grid = torch.stack([across.expand(len(down), -1), down[:, None].expand(-1, len(across))], -1)
    sampled = F.grid_sample(values[None, None], grid[None], align_corners=True, padding_mode="border")
    pasted: FloatArray = F.avg_pool2d(sampled, points)[0, 0].numpy()
    return pasted


def _grid_coordinates(pixels: slice, low: float, high: float, side: int, points: int) -> Tensor:
    """Where points of the image's pixels lie along one axis of a window's map, -1 and 1 being its corner cells."""
    count = (pixels.stop - pixels.start) * points
    place = pixels.start + (torch.arange(count, dtype=torch.float64) + 0.5) / points
    in_window = (place - low) / (high - low) * side - 0.5  # pixel centers of the window at whole numbers
    coordinates: Tensor = in_window / (side - 1) * 2 - 1
    return coordinates.float()
