"""What every reader produces and every stage consumes: images with boxes.

Conventions (they hold everywhere inside bana): boxes are float32 ``(K, 4)`` xyxy in pixel-edge coordinates, 0-based
and half-open, so pixel (0, 0) covers [0, 1) x [0, 1). Class ids are 0 for background and 1..L for objects.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple, overload

import numpy as np
import numpy.typing as npt

from bana.data.pixel_values import BY_TYPE, PixelValues
from bana.data.segmentations import PackedSegmentations, Segmentation
from bana.data.videos import TrackId, VideoFrame, is_video
from bana.errors import DataError
from bana.io.faults import Note, Rejected
from bana.io.shards import Shard

MIN_BACKGROUND = 1 / 8
"""Images with a smaller share of background give a classifier too little to compare with, by the paper's recipe."""

FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]


class Point(NamedTuple):
    """A point that a person set beside a box, to say what the object is.

    Attributes:
        x: In pixel-edge coordinates, inside the box.
        y: The same.
        is_object: Whether the point lies on the box's object, or beside it.
    """

    x: float
    y: float
    is_object: bool


@dataclass(frozen=True, eq=False)
class ImageRecord:
    """One image and its objects, in the order of the annotation file.

    Attributes:
        image_id: Unique in the data set: the file name without its suffix, relative to the image folder, in posix form.
        path: The image file, or the video file that ``frame`` is decoded from.
        width: Pixels, after EXIF orientation is applied.
        height: Pixels, after EXIF orientation is applied.
        boxes: float32 (K, 4) xyxy, pixel-edge coordinates.
        class_ids: int64 (K,), each in 1..L.
        difficult: bool (K,): VOC's flag. Difficult objects are boxes like any other.
        crowd: bool (K,): COCO's flag. Crowd regions are neither object nor background: their pixels are ignored.
        segmentations: K entries: the mask that the annotation file carries for the object, or None. Polygons are kept
            packed; their lists are made at each reading.
        semantic_path: An indexed PNG with the true class of every pixel, where the data set has one.
        instance_path: An indexed PNG with the number of the object (1..K in order) of every pixel, where there is one.
        source_id: The image's id in a COCO file.
        object_ids: The objects' ids in a COCO file, or an empty tuple.
        scores: float32 (K,) confidence of each object in [0, 1], where the data set has them.
        areas: float64 (K,) pixels that a COCO file states for each object, NaN where it states none; else None.
        ignored: float32 (M, 4) xyxy: boxes of objects that could not be read, whose pixels are neither object nor
            background.
        oriented: K times the corners [x0, y0, ..., x3, y3] of a turned rectangle, in pixel-edge coordinates, or None;
            empty where no object has one. ``boxes`` has the bounds.
        points: K times the points that were set in a box; empty where no box has any.
        reliable: K masks of the pixels of each box whose label can be trusted, where the masks are pseudo labels.
        values: How the image file is read.
        track_ids: K ids of the tracks that the objects are of, or None; empty where no object is of one. An id names
            one object within a video.
        frame: Which frame of a video the image is, where it is one.
    """

    image_id: str
    path: Path
    width: int
    height: int
    boxes: FloatArray
    class_ids: IntArray
    difficult: BoolArray
    crowd: BoolArray
    segmentations: PackedSegmentations = PackedSegmentations()  # noqa: RUF009 - a descriptor, as dataclasses want it
    semantic_path: Path | None = None
    instance_path: Path | None = None
    source_id: int | str | None = None
    object_ids: tuple[int | str, ...] = ()
    scores: FloatArray | None = None
    areas: npt.NDArray[np.float64] | None = None
    ignored: FloatArray = field(default_factory=lambda: np.zeros((0, 4), np.float32))
    oriented: tuple[list[float] | None, ...] = ()
    points: tuple[tuple[Point, ...], ...] = ()
    reliable: tuple[Segmentation, ...] = ()
    values: PixelValues = BY_TYPE
    track_ids: tuple[TrackId | None, ...] = ()
    frame: VideoFrame | None = None

    def __len__(self) -> int:
        return len(self.class_ids)

    @property
    def is_in_video(self) -> bool:
        """Whether the pixels are a frame of a video file."""
        return self.frame is not None and is_video(self.path)

    @property
    def suffix(self) -> str:
        """The ending of an image file that keeps the pixels: the file's own, or that of a lossless format."""
        return ".png" if self.is_in_video else self.path.suffix

    @property
    def background_share(self) -> float:
        """Share of the image's pixels (0..1) whose center lies outside every box."""
        return float(1.0 - boxes_to_mask(self.boxes, self.height, self.width).mean())


MAX_CLASSES = 65534
"""The most classes: a label map of 16 bits also holds the background and the ignore label."""


@dataclass(frozen=True)
class ClassTable:
    """The classes of a data set.

    Attributes:
        names: L names; ``names[i]`` belongs to class id ``i + 1``.
        source_ids: L ids by which the annotation format knows the classes (sparse in COCO, number plus one in YOLO).

    Raises:
        DataError: If there are more classes than label maps can hold.
    """

    names: tuple[str, ...]
    source_ids: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if len(self.names) > MAX_CLASSES:
            raise DataError(f"classes: {len(self.names)}, but label maps hold {MAX_CLASSES}; split the data set")
        if not self.source_ids:
            object.__setattr__(self, "source_ids", tuple(range(1, len(self.names) + 1)))

    def __len__(self) -> int:
        return len(self.names)

    @property
    def ignore_index(self) -> int:
        """The label of pixels that count for nothing: 255, or 65535 where class ids need 16 bits."""
        return 255 if len(self.names) <= 254 else 65535

    @property
    def label_dtype(self) -> type[np.uint8] | type[np.uint16]:
        """The type of a label map that holds every class id and the ignore label."""
        return np.uint8 if len(self.names) <= 254 else np.uint16


@dataclass(frozen=True)
class BoxDataset(Sequence[ImageRecord]):
    """A data set of images with boxes: a sequence of records and what they share.

    Attributes:
        records: The images, in the order of the split or annotation file.
        class_table: Names and source ids of the classes.
        root: The folder or file that was read.
        format: ``voc``, ``coco``, ``yolo``, ``labelme``, ``cvat``, ``dota`` or ``mot``.
        split: The split that was read, or None where the format has none.
        rejected: Images left out under ``on_error="skip"``.
        notes: What was repaired, or left out of an image that is used.
        values: How the image files are read.
    """

    records: tuple[ImageRecord, ...]
    class_table: ClassTable
    root: Path
    format: str
    split: str | None = None
    rejected: tuple[Rejected, ...] = ()
    notes: tuple[Note, ...] = ()
    values: PixelValues = BY_TYPE

    @property
    def classes(self) -> tuple[str, ...]:
        """The L class names; ``classes[i]`` is class id ``i + 1``."""
        return self.class_table.names

    def __len__(self) -> int:
        return len(self.records)

    @overload
    def __getitem__(self, index: int) -> ImageRecord: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[ImageRecord, ...]: ...
    def __getitem__(self, index: int | slice) -> ImageRecord | tuple[ImageRecord, ...]:
        return self.records[index]

    def __iter__(self) -> Iterator[ImageRecord]:
        return iter(self.records)

    def require_classes(self, classes: Sequence[str], owner: Path, remedy: str) -> None:
        """Raise DataError, ending in ``remedy``, if ``owner`` has other classes; it names the first that differs."""
        if tuple(classes) == self.classes:
            return
        pairs = zip((*classes, "(no more)"), (*self.classes, "(no more)"), strict=False)
        number, (theirs, ours) = next((number, pair) for number, pair in enumerate(pairs, 1) if pair[0] != pair[1])
        raise DataError(
            f"{owner}: its {len(classes)} classes are not the {len(self.classes)} of {self.root}: class {number} is "
            f"{theirs!r} there and {ours!r} here; {remedy}"
        )

    def shard(self, shard: Shard) -> BoxDataset:
        """The images of one shard, and those of it that could not be read."""
        return replace(
            self,
            records=tuple(record for record in self if shard.has(record.image_id)),
            rejected=tuple(each for each in self.rejected if shard.has(each.image_id)),
        )

    def fingerprint(self) -> str:
        """A hex digest of what training and labeling depend on: ids, sizes, boxes, classes and flags, in order."""
        digest = hashlib.sha256("\0".join(self.classes).encode())
        if not self.values.is_default:
            digest.update(f"\n{self.values}".encode())
        for record in self.records:
            digest.update(f"\n{record.image_id}\0{record.width}x{record.height}\0".encode())
            for array in (record.boxes, record.class_ids, record.crowd, record.ignored):
                digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()


def boxes_to_mask(boxes: npt.ArrayLike, height: int, width: int) -> BoolArray:
    """Which pixels lie inside at least one box.

    Args:
        boxes: (K, 4) xyxy in pixel-edge coordinates; K may be 0.
        height: Pixels.
        width: Pixels.

    Returns:
        bool (height, width): True where the pixel's center is inside a box.
    """
    inside = np.zeros((height, width), dtype=bool)
    for rows, columns in (pixel_slices(box) for box in np.asarray(boxes, dtype=np.float64).reshape(-1, 4)):
        inside[rows, columns] = True
    return inside


def box_sides(boxes: FloatArray) -> FloatArray:
    """The side of the square that has a box's area, in pixels: boxes (K, 4) to (K,)."""
    sides: FloatArray = np.sqrt(np.prod(boxes[:, 2:] - boxes[:, :2], axis=1))
    return sides


def paint_order(boxes: npt.ArrayLike) -> list[int]:
    """Boxes (K, 4) in painting order: larger ones first; of two equal ones the first of the list in front."""
    x0, y0, x1, y1 = np.asarray(boxes, dtype=np.float64).reshape(-1, 4).T
    order: list[int] = np.argsort((x1 - x0) * (y1 - y0), kind="stable")[::-1].tolist()
    return order


def overlapping_groups(boxes: FloatArray, class_ids: npt.NDArray[np.int64]) -> list[list[int]]:
    """Numbers of boxes (K, 4) of one class that overlap, directly or through others; none of those that stand alone."""
    groups, left = [], np.ones(len(boxes), dtype=bool)
    for first in range(len(boxes)):
        group = [first] if left[first] else []
        left[first] = False
        for number in group:  # which grows
            x0, y0, x1, y1 = boxes[number]
            apart = (boxes[:, 0] >= x1) | (boxes[:, 1] >= y1) | (boxes[:, 2] <= x0) | (boxes[:, 3] <= y0)
            touching = left & ~apart & (class_ids == class_ids[number])
            left &= ~touching
            group += np.flatnonzero(touching).tolist()
        if len(group) > 1:
            groups.append(sorted(group))
    return groups


def pixel_slices(box: npt.ArrayLike) -> tuple[slice, slice]:
    """The pixels of a box: those whose center lies in it, and at least one in each direction.

    Args:
        box: (4,) xyxy in pixel-edge coordinates, not negative.

    Returns:
        Row slice and column slice of the image array.
    """
    x0, y0, x1, y1 = np.asarray(box, dtype=np.float64)
    return _pixels_between(y0, y1), _pixels_between(x0, x1)


def _pixels_between(low: float, high: float) -> slice:
    first, last = int(np.ceil(low - 0.5)), int(np.ceil(high - 0.5))
    if last <= first:  # no center lies between: the pixel that holds the middle, which is inside the image
        first = int(np.floor((low + high) / 2))
        last = first + 1
    return slice(first, last)
