"""Scores that need boxes only: rectangles taken for masks, and how often the classifier names a box rightly."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import numpy as np

from bana.data.label_maps import LabelMap
from bana.data.records import ClassTable, ImageRecord, paint_order, pixel_slices


def box_labels(record: ImageRecord, class_table: ClassTable) -> LabelMap:
    """The labels that boxes alone give, the baseline of every labeling: each box filled with its class.

    Smaller boxes are in front of larger ones. Crowd boxes get the ignore label and are behind all others.

    Returns:
        uint8 (H, W), or uint16 for more than 254 classes.
    """
    labels = np.zeros((record.height, record.width), dtype=class_table.label_dtype)
    for box in record.boxes[record.crowd]:
        labels[pixel_slices(box)] = class_table.ignore_index
    for index in paint_order(record.boxes):
        if not record.crowd[index]:
            labels[pixel_slices(record.boxes[index])] = record.class_ids[index]
    return labels


class BoxAccuracy:
    """Share of boxes whose predicted class is the given one, over all boxes and per class.

    Boxes without a prediction (a class that the classifier does not know, a crowd region) count for nothing.
    """

    def __init__(self) -> None:
        self._boxes: Counter[int] = Counter()
        self._correct: Counter[int] = Counter()

    def update(self, true: Iterable[int], predicted: Iterable[int | None]) -> None:
        """Add the boxes of one image: given classes 1..L, and predicted ones (0 is background, None no prediction)."""
        for given_class, predicted_class in zip(true, predicted, strict=True):
            if predicted_class is not None:
                self._boxes[given_class] += 1
                self._correct[given_class] += predicted_class == given_class

    @property
    def boxes(self) -> int:
        """The number of boxes with a prediction."""
        return self._boxes.total()

    def accuracy(self) -> float:
        """Share of the boxes, 0..100; NaN where no box has a prediction."""
        return 100.0 * self._correct.total() / self.boxes if self.boxes else float("nan")

    def per_class(self) -> dict[int, float]:
        """Share of the boxes of every class that has any, 0..100."""
        return {class_id: 100.0 * self._correct[class_id] / count for class_id, count in sorted(self._boxes.items())}
