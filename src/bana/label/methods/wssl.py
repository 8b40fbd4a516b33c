"""``wssl``: Bbox-Seg of WSSL (Papandreou et al., 2015), a CRF between the boxes' centers and what is outside."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bana.data.records import BoolArray, ClassTable, FloatArray, pixel_slices
from bana.label.boxes import BoxedImage, Image
from bana.label.instances import assemble
from bana.label.method import LabelingMethod
from bana.label.pseudo_labels import PseudoLabels
from bana.nn.crf_settings import CRFSettings, crf_errors

CENTER_SHARE = 0.2
"""Share of a box's area, around its center, that is taken for the object."""


class BoxSegmentation(LabelingMethod):
    """Labels by a fully connected CRF that knows the center of every box and everything outside.

    The pixels between may be background, or any class whose box holds them, all equally likely before the CRF.

    Args:
        classes: The L class names.
        crf: The CRF's parameters, which WSSL chooses on images with true masks (``bana tune``).
        threads: CRF threads (default: all cores).
    """

    def __init__(self, classes: Sequence[str], crf: CRFSettings, threads: int | None) -> None:
        self.class_table = ClassTable(tuple(classes))
        self._crf = crf.build(threads)

    @crf_errors()
    def label_boxed(self, image: Image, boxed: BoxedImage) -> PseudoLabels:
        """Label one image. Both labels are the same; the confidence is the CRF's marginal."""
        present = [0, *np.unique(boxed.class_ids[boxed.usable]).tolist()]
        allowed = np.stack([np.ones(boxed.size, bool), *(boxed.class_region(each).numpy() for each in present[1:])])
        probabilities, fixed = _start(boxed, present, allowed)
        marginals = self._crf(image, probabilities=probabilities, fixed=fixed) * allowed
        chosen = marginals.argmax(0)
        labels = np.array(present, dtype=self.class_table.label_dtype)[chosen]
        confidence = np.take_along_axis(marginals, chosen[None], 0)[0]
        return assemble(boxed, self.class_table, labels, labels.copy(), confidence)


def _start(boxed: BoxedImage, present: Sequence[int], allowed: BoolArray) -> tuple[FloatArray, BoolArray]:
    """The CRF's first probabilities, float32 (V, H, W), and the pixels that it may not change, bool (H, W)."""
    probabilities = (allowed / allowed.sum(0)).astype(np.float32)
    fixed = boxed.background_mask.numpy().copy()
    for number in boxed.paint_order():
        center = pixel_slices(_center(boxed.inside[number]))
        probabilities[:, *center] = 0.0
        probabilities[(present.index(int(boxed.class_ids[number])), *center)] = 1.0
        fixed[center] = True
    return probabilities, fixed


def _center(box: FloatArray) -> FloatArray:
    """The rectangle of CENTER_SHARE of a box's area around its center."""
    low, high = box[:2], box[2:]
    half = (high - low) * np.sqrt(CENTER_SHARE) / 2
    middle = (low + high) / 2
    return np.concatenate([middle - half, middle + half]).astype(np.float32)
