"""The shapes of a labelme file: each checked by itself."""

from __future__ import annotations

import base64
import binascii
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from bana.data.images import DAMAGED
from bana.data.objects import Box
from bana.data.records import BoolArray
from bana.errors import DataError
from bana.io.strict_json import is_number, value_of

_LEAST_POINTS = {"rectangle": 2, "polygon": 3, "mask": 2, "circle": 2, "rotation": 4}
"""The points that a shape must have."""

STROKES = {"point": 1, "line": 2, "linestrip": 1}
"""The same of shapes without an area, which say where an object is."""

_OTHER_KINDS = {"oriented_rectangle": "rotation", "quadrilateral": "polygon"}
"""Of the two names that labelme and X-AnyLabeling give a turned rectangle, the one; and what has a kind's points."""

_CIRCLE = 72
"""Corners of the polygon that stands for a circle; a multiple of four, so that it touches its box."""


@dataclass(frozen=True, eq=False)
class LabelmeShape:
    """One shape with its place for messages."""

    where: str
    label: str
    kind: str
    points: tuple[tuple[float, float], ...]
    entry: dict[str, Any]


def parse_shape(entry: Any, where: str) -> LabelmeShape:
    """Check label, kind and points of one shape."""
    label = value_of(entry, "label", str, where)
    kind = value_of(entry, "shape_type", str, where) if entry.get("shape_type") is not None else "polygon"
    kind = _OTHER_KINDS.get(kind, kind)
    least = (_LEAST_POINTS | STROKES).get(kind)
    if least is None:
        raise DataError(f"{where}: shape_type {kind!r:.40} has no area; use {', '.join(_LEAST_POINTS)}")
    points = value_of(entry, "points", list, where)
    for point in points:
        if not isinstance(point, list) or len(point) != 2 or not all(is_number(value) for value in point):
            raise DataError(f"{where}: a point is not [x, y]; correct it")
    if len(points) < least:
        raise DataError(f"{where}: a {kind} has {len(points)} points; give at least {least}")
    corners = tuple((float(x), float(y)) for x, y in points)
    if kind == "circle":
        return LabelmeShape(where, label, "polygon", _circle(*corners[:2]), entry)
    return LabelmeShape(where, label, kind, corners, entry)


def _circle(center: tuple[float, float], rim: tuple[float, float]) -> tuple[tuple[float, float], ...]:
    """A circle by its center and a point on its rim, as a polygon."""
    radius = math.dist(center, rim)
    angles = np.arange(_CIRCLE) * (2 * np.pi / _CIRCLE)
    xs, ys = center[0] + radius * np.cos(angles), center[1] + radius * np.sin(angles)
    return tuple(zip(xs.tolist(), ys.tolist(), strict=True))


def extent_of(
    shapes: Sequence[LabelmeShape], size: tuple[int, int]
) -> tuple[BoolArray | None, npt.NDArray[np.float64]]:
    """The union of the masks among the shapes, if there are any, and the box around each shape, (S, 4)."""
    union: BoolArray | None = None
    bounds: list[Box] = []
    for shape in shapes:
        if shape.kind != "mask":
            xs, ys = zip(*shape.points, strict=True)
            bounds.append((min(xs), min(ys), max(xs), max(ys)))
            continue
        left, top, mask = _placed_mask(shape, size)  # one after the other: each may be as large as the image
        bottom, right = top + mask.shape[0], left + mask.shape[1]
        union = np.zeros(size[::-1], dtype=bool) if union is None else union
        union[top:bottom, left:right] |= mask
        bounds.append((left, top, right, bottom))
    return union, np.array(bounds, dtype=np.float64)


def _placed_mask(shape: LabelmeShape, size: tuple[int, int]) -> tuple[int, int, BoolArray]:
    """Left, top and pixels of a mask: a PNG in base64, which starts at the shape's first point."""
    text = value_of(shape.entry, "mask", str, shape.where)
    left, top = (round(value) for value in shape.points[0])
    try:
        with Image.open(io.BytesIO(base64.b64decode(text, validate=True)), formats=["PNG"]) as image:
            # Before it is decoded: a few bytes may say that they are billions of pixels.
            if left < 0 or top < 0 or left + image.width > size[0] or top + image.height > size[1]:
                raise DataError(
                    f"{shape.where}: box of the mask lies outside the {size[0]}x{size[1]} image; correct it"
                )
            return left, top, np.asarray(image.convert("L")) > 0
    except (binascii.Error, Image.DecompressionBombError, *DAMAGED) as error:
        raise DataError(f"{shape.where}: mask is not a PNG in base64 ({type(error).__name__}); restore it") from error
