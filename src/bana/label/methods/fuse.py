"""Labels made of other labels: two methods that check each other, or one part of a method's labels."""

from __future__ import annotations

from typing import Literal

from bana.label.boxes import BoxedImage, Image
from bana.label.instances import assemble
from bana.label.method import LabelingMethod
from bana.label.pseudo_labels import PseudoLabels

Part = Literal["y_ret", "agreed"]


class Fusion(LabelingMethod):
    """``fuse:A,B``: the labels of A, with those of B as a second opinion.

    Y_crf is A's (NAL's c*), and Y_ret is B's Y_crf; S is where they agree. Instances are A's, with their agreement
    recomputed.

    Args:
        first: A, whose labels count where both differ.
        second: B, of the same classes.
    """

    def __init__(self, first: LabelingMethod, second: LabelingMethod) -> None:
        self.class_table = first.class_table
        self.looks_beyond_boxes = first.looks_beyond_boxes or second.looks_beyond_boxes
        self._first, self._second = first, second

    def label_boxed(self, image: Image, boxed: BoxedImage) -> PseudoLabels:
        """Label one image with both."""
        first, second = (method.label_boxed(image, boxed) for method in (self._first, self._second))
        return assemble(
            boxed,
            self.class_table,
            first.y_crf,
            second.y_crf,
            first.confidence,
            parts=[instance.part for instance in first.instances],
            predicted_classes=[instance.predicted_class for instance in first.instances],
        )


class Partial(LabelingMethod):
    """One part of a method's labels: ``ret`` is the Y_ret of bap; ``bap+ret`` and ``sdi`` are where two labels agree.

    Args:
        method: The method.
        part: ``y_ret``, with the confidence of Y_crf where both agree and 0 elsewhere; or ``agreed``, with the ignore
            label where Y_crf and Y_ret differ.
    """

    def __init__(self, method: LabelingMethod, part: Part) -> None:
        self.class_table = method.class_table
        self.looks_beyond_boxes = method.looks_beyond_boxes
        self._method, self._part = method, part

    def label_boxed(self, image: Image, boxed: BoxedImage) -> PseudoLabels:
        """Label one image and take the part, for both labels."""
        whole = self._method.label_boxed(image, boxed)
        labels = whole.y_ret if self._part == "y_ret" else whole.agreed
        predicted = [instance.predicted_class for instance in whole.instances]
        confidence = whole.confidence * whole.agreement
        return assemble(boxed, self.class_table, labels, labels.copy(), confidence, predicted_classes=predicted)
