"""What a Mask R-CNN learns of an image's objects: from labels, or from true masks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from bana.data.label_folder import LabelFolder
from bana.data.masks import decode_mask
from bana.data.records import BoolArray, ClassTable, ImageRecord
from bana.data.truth import instance_truth, required_truth
from bana.evaluate.filling_rates import class_masks


class KnownObjects(NamedTuple):
    """What is known of an image's K objects.

    Attributes:
        learned: bool (K,): those that are; the others are not background either.
        masks: bool (K, H, W).
        reliable: bool (H, W), pixels on which masks can be trusted.
        uncertain: bool (H, W), pixels on which they may be wrong. Others are not known at all.
    """

    learned: BoolArray
    masks: BoolArray
    reliable: BoolArray
    uncertain: BoolArray


@dataclass(frozen=True)
class ObjectTargets:
    """Where the masks of objects come from.

    Attributes:
        table: The classes.
        labels: A folder that ``bana label`` wrote (default: the data set's true masks).
    """

    table: ClassTable
    labels: LabelFolder | None

    def of(self, record: ImageRecord) -> KnownObjects:
        """What is known of a record's objects.

        Raises:
            DataError: If its labels are missing, damaged or of other boxes; or, without labels, it has no true mask.
        """
        return self._true(record) if self.labels is None else self._labeled(record, self.labels)

    def _labeled(self, record: ImageRecord, labels: LabelFolder) -> KnownObjects:
        labels.require(record)
        boxes, masks = labels.boxes(record), _empty_masks(record)
        for mask, box in zip(masks, boxes, strict=True):
            if box.status == "ok":
                mask[:] = decode_mask(box.mask, record.height, record.width)
        labeled, reliable = (labels.label_map(name, record) <= len(self.table) for name in ("y_crf", "agreed"))
        learned = np.array([box.status != "rejected" for box in boxes], dtype=bool)
        return KnownObjects(learned, masks, reliable, labeled & ~reliable)

    def _true(self, record: ImageRecord) -> KnownObjects:
        """An object without a mask of its own has what its class has in its box."""
        masks, truth = _empty_masks(record), required_truth(record, self.table)
        object_masks = instance_truth(record) or [None] * len(record)
        for mask, each, of_class in zip(masks, object_masks, class_masks(record, truth), strict=True):
            mask[:] = of_class if each is None else each
        known = truth != self.table.ignore_index
        return KnownObjects(~record.crowd, masks, known, np.zeros_like(known))


def _empty_masks(record: ImageRecord) -> BoolArray:
    return np.zeros((len(record), record.height, record.width), dtype=bool)
