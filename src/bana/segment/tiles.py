"""Images too large for one pass of a network: overlapping tiles that blend into each other."""

from __future__ import annotations

import mmap
import tempfile
from collections.abc import Callable, Iterator
from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt

from bana.data.label_maps import LabelMap
from bana.data.records import FloatArray
from bana.errors import SettingsError

_AT_ONCE = 2**24
"""Numbers of maps to look at together."""

_IN_MEMORY = 2**28
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
        weights = down[:, None] * across
        for channel, values in enumerate(part):  # one by one, or there would be two more maps of all
            total[channel, rows, columns] += values * weights
        release(total)
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


def release(array: Any) -> None:
    """Let what is in memory of an array that ``zeros`` has put into a file go; it stays in the file."""
    if isinstance(array, np.memmap) and hasattr(mmap, "MADV_DONTNEED"):
        array._mmap.madvise(mmap.MADV_DONTNEED)  # type: ignore[attr-defined]


class Released:
    """An array of ``zeros`` of which no more stays in memory than what is read or written at a time.

    Args:
        array: Of any shape.
    """

    def __init__(self, array: Any) -> None:
        self._array = array
        self.shape: tuple[int, ...] = array.shape
        self.dtype = array.dtype

    def __getitem__(self, place: Any) -> FloatArray:
        part: FloatArray = np.array(self._array[place])
        release(self._array)
        return part

    def __setitem__(self, place: Any, part: FloatArray) -> None:
        self._array[place] = part
        release(self._array)


def strips(shape: tuple[int, ...]) -> Iterator[tuple[slice, slice]]:
    """All channels of maps (C, H, W) and some rows at a time."""
    rows = max(_AT_ONCE // (shape[0] * shape[2]), 1)
    for top in range(0, shape[1], rows):
        yield slice(None), slice(top, min(top + rows, shape[1]))


def argmax(maps: FloatArray, dtype: type[np.uint8] | type[np.uint16]) -> LabelMap:
    """The number of the greatest of maps (C, H, W) at each pixel: (H, W), in little more memory than that."""
    labels: LabelMap = np.empty(maps.shape[1:], dtype=dtype)
    for place in strips(maps.shape):
        labels[place[1]] = maps[place].argmax(0)
        release(maps)
    return labels
