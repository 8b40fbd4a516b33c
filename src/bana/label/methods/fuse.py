"""Labels made of other labels: two methods as each other's check, or one part of a method's labels alone."""

from __future__ import annotations

from typing import Literal

import numpy as np

from bana.data.records import BoolArray
from bana.label.instances import assemble
from bana.label.method import BoxedImage, Image, LabelingMethod
from bana.label.pseudo_labels import PseudoLabels

Part = Literal["y_ret", "agreed"]


class Fusion(LabelingMethod):
    """``fuse:A,B``: labels of A with those of B beside them.

    Y_crf is A's and takes part in NAL as c*, Y_ret is B's (its Y_crf); where they agree is S. Instances are A's; their
    agreement is that of A and B.

    Args:
        first: A, whose labels count where both differ.
        second: B, of the same classes.

    Attributes:
        class_table: Of the classes.
    """

    def __init__(self, first: LabelingMethod, second: LabelingMethod) -> None:
        self.class_table = first.class_table
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
            masks=_masks(first),
            predicted_classes=[instance.predicted_class for instance in first.instances],
        )


class Partial(LabelingMethod):
    """One part of a method's labels, for both labels: ``ret`` is bap's Y_ret, ``bap+ret`` and ``sdi`` what agrees.

    Args:
        method: Whose labels are taken.
        part: ``y_ret``, whose confidence is Y_crf's where both agree and 0 elsewhere; or ``agreed``, which leaves open,
            with the ignore label, where Y_crf and Y_ret differ.

    Attributes:
        class_table: Of the classes.
    """

    def __init__(self, method: LabelingMethod, part: Part) -> None:
        self.class_table = method.class_table
        self._source, self._part = method, part

    def label_boxed(self, image: Image, boxed: BoxedImage) -> PseudoLabels:
        """Label one image and take the part."""
        whole = self._source.label_boxed(image, boxed)
        labels = whole.y_ret if self._part == "y_ret" else whole.agreed
        return assemble(
            boxed,
            self.class_table,
            labels,
            labels.copy(),
            whole.confidence * whole.agreement,
            predicted_classes=[instance.predicted_class for instance in whole.instances],
        )


def _masks(labels: PseudoLabels) -> BoolArray:
    """The masks of all boxes: bool (K, H, W)."""
    nothing = np.zeros((0, *labels.y_crf.shape), dtype=bool)
    return np.concatenate([nothing, *(instance.mask[None] for instance in labels.instances)])
