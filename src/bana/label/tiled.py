"""Label a large image tile by tile, in the memory of one tile and of the resulting maps.

A box's mask comes from the tile that the box belongs to. There are no seams, since no pixel's label depends on where
tiles end. It is the label of the front object whose mask covers the pixel, whatever tile that object belongs to. If no
mask covers a pixel, its second label and confidence come from the tile of the smallest box around it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from bana.data.label_maps import LabelMap
from bana.data.records import BoolArray, ClassTable, Point, boxes_to_mask
from bana.data.windows import ImageWindows, read_reduced
from bana.errors import SettingsError
from bana.label.boxes import BoxedImage, ImageBoxes, Place
from bana.label.method import LabelingMethod
from bana.label.pseudo_labels import Instance, PseudoLabels
from bana.label.reduced import enlarged_parts
from bana.label.tiles import Tile, plan_tiles

_MIN_NEIGHBOR = 8.0
"""Pixels of a reduced tile; of smaller boxes that do not belong to it, it only knows that they are no background."""

_SURE = 255
"""What stands for a confidence of 1."""


def label_in_tiles(method: LabelingMethod, image: ImageWindows, boxes: ImageBoxes, side: int) -> PseudoLabels:
    """Label an image in tiles.

    Args:
        method: Labels a tile with its boxes.
        image: The image.
        boxes: Its boxes.
        side: Of a tile, in pixels.

    Raises:
        DataError: If the image's file is damaged.
        SettingsError: If the method labels images by more than their boxes.
    """
    if method.looks_beyond_boxes:
        raise SettingsError("tile: the method labels by the classes of the whole image, not by boxes; give --tile none")
    canvas = _Canvas(boxes, method.class_table)
    found: dict[int, Instance] = {}
    for tile in plan_tiles(boxes.size, boxes.inside, boxes.usable, side):
        numbers, boxed = _boxes_of(tile, boxes, len(method.class_table))
        labels = method.label_boxed(read_reduced(image, tile.place, tile.block), boxed.reduced(tile.block))
        parts = [instance.part for instance in labels.instances]
        if tile.block > 1:
            parts = enlarged_parts(parts, boxed.reduced(tile.block), boxed, tile.block)
        for index, number in enumerate(numbers[: len(tile.numbers)]):
            part = parts[index] & boxes.inside_of(number)
            canvas.paint(number, part, labels, tile)
            found[number] = replace(
                labels.instances[index],
                box=boxes.boxes[number],
                size=boxes.size,
                place=boxes.places[number],
                part=part,
                filling_rate=float(part.mean()),
                status="ok" if part.any() else "empty",
            )
    instances = tuple(found.get(number) or _rejected(boxes, number) for number in range(len(boxes.boxes)))
    return canvas.labels(instances)


def _boxes_of(tile: Tile, boxes: ImageBoxes, classes: int) -> tuple[list[int], BoxedImage]:
    """The boxes that a tile shows, first those that belong to it: their numbers, and as boxes of the tile's pixels."""
    rows, columns = tile.place
    corner = np.array([columns.start, rows.start] * 2, dtype=np.float32)
    moved = boxes.boxes - corner
    size = rows.stop - rows.start, columns.stop - columns.start
    shown = boxes.usable & (moved[:, 2:] > 0).all(1) & (moved[:, :2] < size[::-1]).all(1)
    shown[list(tile.numbers)] = False
    small = shown & (np.sqrt(np.prod(moved[:, 2:] - moved[:, :2], axis=1)) < _MIN_NEIGHBOR * tile.block)
    ignored = boxes.ignored[tile.place]
    if tile.block > 1:
        ignored = ignored | boxes_to_mask(np.clip(moved[small], 0, [*size[::-1]] * 2), *size)
        shown &= ~small
    numbers = [*tile.numbers, *np.flatnonzero(shown).tolist()]
    oriented = [_moved(boxes.oriented[number], corner) for number in numbers]
    points = [_moved_points(boxes.points[number], corner, moved[number]) for number in numbers]
    blank = np.broadcast_to(np.uint8(0), (*size, 3))
    more = (None, ignored, classes, oriented, points)
    return numbers, BoxedImage(blank, moved[numbers], boxes.class_ids[numbers], *more)


def _moved(corners: object, corner: npt.NDArray[np.float32]) -> list[float] | None:
    """The corners of a turned rectangle [x0, y0, ..., x3, y3] in pixels of a tile."""
    if corners is None:
        return None
    moved: list[float] = (np.asarray(corners, dtype=np.float64).reshape(4, 2) - corner[:2]).ravel().tolist()
    return moved


def _moved_points(
    points: Sequence[Point], corner: npt.NDArray[np.float32], box: npt.NDArray[np.float32]
) -> list[Point]:
    """The points of a box in pixels of a tile; rounding leaves them in the box, which is one of the tile's."""
    places = np.clip([[each.x - corner[0], each.y - corner[1]] for each in points], box[:2], box[2:]) if points else []
    return [Point(float(x), float(y), each.is_object) for (x, y), each in zip(places, points, strict=True)]


def _rejected(boxes: ImageBoxes, number: int) -> Instance:
    place = boxes.places[number]
    nothing = np.zeros((0, 0), dtype=bool)
    return Instance(
        boxes.boxes[number], int(boxes.class_ids[number]), boxes.size, place, nothing, "rejected", 0.0, 0.0, 0.0
    )


class _Canvas:
    """The maps of a large image, which tiles paint their boxes on, in any order."""

    def __init__(self, boxes: ImageBoxes, table: ClassTable) -> None:
        self._boxes, self._table = boxes, table
        count = len(boxes.boxes)
        self._rank = np.zeros(count, dtype=np.int64)
        self._rank[boxes.paint_order()] = np.arange(1, int(boxes.usable.sum()) + 1)
        self._y_crf: LabelMap = np.zeros(boxes.size, dtype=table.label_dtype)
        self._y_ret: LabelMap = np.zeros(boxes.size, dtype=table.label_dtype)
        # In the steps in which it is written, for there may be 100 million.
        self._confidence = np.full(boxes.size, _SURE, dtype=np.uint8)
        # What is in front: 0 nothing, 1..K the ground of the box of that rank, K + 1..2 K the mask of one.
        self._painted = np.zeros(boxes.size, dtype=np.uint16 if 2 * count < 2**16 else np.uint32)

    def paint(self, number: int, part: BoolArray, labels: PseudoLabels, tile: Tile) -> None:
        """Paint a box's mask (h, w), and around it the ground of the box, where nothing is in front.

        Args:
            number: The box.
            part: Its mask.
            labels: Of the tile that it belongs to.
            tile: That tile.
        """
        place, rank, class_id = self._boxes.places[number], self._rank[number], self._boxes.class_ids[number]
        at = _blocks(place, tile)
        painted = self._painted[place]
        order = np.where(part, rank + len(self._rank), rank).astype(painted.dtype)
        front = order > painted
        painted[front] = order[front]
        first, second = labels.y_crf[at], labels.y_ret[at]
        unknown = first == self._table.ignore_index
        found = np.where(part, class_id, np.where(unknown, self._table.ignore_index, 0))
        self._y_crf[place][front] = found[front]
        self._y_ret[place][front] = np.where(part & (first == second), class_id, second)[front]
        self._confidence[place][front] = np.rint(labels.confidence[at][front] * _SURE)

    def labels(self, instances: tuple[Instance, ...]) -> PseudoLabels:
        """The finished labels; what is painted on them is forgotten."""
        del self._painted
        if self._boxes.ignored.any():
            for labels in (self._y_crf, self._y_ret):
                labels[self._boxes.ignored & (labels == 0)] = self._table.ignore_index
        confidence = np.divide(self._confidence, _SURE, dtype=np.float32)
        return PseudoLabels(self._y_crf, self._y_ret, confidence, instances, self._table)


def _blocks(place: Place, tile: Tile) -> Place | tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Where rows and columns of the image are in the maps of a tile."""
    if tile.block == 1:
        rows, columns = (
            slice(part.start - of.start, part.stop - of.start) for part, of in zip(place, tile.place, strict=True)
        )
        return rows, columns
    down, across = (
        (np.arange(part.start, part.stop) - of.start) // tile.block for part, of in zip(place, tile.place, strict=True)
    )
    return np.ix_(down, across)
