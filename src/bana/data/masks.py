"""Masks in the forms that annotation files carry: RLE and polygons."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, cast

import numpy as np
from pycocotools import mask as coco_mask

from bana.data.objects import ROUNDING
from bana.data.outlines import Ring, join_rings, trace
from bana.data.records import BoolArray, FloatArray
from bana.data.segmentations import PackedPolygons, Segmentation
from bana.data.simplify import EXACT, Simplification
from bana.errors import DataError
from bana.io.strict_json import is_number

_FLOAT = 8
"""Bytes of a packed coordinate."""

_MAX_OUTLINE = 10_000_000
"""Pixels around a polygon: the rasterizer keeps five points of each, so that some zigzags would take gigabytes."""

_RLE_DIGITS = 7
"""The most base-32 digits of a run length, or difference of two, of 32 bits."""


def encode_mask(mask: BoolArray) -> dict[str, Any]:
    """Compress a bool (H, W) mask to COCO's RLE, ``{"size": [H, W], "counts": str}``."""
    rle = coco_mask.encode(np.asfortranarray(mask, dtype=np.uint8))
    return {"size": [int(side) for side in rle["size"]], "counts": rle["counts"].decode("ascii")}


def encode_part(place: tuple[slice, slice], part: BoolArray, size: tuple[int, int]) -> dict[str, Any]:
    """Compress a mask of which only a part is not empty, in time and memory of that part.

    Args:
        place: The part's rows and columns in the mask.
        part: bool (h, w).
        size: (H, W) of the mask, in pixels.

    Returns:
        What ``encode_mask`` gives for the whole mask.
    """
    height, width = size
    rows, columns = place
    edges = np.diff(np.pad(part.T.astype(np.int8), ((0, 0), (1, 1))), axis=1)  # RLE goes down the columns
    starts, ends = (
        (np.arange(columns.start, columns.stop)[found] * height + rows.start + down)
        for found, down in (np.nonzero(edges == sign) for sign in (1, -1))
    )
    first, last = np.ones((2, len(starts)), dtype=bool)
    first[1:] = last[:-1] = starts[1:] != ends[:-1]  # a run may go on from the foot of a column to the head of the next
    bounds = np.stack([starts[first], ends[last]], 1).ravel()
    runs = np.diff(bounds, prepend=0, append=height * width).tolist()
    return compressed_rle({"size": [height, width], "counts": runs if runs[-1] else runs[:-1]})


def compressed_rle(rle: dict[str, Any]) -> dict[str, Any]:
    """An RLE with its list of run lengths as a string; one that is compressed already, or not sound, as it is."""
    size, runs = rle.get("size"), rle.get("counts")
    if not isinstance(size, list) or list(map(type, size)) != [int, int] or not isinstance(runs, list):
        return rle
    height, width = size
    # Runs are packed as 32-bit numbers; an image of more pixels is refused later.
    if min(size) < 1 or height * width >= 2**32:
        return rle
    if set(map(type, runs)) != {int} or min(runs) < 0 or sum(runs) != height * width:
        return rle
    packed = coco_mask.frPyObjects({"size": size, "counts": runs}, height, width)
    return rle | {"counts": packed["counts"].decode("ascii")}


def decode_mask(segmentation: Segmentation, height: int, width: int) -> BoolArray:
    """The pixels of a checked segmentation, bool (height, width), as pycocotools draws them."""
    if segmentation == []:
        return np.zeros((height, width), dtype=bool)
    runs = _runs_of(segmentation, height, width)
    # pycocotools' own decode raises a DeprecationWarning from numpy 2 on.
    return np.repeat(np.arange(len(runs)) % 2 == 1, runs).reshape(width, height).T


def decode_part(segmentation: Segmentation, height: int, width: int) -> tuple[tuple[slice, slice], BoolArray]:
    """The pixels of a checked segmentation where it has some, in time and memory of these.

    Returns:
        Rows and columns, and bool (h, w) of these, outside of which ``decode_mask`` has no pixel; none where the mask
        is empty.
    """
    runs = [] if segmentation == [] else _runs_of(segmentation, height, width)
    ends = np.cumsum(runs, dtype=np.int64)
    if len(runs) < 2 or ends[-1] == runs[0]:
        return (slice(0, 0), slice(0, 0)), np.zeros((0, 0), dtype=bool)
    last_of_mask = ends[1::2][-1]
    first, last = int(runs[0] // height), int(-(-last_of_mask // height))
    inside = np.clip(np.concatenate([[0], ends]), first * height, last * height)
    columns = np.repeat(np.arange(len(runs)) % 2 == 1, np.diff(inside)).reshape(last - first, height).T
    rows = np.flatnonzero(columns.any(axis=1))
    top, bottom = int(rows[0]), int(rows[-1]) + 1
    return (slice(top, bottom), slice(first, last)), columns[top:bottom]


def mask_area(segmentation: Segmentation, height: int, width: int) -> int:
    """The number of pixels that ``decode_mask`` has of a checked segmentation."""
    return 0 if segmentation == [] else sum(_runs_of(segmentation, height, width)[1::2])


def _runs_of(segmentation: Segmentation, height: int, width: int) -> list[int]:
    if isinstance(segmentation, list):
        segmentation = cast("dict[str, Any]", coco_mask.merge(coco_mask.frPyObjects(segmentation, height, width)))
    counts = segmentation["counts"]
    return _run_lengths(counts if isinstance(counts, bytes) else counts.encode())


def checked_segmentation(segmentation: Any, width: int, height: int, where: str) -> Segmentation | None:
    """A segmentation as records hold it: RLE compressed, polygons clipped where they stick out by rounding.

    Args:
        segmentation: What a JSON file has: RLE with counts as a string or a list, a list of polygons, or nothing.
        width: Of the image, pixels.
        height: Of the image, pixels.
        where: File and place in it, for the message.

    Raises:
        DataError: If it is none of these, or does not fit the image.
    """
    if segmentation is None or segmentation == []:
        return None
    if isinstance(segmentation, dict):
        return _checked_rle(segmentation, width, height, where)
    if isinstance(segmentation, list):
        return [_checked_polygon(polygon, width, height, where) for polygon in segmentation]
    raise DataError(f"{where}: segmentation is a {type(segmentation).__name__}; give RLE or a list of polygons")


def are_valid(polygons: Iterable[PackedPolygons], width: int, height: int) -> bool:
    """Whether checked_segmentation would take each of many polygons and change none: asked of all of an image at once.

    Almost all images are so, and it takes a third of the time of asking object by object.
    """
    rings = [ring for each in polygons for ring in each]
    if not all(len(ring) >= 6 * _FLOAT and len(ring) % (2 * _FLOAT) == 0 for ring in rings):
        return False
    numbers = np.frombuffer(b"".join(rings))
    if not len(numbers):
        return True
    if max(map(len, rings)) // (2 * _FLOAT) * max(width, height) > _MAX_OUTLINE:  # it may be: each is looked at
        return False
    xs, ys = numbers[::2], numbers[1::2]
    return bool(numbers.min() >= 0 and xs.max() <= width and ys.max() <= height)  # False for NaN


def polygons_of(mask: BoolArray, simplify: Simplification = EXACT) -> list[list[float]]:
    """One polygon around each part of a mask; its holes are lost, all else is kept to the pixel if it is exact."""
    return [_flat(ring) for ring in simplify(trace(mask)).parts]


def single_polygon_of(mask: BoolArray, simplify: Simplification = EXACT) -> list[float]:
    """One polygon around a mask that is not empty: parts and holes are joined by lines without width.

    Filled by the even-odd rule or the winding rule it is the mask again, to the pixel, if it is exact.
    """
    outlines = simplify(trace(mask))
    return _flat(join_rings((*outlines.parts, *outlines.holes)))


def mask_bounds(mask: BoolArray) -> FloatArray:
    """The xyxy bounds of a mask that is not empty, in pixel-edge coordinates."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1], dtype=np.float32)


def mask_iou(first: BoolArray, second: BoolArray) -> float:
    """Intersection over union of two masks; 1 where both are empty."""
    union = np.count_nonzero(first | second)
    return np.count_nonzero(first & second) / union if union else 1.0


def box_iou(first: FloatArray, second: FloatArray) -> float:
    """Intersection over union of two xyxy boxes that are not empty."""
    low, high = np.maximum(first[:2], second[:2]), np.minimum(first[2:], second[2:])
    shared = float(np.prod(np.maximum(high - low, 0)))
    return shared / (sum(float(np.prod(box[2:] - box[:2])) for box in (first, second)) - shared)


def _flat(ring: Ring) -> list[float]:
    return [float(value) for value in ring.ravel()]


def _checked_polygon(polygon: Any, width: int, height: int, where: str) -> list[float]:
    if not isinstance(polygon, list) or not all(is_number(value) for value in polygon):
        raise DataError(f"{where}: a polygon must be a list of numbers [x0, y0, x1, y1, ...]; correct it")
    if len(polygon) < 6 or len(polygon) % 2:
        raise DataError(
            f"{where}: a polygon has {len(polygon)} numbers; give an even number of at least 6, or remove it"
        )
    points = np.array(polygon, dtype=np.float64).reshape(-1, 2)
    side = np.array([width, height])
    # Far outside, a polygon would make the rasterizer walk an edge of that length pixel by pixel.
    if not np.isfinite(points).all() or (points < -ROUNDING).any() or (points > side + ROUNDING).any():
        raise DataError(f"{where}: a polygon lies outside the {width}x{height} image; correct it or the image size")
    if np.abs(points - np.roll(points, 1, axis=0)).max(axis=1).sum() > _MAX_OUTLINE:
        raise DataError(f"{where}: a polygon is more than {_MAX_OUTLINE} pixels around; simplify it")
    clipped: list[float] = np.clip(points, 0, side).ravel().tolist()
    return clipped


def _checked_rle(rle: dict[str, Any], width: int, height: int, where: str) -> dict[str, Any]:
    size, counts = rle.get("size"), rle.get("counts")
    if size != [height, width]:
        raise DataError(
            f"{where}: RLE mask has size {size!r:.40}, but the image is {width}x{height}; correct one of them"
        )
    if isinstance(counts, list):
        if not all(is_number(count) and count >= 0 and count == int(count) for count in counts):
            raise DataError(f"{where}: RLE counts must be whole numbers from 0 up; correct them")
        runs: Sequence[int] = [int(count) for count in counts]
    elif isinstance(counts, str):
        runs = _run_lengths(counts.encode("utf-8", "surrogatepass"))
    else:
        raise DataError(f"{where}: RLE mask has no counts; give a string or a list of run lengths")
    if sum(runs) != height * width or min(runs) < 0:
        raise DataError(f"{where}: RLE counts do not add up to the image's {width}x{height} pixels; restore the mask")
    return compressed_rle({"size": [height, width], "counts": counts if isinstance(counts, str) else runs})


def _run_lengths(counts: bytes) -> list[int]:
    """The runs of a compressed RLE: base-32 digits, least first, each from the fourth run on less the run two before.

    A string that is cut, has other characters or more digits in a number than 32 bits need gives [-1], which no mask
    has.
    """
    digits = np.frombuffer(counts, dtype=np.uint8).astype(np.int64) - 48
    if not len(digits) or digits.min() < 0 or digits.max() >= 64 or digits[-1] >= 32:
        return [-1]
    ends = np.flatnonzero(digits < 32) + 1
    lengths = np.diff(ends, prepend=0)
    if lengths.max() > _RLE_DIGITS:
        return [-1]
    starts = ends - lengths
    shifts = 5 * (np.arange(len(digits)) - np.repeat(starts, lengths))
    runs = np.add.reduceat((digits & 31) << shifts, starts)
    runs -= (digits[ends - 1] & 16) << (5 * lengths - 4)  # the highest bit is the sign
    runs[1::2] = np.cumsum(runs[1::2])
    runs[2::2] = np.cumsum(runs[2::2])
    return cast("list[int]", runs.tolist())
