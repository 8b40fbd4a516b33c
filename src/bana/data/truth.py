"""The true masks of a record: of its objects, and the class of every pixel."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from bana.data.label_maps import LabelMap, read_label_map
from bana.data.masks import decode_mask
from bana.data.paths import FolderFiles
from bana.data.records import BoolArray, ClassTable, ImageRecord, IntArray, paint_order, pixel_slices
from bana.errors import DataError


def instance_truth(record: ImageRecord) -> list[BoolArray | None] | None:
    """The true mask of each object.

    Returns:
        K entries, bool (H, W) or None for an object without a mask; None where no object of the record has one.

    Raises:
        DataError: If the record's instance map is damaged or does not have the image's size.
    """
    segmentations = record.segmentations
    if any(segmentation is not None for segmentation in segmentations):
        return [
            None if segmentation is None else decode_mask(segmentation, record.height, record.width)
            for segmentation in segmentations
        ]
    if record.instance_path is None or not len(record):
        return None
    numbers = read_label_map(record.instance_path, record.width, record.height)
    return [numbers == number for number in range(1, len(record) + 1)]


def object_masks(record: ImageRecord) -> list[BoolArray | None]:
    """The true mask of each object as instance_truth gives it: K entries, all None where no object has one."""
    return instance_truth(record) or [None] * len(record)


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
    return _painted(record, masks or [], record.class_ids, class_table.label_dtype)


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
    record: ImageRecord, masks: Sequence[BoolArray | None], values: IntArray, dtype: type[np.uint8] | type[np.uint16]
) -> LabelMap:
    void = np.iinfo(dtype).max
    painted = np.zeros((record.height, record.width), dtype=dtype)
    for box, mask, crowd in zip(record.boxes, masks, record.crowd, strict=True):
        if mask is None:
            painted[pixel_slices(box)] = void
        elif crowd:
            painted[mask] = void
    for index in paint_order(record.boxes):
        mask = masks[index]
        if mask is not None and not record.crowd[index]:
            painted[mask] = values[index]
    return painted
