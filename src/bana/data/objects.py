"""From the objects of an annotation file to an ImageRecord, checked."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np

from bana.data.images import MAX_SIDE
from bana.data.records import BoolArray, ImageRecord, Point
from bana.data.rgb import most_pixels
from bana.data.segmentations import PackedPolygons, Segmentation
from bana.data.videos import TrackId, VideoFrame
from bana.errors import DataError
from bana.io.faults import FaultLog
from bana.io.strict_json import is_number, is_text

Box = tuple[float, float, float, float]
Entry = TypeVar("Entry")

ROUNDING = 1.0
"""Pixels by which a box may stick out of its image: rounding, and the off-by-one between 0-based and 1-based tools."""


_MIN_SIDE = 0.25
"""Pixels; sides of at least this are not 0 in float32, whatever the image's size."""


class AnnotatedObject(NamedTuple):
    """One object of an annotation file: xyxy box in pixel-edge coordinates, class id 1..L, and what else is known."""

    box: Box
    class_id: int
    difficult: bool = False
    crowd: bool = False
    segmentation: Segmentation | PackedPolygons | None = None
    object_id: int | str | None = None
    score: float | None = None
    area: float | None = None
    oriented: list[float] | None = None
    points: tuple[Point, ...] = ()
    track_id: TrackId | None = None


def is_turned_rectangle(corners: Sequence[float]) -> bool:
    """Whether four corners [x0, y0, ...], in pixels and in order, are a rectangle's, however turned, to a pixel."""
    points = np.reshape(corners, (4, 2))
    first, second = points[1] - points[0], points[3] - points[0]
    opposite = points[0] + first + second
    sides = np.linalg.norm([first, second], axis=1)
    is_right = abs(first @ second) <= ROUNDING * max(sides)
    return bool(np.abs(opposite - points[2]).max() <= ROUNDING and min(sides) > 0 and is_right)


def turned_rectangle(center: tuple[float, float], sides: tuple[float, float], angle: float) -> list[float]:
    """The corners [x0, y0, ..., x3, y3] of a rectangle turned clockwise, as one sees it, by an angle in radians."""
    turn = np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])
    points = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * np.array(sides) / 2 @ turn + center
    corners: list[float] = points.ravel().tolist()
    return corners


def corner_bounds(corners: Sequence[float]) -> Box:
    """The xyxy box around corners [x0, y0, ...]."""
    return min(corners[::2]), min(corners[1::2]), max(corners[::2]), max(corners[1::2])


def turned_rectangle_mask(corners: Sequence[float], place: tuple[slice, slice]) -> BoolArray:
    """The pixels at some rows and columns whose centers lie in a turned rectangle: bool (h, w).

    Args:
        corners: [x0, y0, ..., x3, y3] in pixel-edge coordinates, in order.
        place: Rows and columns of the image.
    """
    points = np.reshape(corners, (4, 2))
    ys, xs = (np.arange(part.start, part.stop) + 0.5 for part in place)
    sides = []
    for (x0, y0), (x1, y1) in zip(points, np.roll(points, -1, axis=0), strict=True):
        sides.append((x1 - x0) * (ys[:, None] - y0) - (y1 - y0) * (xs - x0))
    inside: BoolArray = np.logical_or((np.array(sides) >= 0).all(0), (np.array(sides) <= 0).all(0))
    return inside


def is_plain_box(box: Sequence[float], width: int, height: int) -> bool:
    """Whether a box needs no other check: nearly all lie inside their image and are larger than float32's rounding."""
    x0, y0, x1, y1 = box
    return x0 >= 0 and x0 + _MIN_SIDE < x1 <= width and y0 >= 0 and y0 + _MIN_SIDE < y1 <= height


def repaired_box(box: Sequence[float], width: int, height: int, where: str, repair: Callable[[str], None]) -> Box:
    """The box, its corners in order and clipped to the image.

    Args:
        box: xyxy in pixel-edge coordinates.
        width: Of the image, pixels.
        height: Of the image, pixels.
        where: File and place in it, for messages.
        repair: Is told of what was wrong, and may raise.

    Raises:
        DataError: If a corner is not finite, or nothing of the box lies inside the image.
    """
    x0, y0, x1, y1 = box
    if all(map(math.isfinite, box)):
        if x1 < x0 or y1 < y0:
            repair(f"{where}: box {_box_text(box)} is inverted; swap its corners")
            x0, y0, x1, y1 = min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1)
        beyond = min(x0, y0) < -ROUNDING or x1 > width + ROUNDING or y1 > height + ROUNDING
        if beyond and min(x1, width) > max(x0, 0) and min(y1, height) > max(y0, 0):
            repair(
                f"{where}: box {_box_text(box)} reaches out of the {width}x{height} image; correct the box or the size"
            )
            x0, y0, x1, y1 = max(x0, 0.0), max(y0, 0.0), min(x1, float(width)), min(y1, float(height))
    return checked_box((x0, y0, x1, y1), width, height, where)


def usable_area(box: Sequence[float], width: int, height: int) -> Box | None:
    """The part of a box that lies inside an image; None if there is none."""
    try:
        return repaired_box(box, width, height, "", lambda _: None)
    except DataError:
        return None


def checked_box(box: Sequence[float], width: int, height: int, where: str) -> Box:
    """The box, clipped where it sticks out of the image by rounding.

    Args:
        box: xyxy in pixel-edge coordinates.
        width: Of the image, pixels.
        height: Of the image, pixels.
        where: File and place in it, for the message.

    Raises:
        DataError: If a corner is not finite or more than a pixel outside the image, or the box is inverted or empty.
    """
    x0, y0, x1, y1 = box
    if not all(map(math.isfinite, box)):
        raise DataError(f"{where}: box {_box_text(box)} is not finite; correct or remove it")
    if x1 < x0 or y1 < y0:
        raise DataError(f"{where}: box {_box_text(box)} is inverted; swap its corners")
    if min(x0, y0) < -ROUNDING or x1 > width + ROUNDING or y1 > height + ROUNDING:
        raise DataError(
            f"{where}: box {_box_text(box)} lies outside the {width}x{height} image; correct the box or the image size"
        )
    x0, y0, x1, y1 = max(x0, 0.0), max(y0, 0.0), min(x1, float(width)), min(y1, float(height))
    if np.float32(x1) <= np.float32(x0) or np.float32(y1) <= np.float32(y0):
        raise DataError(f"{where}: box {_box_text(box)} is empty; correct or remove it")
    return x0, y0, x1, y1


def checked_score(score: float, where: str) -> float:
    """The score itself, if it is a number that float32 holds. Raises DataError if it is not."""
    if not abs(score) <= float(np.finfo(np.float32).max):  # NaN is not
        raise DataError(f"{where}: score {score:g} is not a number in 0..1; correct or remove it")
    return score


def _box_text(box: Sequence[float]) -> str:
    return "(" + ", ".join(f"{corner:g}" for corner in box) + ")"


def stated_size(width: float, height: float, where: str) -> tuple[int, int]:
    """The image size that an annotation states, if an image can have it.

    Masks of that size are made before the image is opened, so that a wrong size must not ask for all the memory.

    Raises:
        DataError: If a side is not positive, or there are more pixels than open_image accepts.
    """
    if not (width >= 1 and height >= 1 and max(width, height) <= MAX_SIDE and width * height <= most_pixels()):
        raise DataError(f"{where}: size {width:g}x{height:g} is not one that an image can have; correct it")
    return int(width), int(height)


def stated_size_or_none(width: object, height: object, where: str) -> tuple[int, int] | None:
    """The image size that a JSON file states; None where a side is missing, or no whole number above 0.

    Raises:
        DataError: As ``stated_size``.
    """
    stated = [int(side) for side in (width, height) if is_number(side) and side > 0 and side == int(side)]
    return stated_size(stated[0], stated[1], where) if len(stated) == 2 else None


def usable_objects(
    entries: Iterable[Entry],
    parse: Callable[[Entry], AnnotatedObject],
    area: Callable[[Entry], Box | None],
    image_id: str,
    faults: FaultLog,
) -> tuple[list[AnnotatedObject], list[Box]]:
    """Parse the objects of an image; one that cannot be used is left out, and its pixels are ignored.

    Args:
        entries: What an annotation file has for each object.
        parse: Makes an object of an entry, or raises DataError.
        area: The box of an entry that cannot be used; None if it has none inside the image.
        image_id: The image.
        faults: Where it is noted.

    Returns:
        The objects, and the boxes whose pixels are neither object nor background.
    """
    objects: list[AnnotatedObject] = []
    ignored: list[Box] = []
    for entry in entries:
        found = None
        with faults.catch_object(image_id):
            found = parse(entry)
        if found is not None:
            objects.append(found)
        elif (box := area(entry)) is not None:
            ignored.append(box)
    return objects, ignored


def make_record(
    image_id: str,
    path: Path,
    size: tuple[int, int],
    objects: Sequence[AnnotatedObject],
    *,
    semantic_path: Path | None = None,
    instance_path: Path | None = None,
    source_id: int | str | None = None,
    ignored: Sequence[Box] = (),
    frame: VideoFrame | None = None,
) -> ImageRecord:
    """Gather the checked objects of one image into a record; ``size`` is (width, height), ``ignored`` xyxy boxes.

    Raises:
        DataError: If the image's name is not UTF-8, so that no result could name it.
    """
    if not image_id.isascii() and not is_text(image_id):
        raise DataError(f"{str(path)!r}: the file name is not UTF-8; rename the image")
    object_ids = [entry.object_id for entry in objects if entry.object_id is not None]
    scores, areas = [entry.score for entry in objects], [entry.area for entry in objects]
    track_ids = tuple(entry.track_id for entry in objects)
    return ImageRecord(
        image_id=image_id,
        path=path,
        width=size[0],
        height=size[1],
        boxes=np.array([entry.box for entry in objects], dtype=np.float32).reshape(-1, 4),
        class_ids=np.array([entry.class_id for entry in objects], dtype=np.int64),
        difficult=np.array([entry.difficult for entry in objects], dtype=bool),
        crowd=np.array([entry.crowd for entry in objects], dtype=bool),
        segmentations=tuple(entry.segmentation for entry in objects),
        semantic_path=semantic_path,
        instance_path=instance_path,
        source_id=source_id,
        object_ids=tuple(object_ids) if len(object_ids) == len(objects) else (),
        scores=np.array(scores, dtype=np.float32) if objects and None not in scores else None,
        oriented=tuple(entry.oriented for entry in objects) if any(entry.oriented for entry in objects) else (),
        points=tuple(entry.points for entry in objects) if any(entry.points for entry in objects) else (),
        ignored=np.array(ignored, dtype=np.float32).reshape(-1, 4),
        # numpy makes None a NaN
        areas=None if all(area is None for area in areas) else np.array(areas, dtype=np.float64),
        track_ids=() if all(track_id is None for track_id in track_ids) else track_ids,
        frame=frame,
    )
