"""An image's boxes, checked, and the pixel regions that follow from them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from bana.data.masks import decode_mask
from bana.data.objects import turned_rectangle_mask
from bana.data.points import inside as points_inside
from bana.data.records import (
    BoolArray,
    FloatArray,
    ImageRecord,
    IntArray,
    Point,
    boxes_to_mask,
    paint_order,
    pixel_slices,
)
from bana.errors import DataError

Image = npt.NDArray[np.uint8]
"""uint8 (H, W, 3), RGB."""

Place = tuple[slice, slice]
"""Rows and columns."""

Oriented = Sequence[Sequence[float] | None]
"""The corners of each box's turned rectangle, if it has one; empty where no box has."""

Points = Sequence[Sequence[tuple[float, float, bool]]]
"""The points set in each box: x, y, and whether it lies on the object; empty where no box has any."""


class LastMask(Protocol):
    """The mask of an object on the last frame of a video. An ``Instance`` is one."""

    @property
    def box(self) -> npt.NDArray[np.float32]:
        """Its box there: (4,) xyxy in pixel-edge coordinates."""

    @property
    def part(self) -> npt.NDArray[np.bool_]:
        """Its mask at the box's pixels: bool (h, w)."""


NOWHERE: Place = (slice(0, 0), slice(0, 0))
EVERYWHERE: Place = (slice(None), slice(None))


class ImageBoxes:
    """The boxes of an image, checked.

    Args:
        size: (H, W), in pixels.
        boxes: (K, 4) xyxy in pixel-edge coordinates.
        class_ids: (K,), each in 1..L.
        crowd: bool (K,): boxes that are not labeled (default: none).
        ignored: bool (H, W): pixels that are neither known object nor known background (default: none).
        classes: L.
        oriented: As of a LabelingMethod's call.
        points: As of a LabelingMethod's call.
        last: As of a LabelingMethod's call.

    Attributes:
        size: (H, W).
        boxes: float32 (K, 4).
        inside: float32 (K, 4), the boxes cut at the image's edges.
        class_ids: int64 (K,).
        usable: bool (K,): not crowd, and with some area inside the image.
        places: K row and column slices: the pixels of every usable box, nothing for the others.
        oriented: K times the corners of a turned rectangle, or None.
        ignored: bool (H, W).
        points: K times the points that were set in a box, inside the image.
        last: As given.

    Raises:
        DataError: If an argument has another shape, type or range.
    """

    def __init__(
        self,
        size: tuple[int, int],
        boxes: npt.ArrayLike,
        class_ids: npt.ArrayLike,
        crowd: npt.ArrayLike | None,
        ignored: BoolArray | None,
        classes: int,
        oriented: Oriented = (),
        points: Points = (),
        last: Sequence[LastMask | None] = (),
    ) -> None:
        self.size = size
        self.boxes, self.class_ids = _checked_boxes(boxes, class_ids, classes)
        is_crowd = np.zeros(len(self.class_ids), bool) if crowd is None else np.asarray(crowd, dtype=bool)
        self.ignored = np.zeros(self.size, bool) if ignored is None else np.asarray(ignored, dtype=bool)
        if is_crowd.shape != self.class_ids.shape or self.ignored.shape != self.size:
            raise DataError(
                f"crowd: has shape {is_crowd.shape} and ignored {self.ignored.shape}; "
                f"give {self.class_ids.shape} and {self.size}"
            )
        height, width = self.size
        self.inside = inside = np.clip(self.boxes, 0, np.array([width, height, width, height], dtype=np.float32))
        self.usable = ~is_crowd & (inside[:, 2] > inside[:, 0]) & (inside[:, 3] > inside[:, 1])
        self.places = [
            pixel_slices(box) if usable else NOWHERE for box, usable in zip(inside, self.usable, strict=True)
        ]
        self.oriented = tuple(oriented) or (None,) * len(self.places)
        if len(self.oriented) != len(self.places):
            raise DataError(f"oriented: has {len(self.oriented)} entries for {len(self.places)} boxes; give one each")
        checked = _checked_points(points, self.boxes)
        self.points = tuple(points_inside(each, box) for each, box in zip(checked, inside, strict=True))
        self.last = tuple(last)
        if self.last and len(self.last) != len(self.places):
            raise DataError(f"last: has {len(self.last)} masks for {len(self.places)} boxes; give one each, or None")

    def inside_of(self, number: int) -> BoolArray:
        """Where the object of a box may be: bool (h, w) of the box's pixels, False outside a turned rectangle."""
        corners, place = self.oriented[number], self.places[number]
        if corners is None:
            return np.ones_like(self.ignored[place])
        return turned_rectangle_mask(corners, place)

    def empty_parts(self) -> list[BoolArray]:
        """A mask without a pixel for each box, bool (h, w) of the box's pixels, to be filled."""
        return [np.zeros_like(self.ignored[place]) for place in self.places]

    def paint_order(self) -> list[int]:
        """The usable boxes in painting order."""
        return [number for number in paint_order(self.boxes) if self.usable[number]]


class BoxedImage(ImageBoxes):
    """An image's boxes, and the pixel regions that follow from them.

    Args:
        image: RGB uint8 (H, W, 3).
        boxes: As of ImageBoxes, and so are the others.
        class_ids: (K,).
        crowd: bool (K,).
        ignored: bool (H, W).
        classes: L.
        oriented: K entries.
        points: K entries.
        last: K entries.

    Attributes:
        background_mask: bool (H, W): definite background.
    """

    def __init__(
        self,
        image: Image,
        boxes: npt.ArrayLike,
        class_ids: npt.ArrayLike,
        crowd: npt.ArrayLike | None,
        ignored: BoolArray | None,
        classes: int,
        oriented: Oriented = (),
        points: Points = (),
        last: Sequence[LastMask | None] = (),
    ) -> None:
        size = (image.shape[0], image.shape[1])
        super().__init__(size, boxes, class_ids, crowd, ignored, classes, oriented, points, last)
        known = self.ignored.copy()
        for number, place in enumerate(self.places):
            known[place] |= self.inside_of(number)
        self.background_mask: Tensor = torch.from_numpy(~known)

    @classmethod
    def of_record(
        cls, image: Image, record: ImageRecord, classes: int, last: Sequence[LastMask | None] = ()
    ) -> BoxedImage:
        """A record's boxes, on its photograph, with the masks of the last frame if there are any."""
        ignored = crowd_pixels(record)
        rest = (record.oriented, record.points, last)
        return cls(image, record.boxes, record.class_ids, record.crowd, ignored, classes, *rest)

    def places_of(self, class_id: int) -> list[Place]:
        """The pixels of each usable box of one class."""
        return [self.places[number] for number in np.flatnonzero(self.usable & (self.class_ids == class_id))]

    def class_region(self, class_id: int) -> Tensor:
        """The pixels in any box of one class: bool (H, W)."""
        region = torch.zeros(self.size, dtype=torch.bool)
        for number in np.flatnonzero(self.usable & (self.class_ids == class_id)):
            region[self.places[number]] |= torch.from_numpy(self.inside_of(int(number)))
        return region

    def region(self, number: int) -> BoolArray:
        """The pixels of one box: bool (H, W)."""
        region = np.zeros(self.size, dtype=bool)
        region[self.places[number]] = self.inside_of(number)
        return region

    def reduced(self, block: int) -> BoxedImage:
        """The same boxes on the image whose pixels are blocks of ``block`` x ``block``; none is less than a pixel."""
        if block == 1:
            return self
        ignored = self.ignored[::block, ::block]
        height, width = ignored.shape
        low = np.minimum(self.inside[:, :2] / block, np.array([width - 1, height - 1], dtype=np.float32))
        corners = np.concatenate([low, np.maximum(self.inside[:, 2:] / block, low + 1)], 1)
        blank = np.broadcast_to(np.uint8(0), (height, width, 3))
        classes = int(self.class_ids.max(initial=1))
        oriented = [None if each is None else [value / block for value in each] for each in self.oriented]
        points = [
            [_reduced(each, block, box) for each in of_box] for of_box, box in zip(self.points, corners, strict=True)
        ]
        return BoxedImage(blank, corners, self.class_ids, ~self.usable, ignored, classes, oriented, points)


def record_boxes(record: ImageRecord, classes: int) -> ImageBoxes:
    """A record's boxes, checked, for ``classes`` classes."""
    size, ignored = (record.height, record.width), crowd_pixels(record)
    more = (record.oriented, record.points)
    return ImageBoxes(size, record.boxes, record.class_ids, record.crowd, ignored, classes, *more)


def crowd_pixels(record: ImageRecord) -> BoolArray:
    """The pixels of a record that are neither object nor background, bool (H, W).

    They are those of its crowd regions (their masks, or their boxes where there are none) and of objects left out.
    """
    pixels = boxes_to_mask(record.ignored, record.height, record.width)
    for number in np.flatnonzero(record.crowd):
        segmentation = record.segmentations[number]
        if segmentation is None:
            pixels[pixel_slices(record.boxes[number])] = True
        else:
            pixels |= decode_mask(segmentation, record.height, record.width)
    return pixels


def _checked_boxes(boxes: npt.ArrayLike, class_ids: npt.ArrayLike, classes: int) -> tuple[FloatArray, IntArray]:
    try:
        numbers = np.asarray(boxes, dtype=np.float32).reshape(-1, 4)
        ids = np.asarray(class_ids, dtype=np.int64).reshape(-1)
    except (TypeError, ValueError) as error:
        raise DataError(
            f"boxes: not numbers of shape (K, 4) with class ids of shape (K,) ({error}); correct them"
        ) from error
    if len(numbers) != len(ids):
        raise DataError(f"boxes: {len(numbers)} boxes but {len(ids)} class ids; give one class id per box")
    for number, (box, class_id) in enumerate(zip(numbers, ids, strict=True)):
        if not np.isfinite(box).all() or box[2] <= box[0] or box[3] <= box[1]:
            raise DataError(f"boxes: box {number} is {box.tolist()}; give finite x0 < x1 and y0 < y1 in pixels")
        if not 1 <= class_id <= classes:
            raise DataError(f"class_ids: box {number} has class {class_id}; give 1 to {classes}")
    return numbers, ids


def _checked_points(points: Points, boxes: FloatArray) -> tuple[tuple[Point, ...], ...]:
    given = tuple(points) or ((),) * len(boxes)
    if len(given) != len(boxes):
        raise DataError(f"points: has {len(given)} entries for {len(boxes)} boxes; give one each")
    return tuple(_points_in(each, box, number) for number, (each, box) in enumerate(zip(given, boxes, strict=True)))


def _points_in(points: Sequence[tuple[float, float, bool]], box: FloatArray, number: int) -> tuple[Point, ...]:
    """The points of one box. Raises DataError if one is no point, or not in the box."""
    found = []
    for point in points:
        try:
            x, y, is_object = point
            inside = box[0] <= x <= box[2] and box[1] <= y <= box[3] and is_object in (0, 1)
        except (TypeError, ValueError):
            inside = False
        if not inside:
            raise DataError(f"points: box {number} has {point!r:.80}; give (x, y, 1 or 0) inside {box.tolist()}")
        found.append(Point(float(x), float(y), bool(is_object)))
    return tuple(found)


def _reduced(point: Point, block: int, box: FloatArray) -> Point:
    """A point where a pixel is a block of pixels; rounding leaves it in its box."""
    x, y = np.clip(np.array([point.x, point.y]) / block, box[:2], box[2:]).tolist()
    return Point(x, y, point.is_object)
