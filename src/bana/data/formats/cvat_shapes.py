"""The shapes of CVAT's XML, which tasks of images and of videos share."""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from bana.data.classes import class_id_of, class_table
from bana.data.masks import checked_segmentation, encode_mask
from bana.data.objects import AnnotatedObject, Box, corner_bounds, repaired_box, turned_rectangle, usable_area
from bana.data.records import ClassTable
from bana.data.segmentations import Segmentation
from bana.errors import DataError
from bana.io.faults import FaultLog

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

SHAPES = ("box", "polygon", "mask")
"""Tags of the shapes that have an area."""

_WITHOUT_AREA = ("polyline", "points", "cuboid", "skeleton", "ellipse", "tag")


def class_table_of(root: Element, used: set[str]) -> ClassTable:
    """The classes of a file: the task's labels, or the sorted names that shapes use if labels lack one of them."""
    labels = [(element.findtext("name") or "").strip() for element in root.findall("meta//labels/label")]
    return class_table(labels if used <= set(labels) else sorted(used))


def parse_shape(
    shape: Element, size: tuple[int, int], classes: ClassTable, where: str, image_id: str, faults: FaultLog
) -> AnnotatedObject:
    """The object of a shape: a box, turned or not, a polygon or a mask.

    Args:
        shape: The element, with its ``label``.
        size: (width, height) of the image.
        classes: The classes.
        where: File and place in it, for messages.
        image_id: The image that notes are of.
        faults: Is told what was repaired.

    Raises:
        DataError: If it cannot be used.
    """
    if shape.tag not in SHAPES:
        known = "has no area" if shape.tag in _WITHOUT_AREA else "is not known"
        raise DataError(f"{where}: a {shape.tag:.40} {known}; use {', '.join(SHAPES)}")
    class_id = class_id_of(shape.get("label", ""), classes, where)
    oriented = segmentation = None
    if shape.tag == "box":
        bounds, oriented = _corners(shape, where)
    elif shape.tag == "polygon":
        points = [_pair(text, where) for text in shape.get("points", "").split(";") if text.strip()]
        if len(points) < 3:
            raise DataError(f"{where}: a polygon has {len(points)} points; give at least 3")
        (x0, y0), (x1, y1) = np.min(points, axis=0).tolist(), np.max(points, axis=0).tolist()
        bounds = (x0, y0, x1, y1)
        with faults.catch_object(image_id):
            segmentation = checked_segmentation([[value for point in points for value in point]], *size, where)
    else:
        bounds, segmentation = _mask(shape, size, where)
    box = repaired_box(bounds, *size, where, partial(faults.repaired, image_id))
    return AnnotatedObject(box, class_id, segmentation=segmentation, oriented=oriented)


def _corners(shape: Element, where: str) -> tuple[Box, list[float] | None]:
    """The bounds of a box, and its corners if it is turned: by degrees clockwise around its center."""
    x0, y0, x1, y1 = (number_of(shape, key, where) for key in ("xtl", "ytl", "xbr", "ybr"))
    angle = math.radians(number_of(shape, "rotation", where, 0.0))
    if not angle:
        return (x0, y0, x1, y1), None
    corners = turned_rectangle(((x0 + x1) / 2, (y0 + y1) / 2), (x1 - x0, y1 - y0), angle)
    return corner_bounds(corners), corners


def _mask(shape: Element, size: tuple[int, int], where: str) -> tuple[Box, Segmentation]:
    """A mask: the lengths of runs of 0 and 1 in turn, row by row of a part of the image."""
    left, top, width, height = (int(number_of(shape, key, where)) for key in ("left", "top", "width", "height"))
    try:
        runs = [int(word) for word in shape.get("rle", "").split(",")]
    except ValueError as error:
        raise DataError(f"{where}: rle is not a list of run lengths; restore the mask") from error
    fits = 0 <= left < left + width <= size[0] and 0 <= top < top + height <= size[1]
    if not fits or min(runs) < 0 or sum(runs) != width * height:
        raise DataError(f"{where}: the mask does not fit its {width}x{height} part of the image; restore it")
    mask = np.zeros((size[1], size[0]), dtype=bool)
    mask[top : top + height, left : left + width] = np.repeat(np.arange(len(runs)) % 2 == 1, runs).reshape(
        height, width
    )
    return (left, top, left + width, top + height), encode_mask(mask)


def area_of(shape: Element, size: tuple[int, int]) -> Box | None:
    """The part of a box that cannot be used that lies inside an image of a (width, height); None if it has none."""
    if shape.tag != "box":
        return None
    try:
        return usable_area(_corners(shape, "")[0], *size)
    except DataError:
        return None


def _pair(text: str, where: str) -> tuple[float, float]:
    try:
        x, y = (float(word) for word in text.split(","))
    except ValueError as error:
        raise DataError(f"{where}: {text!r:.40} is not a point x,y; correct it") from error
    return x, y


def number_of(element: Element, key: str, where: str, default: float | None = None) -> float:
    """An attribute as a number, ``default`` where it is missing. Raises DataError if it is none."""
    text = element.get(key)
    if text is None and default is not None:
        return default
    try:
        return float(text or "")
    except ValueError as error:
        raise DataError(f"{where}: {key} is {text!r:.40}, not a number; correct it") from error
