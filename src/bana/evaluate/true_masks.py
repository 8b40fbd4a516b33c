"""The true masks of a record's objects, in the form in which they are matched."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from bana.data.label_maps import LabelMap
from bana.data.masks import encode_part
from bana.data.records import BoolArray, ClassTable, ImageRecord, overlapping_groups, pixel_slices
from bana.data.truth import Place, instance_truth, required_truth
from bana.evaluate.filling_rates import class_masks
from bana.evaluate.instances import TrueMask


class ImageTruth(NamedTuple):
    """The true objects of one image, in order.

    Attributes:
        masks: One for each object. One whose mask is not known, or has no pixel, is its box as a crowd region: neither
            to be found nor wrong to be found there.
        void: bool (H, W), pixels that belong to no mask, where the masks come from a class mask; else None.
    """

    masks: list[TrueMask]
    void: BoolArray | None


class TrueMasks:
    """True masks of images, one image after the other.

    Where an image has a class mask alone, an object's true mask is what its class has in its box, if no other box of
    the class overlaps that; else it is not known. Void pixels, which are of no class, then belong to no mask.

    Args:
        class_table: Of the data set.
        as_coco: Whether to take objects as COCO's evaluation does: of the size that the annotation's area says, and to
            be found even if their mask has no pixel.

    Attributes:
        derived: Objects whose true mask was taken from a class mask.
        unknown: Objects in such images whose true mask is not known.
    """

    def __init__(self, class_table: ClassTable, *, as_coco: bool = False) -> None:
        self.derived = self.unknown = 0
        self._table = class_table
        self._as_coco = as_coco

    def of(self, record: ImageRecord) -> ImageTruth:
        """The true objects of an image.

        Raises:
            DataError: If the image has objects and no true mask at all, or a map is damaged or of another size.
        """
        found, void = instance_truth(record), None
        masks = [] if found is None else [found.part(number) for number in range(len(record))]
        if found is None and len(record):
            labels = required_truth(record, self._table)
            masks, void = self._derived(record, labels), labels == self._table.ignore_index
        stated = record.areas if self._as_coco else None
        areas = np.full(len(record), np.nan) if stated is None else stated
        size = record.height, record.width
        objects = zip(masks, record.class_ids, record.crowd, record.boxes, areas, strict=True)
        truth = [
            TrueMask(int(class_id), encode_part(*mask, size), bool(crowd), None if np.isnan(area) else float(area))
            if mask is not None and (mask[1].any() or self._as_coco)
            else TrueMask(int(class_id), encode_part(*_filled(box), size), crowd=True)
            for mask, class_id, crowd, box, area in objects
        ]
        return ImageTruth(truth, void)

    def _derived(self, record: ImageRecord, labels: LabelMap) -> list[tuple[Place, BoolArray] | None]:
        everywhere = slice(0, record.height), slice(0, record.width)
        masks: list[tuple[Place, BoolArray] | None] = [(everywhere, mask) for mask in class_masks(record, labels)]
        for group in overlapping_groups(record.boxes, record.class_ids):
            for number in group:
                masks[number] = None
        self.unknown += sum(mask is None for mask in masks)
        self.derived += sum(mask is not None for mask in masks)
        return masks


def _filled(box: npt.NDArray[np.floating]) -> tuple[Place, BoolArray]:
    """A filled box (4,) xyxy: rows and columns, and bool (h, w)."""
    rows, columns = pixel_slices(box)
    return (rows, columns), np.ones((rows.stop - rows.start, columns.stop - columns.start), dtype=bool)
