"""Points and strokes of a labelme file, and the objects that they belong to.

A shape ``point``, ``line`` or ``linestrip`` with an object's label and ``group_id`` marks pixels of that object.
Without a group, it belongs to the smallest box of its label around it. A shape with the label ``_background_`` marks
pixels that are not part of its group's object. Without a group, it holds for every object whose box it lies in.
"""

from __future__ import annotations

from collections.abc import Sequence

from bana.data.classes import NOT_OBJECTS
from bana.data.formats.labelme_shapes import LabelmeShape
from bana.data.objects import Box
from bana.data.points import STEP, along, inside
from bana.data.records import Point
from bana.errors import DataError
from bana.io.faults import FaultLog

Objects = Sequence[Sequence[LabelmeShape]]


def points_of(
    strokes: Sequence[LabelmeShape], objects: Objects, image_id: str, faults: FaultLog
) -> list[tuple[Point, ...]]:
    """The points of each object, inside the bounds of its shapes; a stroke that is meant for none is left out."""
    boxes = [_bounds(shapes) for shapes in objects]
    found: list[list[Point]] = [[] for _ in objects]
    for stroke in strokes:
        with faults.catch_object(image_id):
            held = [_points(stroke, box) for box in boxes]
            numbers = _meant(stroke, objects, boxes, [number for number, points in enumerate(held) if points])
            if not numbers:
                raise DataError(
                    f"{stroke.where}: shape_type {stroke.entry['shape_type']!r:.40} has no area, and lies in no box of "
                    f"{stroke.label!r:.40}; remove it, or give it the label and group_id of an object"
                )
            for number in numbers:
                found[number] += held[number]
    return [tuple(points) for points in found]


def _meant(stroke: LabelmeShape, objects: Objects, boxes: Sequence[Box], holding: list[int]) -> list[int]:
    """Those of the objects whose boxes hold a stroke, by their numbers, that it is meant for."""
    is_object = stroke.label not in NOT_OBJECTS
    if is_object:
        holding = [number for number in holding if objects[number][0].label == stroke.label]
    group = stroke.entry.get("group_id")
    if group is not None:
        return [number for number in holding if objects[number][0].entry.get("group_id") == group]
    return sorted(holding, key=lambda number: _area(boxes[number]))[:1] if is_object else holding


def _points(stroke: LabelmeShape, box: Box) -> tuple[Point, ...]:
    """The points of a stroke that lie in a box."""
    step = STEP * _area(box) ** 0.5
    places = along(stroke.points, step) if step > 0 else []
    return inside([Point(x, y, stroke.label not in NOT_OBJECTS) for x, y in places], box)


def _bounds(shapes: Sequence[LabelmeShape]) -> Box:
    xs, ys = zip(*(point for shape in shapes for point in shape.points), strict=True)
    beyond = any(shape.kind == "mask" for shape in shapes)  # whose corners are pixels
    return min(xs), min(ys), max(xs) + beyond, max(ys) + beyond


def _area(box: Box) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])
