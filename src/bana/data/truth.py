"""The true masks of a record: of its objects, and the class of every pixel."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import overload

import numpy as np

from bana.data.label_maps import LabelMap, read_label_map
from bana.data.masks import decode_mask, decode_part
from bana.data.paths import FolderFiles
from bana.data.records import BoolArray, ClassTable, ImageRecord, IntArray, paint_order, pixel_slices
from bana.errors import DataError

Place = tuple[slice, slice]


class ObjectMasks(Sequence[BoolArray | None]):
    """The masks of an image's objects, each made when it is asked for: of a large image there may be thousands.

    Args:
        record: The image.
        numbers: (H, W), the number of the object of every pixel, for objects without segmentations (default: none).
    """

    def __init__(self, record: ImageRecord, numbers: LabelMap | None = None) -> None:
        self._record, self._numbers = record, numbers

    def __len__(self) -> int:
        return len(self._record)

    @overload
    def __getitem__(self, index: int) -> BoolArray | None: ...
    @overload
    def __getitem__(self, index: slice) -> list[BoolArray | None]: ...
    def __getitem__(self, index: int | slice) -> BoolArray | list[BoolArray | None] | None:
        if isinstance(index, slice):
            return [self[number] for number in range(*index.indices(len(self)))]
        number = range(len(self))[index]
        if self._numbers is not None:
            return np.asarray(self._numbers == number + 1)
        segmentation = self._record.segmentations[number]
        return None if segmentation is None else decode_mask(segmentation, self._record.height, self._record.width)

    def part(self, index: int) -> tuple[Place, BoolArray] | None:
        """A mask where it has pixels: rows and columns, and bool (h, w) of these."""
        segmentation = None if self._numbers is not None else self._record.segmentations[index]
        if segmentation is not None:
            return decode_part(segmentation, self._record.height, self._record.width)
        mask = self[index]
        return None if mask is None else ((slice(0, mask.shape[0]), slice(0, mask.shape[1])), mask)

    def area(self, index: int) -> int | None:
        """The number of pixels of a mask; None where there is none."""
        found = self.part(index)
        return None if found is None else int(np.count_nonzero(found[1]))


def instance_truth(record: ImageRecord) -> ObjectMasks | None:
    """The true mask of each object.

    Returns:
        K entries, bool (H, W) or None for an object without a mask; None where no object of the record has one.

    Raises:
        DataError: If the record's instance map is damaged or does not have the image's size.
    """
    segmentations = record.segmentations
    if any(segmentation is not None for segmentation in segmentations):
        return ObjectMasks(record)
    if record.instance_path is None or not len(record):
        return None
    numbers = read_label_map(record.instance_path, record.width, record.height)
    return ObjectMasks(record, numbers)


def object_masks(record: ImageRecord) -> Sequence[BoolArray | None]:
    """The true mask of each object as instance_truth gives it: K entries, all None where no object has one."""
    return instance_truth(record) or [None] * len(record)


def object_areas(record: ImageRecord) -> list[int | None]:
    """The number of pixels of each object's true mask; None where there is none."""
    masks = instance_truth(record)
    return [None if masks is None else masks.area(number) for number in range(len(record))]


def semantic_truth(record: ImageRecord, class_table: ClassTable) -> LabelMap | None:
    """The true class of every pixel.

    It is the record's own label map where there is one. Else it is painted from the objects' masks, larger boxes
    first, so that the smaller box is in front. Behind them all, crowd regions and the boxes of objects without a mask
    are ignored.

    Returns:
        uint8 (H, W), or uint16 for more than 254 classes, with ``class_table.ignore_index`` where nothing is known;
        None where the record has objects and none of them has a mask.

    Raises:
        DataError: If a label map is damaged, has another size than the image, or a class that the table does not have.
    """
    if record.semantic_path is not None:
        return read_class_map(record.semantic_path, record, class_table)
    masks = instance_truth(record)
    if masks is None and len(record):
        return None
    return _painted(record, masks or ObjectMasks(record), record.class_ids, class_table.label_dtype)


def mask_files(folder: Path) -> dict[str, Path]:
    """The PNG files of a folder and its subfolders by image id: the path in the folder without its suffix.

    Raises:
        DataError: If there is none, or one is a link that leaves the folder.
    """
    links = FolderFiles()
    paths = [links.checked(folder, path, str(folder)) for path in sorted(folder.rglob("*.png"))]
    files = {path.relative_to(folder).with_suffix("").as_posix(): path for path in paths}
    if not files:
        raise DataError(f"{folder}: holds no masks (<image>.png); check the path")
    return files


def required_truth(record: ImageRecord, class_table: ClassTable) -> LabelMap:
    """The true class of every pixel as semantic_truth gives it.

    Raises:
        DataError: As semantic_truth, and if the image has no true mask.
    """
    truth = semantic_truth(record, class_table)
    if truth is None:
        raise DataError(
            f"{record.path}: image {record.image_id} has no true mask; "
            "add its mask or choose a --split whose images have masks"
        )
    return truth


def read_class_map(path: Path, record: ImageRecord, class_table: ClassTable) -> LabelMap:
    """The class of every pixel of an image from a file; its greatest value (255, or 65535) becomes the ignore label.

    Returns:
        uint8 (H, W), or uint16 for more than 254 classes.

    Raises:
        DataError: If the file is missing or damaged, has another size than the image, or a class that the table does
            not have.
    """
    labels = read_label_map(path, record.width, record.height)
    void = labels == np.iinfo(labels.dtype).max
    unknown = labels[~void & (labels > len(class_table))]
    if unknown.size:
        raise DataError(
            f"{path}: has label {unknown.min()}, but there are {len(class_table)} classes; "
            "correct the map or the class list"
        )
    return np.where(void, class_table.ignore_index, labels).astype(class_table.label_dtype)


def instance_map(record: ImageRecord) -> LabelMap | None:
    """The number of the object, 1..K in order, of every pixel, painted as semantic_truth paints classes.

    Returns:
        uint8 (H, W) with 255 where nothing is known, or uint16 with 65535 for more than 254 objects; None where no
        object has a mask.
    """
    masks = instance_truth(record)
    if masks is None:
        return None
    return _painted(record, masks, np.arange(1, len(record) + 1), np.uint8 if len(record) <= 254 else np.uint16)


def _painted(
    record: ImageRecord, masks: ObjectMasks, values: IntArray, dtype: type[np.uint8] | type[np.uint16]
) -> LabelMap:
    void = np.iinfo(dtype).max
    painted = np.zeros((record.height, record.width), dtype=dtype)
    for index, box in enumerate(record.boxes):
        found = masks.part(index)
        if found is None:
            painted[pixel_slices(box)] = void
        elif record.crowd[index]:
            painted[found[0]][found[1]] = void
    for index in paint_order(record.boxes):
        found = None if record.crowd[index] else masks.part(index)
        if found is not None:
            painted[found[0]][found[1]] = values[index]
    return painted
