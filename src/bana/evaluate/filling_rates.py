"""Filling rates: the share of a box that its object fills (BCM; the paper's Fig. 4b)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from bana.data.records import BoolArray, ClassTable, ImageRecord, pixel_slices
from bana.data.truth import instance_truth, required_truth


class FillingRates:
    """The filling rates of a data set's boxes by class.

    Attributes:
        rates: By class id 1..L, one number 0..1 a box, in the order in which they came.
    """

    def __init__(self) -> None:
        self.rates: defaultdict[int, list[float]] = defaultdict(list)

    def update(self, record: ImageRecord, masks: Sequence[BoolArray | None]) -> None:
        """Add the boxes of an image with the object's pixels in each, bool (H, W), or None for one not known."""
        for box, class_id, crowd, mask in zip(record.boxes, record.class_ids, record.crowd, masks, strict=True):
            if mask is not None and not crowd:
                self.rates[int(class_id)].append(float(mask[pixel_slices(box)].mean()))

    def add(self, other: FillingRates) -> None:
        """Add the boxes of other images."""
        for class_id, rates in other.rates.items():
            self.rates[class_id] += rates

    def update_truth(self, record: ImageRecord, class_table: ClassTable) -> None:
        """Add an image's true objects; where none has a mask of its own, the pixels of its class in its box."""
        masks = instance_truth(record)
        self.update(record, class_masks(record, required_truth(record, class_table)) if masks is None else masks)


def class_masks(record: ImageRecord, labels: npt.NDArray[np.integer]) -> list[BoolArray]:
    """A label map (H, W), cut by every box: the pixels of the box's class in it, K of bool (H, W)."""
    masks = []
    for box, class_id in zip(record.boxes, record.class_ids, strict=True):
        mask = np.zeros(labels.shape, dtype=bool)
        where = pixel_slices(box)
        mask[where] = labels[where] == class_id
        masks.append(mask)
    return masks
