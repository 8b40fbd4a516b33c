"""Images too large for one pass of a network: overlapping tiles that blend into each other."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt

from bana.data.records import FloatArray
from bana.errors import SettingsError

_IN_MEMORY = 2**31
"""Most bytes of a result in memory; a larger one is kept in a file that vanishes with it."""


def blended(
    image: npt.NDArray[np.uint8],
    channels: int,
    predict: Callable[[npt.NDArray[np.uint8]], FloatArray],
    *,
    tile: int,
    overlap: int,
) -> FloatArray:
    """Run ``predict`` on an image's tiles and blend the results to one map.

    Where tiles overlap, the weight of one falls linearly to 0 at its border while that of its neighbor rises, and the
    weights sum to 1. So there are no seams, and a network's errors at a tile's border hardly count.

    Args:
        image: RGB uint8 (H, W, 3).
        channels: C.
        predict: Returns float32 (C, h, w) for a tile uint8 (h, w, 3).
        tile: Longest side of a tile in pixels, overlap included.
        overlap: Pixels that neighbors share, at most half a tile.

    Returns:
        float32 (C, H, W).

    Raises:
        SettingsError: If the overlap is greater than half a tile.
    """
    height, width = image.shape[:2]
    total: FloatArray = zeros((channels, height, width))
    for (rows, down), (columns, across) in product(windows(height, tile, overlap), list(windows(width, tile, overlap))):
        part = predict(np.ascontiguousarray(image[rows, columns]))
        total[:, rows, columns] += part * (down[:, None] * across)
    return total


def windows(length: int, tile: int, overlap: int) -> Iterator[tuple[slice, FloatArray]]:
    """Yield the tiles of one axis: their pixels, and the weight of each pixel. The weights of a pixel sum to 1.

    Args:
        length: Pixels of the axis.
        tile: As for ``blended``.
        overlap: As for ``blended``; tiles overlap more where the same number of them allows it.

    Raises:
        SettingsError: If the overlap is greater than half a tile.
    """
    if not 0 <= 2 * overlap <= tile:
        raise SettingsError(f"overlap {overlap} is more than half of tile {tile}; choose a smaller one")
    side = min(length, tile)
    count = -(-(length - overlap) // (tile - overlap)) if length > tile else 1
    starts = [number * (length - side) // max(count - 1, 1) for number in range(count)]
    rising = np.minimum((np.arange(side) + 0.5) / max(overlap, 1), 1)
    raw = [
        (rising if number else 1) * (rising[::-1] if number + 1 < count else np.ones(side)) for number in range(count)
    ]
    total = np.zeros(length)
    for start, weights in zip(starts, raw, strict=True):
        total[start : start + side] += weights
    for start, weights in zip(starts, raw, strict=True):
        place = slice(start, start + side)
        yield place, (weights / total[place]).astype(np.float32)


def zeros(shape: tuple[int, ...]) -> Any:
    """A float32 array of zeros, in memory or, if it is too large, in a temporary file."""
    if 4 * int(np.prod(shape)) <= _IN_MEMORY:
        return np.zeros(shape, dtype=np.float32)
    with tempfile.TemporaryFile() as file:
        return np.memmap(file, dtype=np.float32, shape=shape, mode="w+")
