"""One object's mask as an annotation file carries it, and the small form in which records keep it."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import Any

Segmentation = dict[str, Any] | list[list[float]]
"""One object's mask as COCO writes it: compressed RLE ``{"size": [H, W], "counts": str}``, or polygons
``[[x0, y0, x1, y1, ...], ...]`` in pixel-edge coordinates."""

PackedPolygons = tuple[bytes, ...]
"""Polygons as the bytes of their float64 coordinates: a quarter of what lists of Python floats take."""

_NUMBERS = {int, float}


def pack(polygons: Sequence[Sequence[float]]) -> PackedPolygons:
    """The polygons in a quarter of the memory."""
    return tuple([array("d", polygon).tobytes() for polygon in polygons])


def unpack(packed: PackedPolygons) -> list[list[float]]:
    """The polygons that were packed."""
    return [array("d", polygon).tolist() for polygon in packed]


def packed_if_polygons(value: list[Any]) -> PackedPolygons | list[Any]:
    """Polygons of an untrusted file, packed; a list of anything but lists of numbers, to be refused, as it is."""
    if not all(isinstance(polygon, list) and _NUMBERS.issuperset(map(type, polygon)) for polygon in value):
        return value
    try:
        return pack(value)
    except OverflowError:  # an integer that no float can hold
        return value


class PackedSegmentations:
    """A field of a class that is given and read as a tuple of segmentations, and kept with its polygons packed.

    The lists are made anew at each reading: a loop over objects had better read the field once.
    """

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __set__(self, instance: Any, segmentations: Sequence[Segmentation | PackedPolygons | None]) -> None:
        vars(instance)[self._name] = tuple(
            [pack(segmentation) if isinstance(segmentation, list) else segmentation for segmentation in segmentations]
        )

    def __get__(self, instance: Any, owner: type | None = None) -> tuple[Segmentation | None, ...]:
        if instance is None:  # a dataclass asks its class for the field's default; there is none
            raise AttributeError(self._name)
        kept = vars(instance)[self._name]
        return tuple([unpack(each) if isinstance(each, tuple) else each for each in kept])
