"""Methods that make one mask per box. ``box``, the filled rectangle, is the simplest (Table 1: Box)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from bana.data.records import BoolArray, ClassTable, FloatArray
from bana.label.boxes import BoxedImage, Image
from bana.label.instances import assemble
from bana.label.method import LabelingMethod
from bana.label.pseudo_labels import PseudoLabels

MaskMaker = Callable[[Image, BoxedImage], tuple[Sequence[BoolArray], FloatArray | None]]
"""Makes K masks, each bool (h, w) of the box's pixels, and float32 (H, W) in 0..1, the confidence in the labels that
these masks give; None is full confidence."""


class MaskMethod(LabelingMethod):
    """Labels from one mask per box.

    Args:
        classes: The L class names.
        masks_of: Makes the masks.
    """

    def __init__(self, classes: Sequence[str], masks_of: MaskMaker) -> None:
        self.class_table = ClassTable(tuple(classes))
        self._masks_of = masks_of

    def label_boxed(self, image: Image, boxed: BoxedImage) -> PseudoLabels:
        """Label one image. Where masks overlap, the smaller box is in front. Both labels are the same."""
        found, confidence = self._masks_of(image, boxed)
        parts = [part & boxed.inside_of(number) for number, part in enumerate(found)]
        labels = np.zeros(boxed.size, dtype=self.class_table.label_dtype)
        for number in boxed.paint_order():
            labels[boxed.places[number]][parts[number]] = boxed.class_ids[number]
        if confidence is None:
            confidence = np.ones(boxed.size, dtype=np.float32)
        return assemble(boxed, self.class_table, labels, labels.copy(), confidence, parts=parts)


def box_masks(image: Image, boxed: BoxedImage) -> tuple[list[BoolArray], None]:
    """The filled boxes: K masks, each bool (h, w), with full confidence."""
    return [~part for part in boxed.empty_parts()], None
