"""What methods share that make one mask a box."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from bana.data.records import BoolArray, ClassTable, FloatArray
from bana.label.instances import assemble
from bana.label.method import BoxedImage, Image, LabelingMethod
from bana.label.pseudo_labels import PseudoLabels

MaskMaker = Callable[[Image, BoxedImage], tuple[BoolArray, FloatArray | None]]
"""Gives bool (K, H, W), the object in every box, and the confidence float32 (H, W) in 0..1 of the labels that follow
from these masks, or None where it knows of no doubt. Masks of boxes that are not usable are not looked at."""


class MaskMethod(LabelingMethod):
    """Labels from one mask a box.

    Args:
        classes: The L class names.
        masks_of: Makes the masks; what they hold outside their boxes is cut off.

    Attributes:
        class_table: Of the classes.
    """

    def __init__(self, classes: Sequence[str], masks_of: MaskMaker) -> None:
        self.class_table = ClassTable(tuple(classes))
        self._masks_of = masks_of

    def label_boxed(self, image: Image, boxed: BoxedImage) -> PseudoLabels:
        """Smaller boxes are in front where masks overlap; both labels are the same."""
        masks, confidence = self._masks_of(image, boxed)
        masks = masks & boxed.regions.numpy()
        labels = np.zeros(boxed.size, dtype=self.class_table.label_dtype)
        for number in boxed.paint_order():
            labels[masks[number]] = boxed.class_ids[number]
        if confidence is None:
            confidence = np.ones(boxed.size, dtype=np.float32)
        return assemble(boxed, self.class_table, labels, labels.copy(), confidence, masks=masks)
