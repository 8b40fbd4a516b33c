"""From label maps to PseudoLabels: one mask for every input box, and what is known of it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bana.data.label_maps import LabelMap
from bana.data.records import BoolArray, ClassTable, FloatArray
from bana.label.boxed_image import BoxedImage
from bana.label.pseudo_labels import Instance, PseudoLabels


def assemble(
    boxed: BoxedImage,
    table: ClassTable,
    y_crf: LabelMap,
    y_ret: LabelMap,
    confidence: FloatArray,
    *,
    masks: BoolArray | None = None,
    predicted_classes: Sequence[int | None] | None = None,
) -> PseudoLabels:
    """The labels of one image with an instance for every box, in input order.

    Args:
        boxed: The image's boxes.
        table: The classes.
        y_crf: (H, W); gets the ignore label, in place, where the truth is not known and no object was found.
        y_ret: The same.
        confidence: float32 (H, W) in 0..1, of ``y_crf``.
        masks: bool (K, H, W), the object in every box, nothing outside it; None: ``y_crf`` cut by the boxes.
        predicted_classes: K classes that a classifier gives the boxes; None: it has no say.
    """
    for labels in (y_crf, y_ret):
        labels[boxed.ignored & (labels == 0)] = table.ignore_index
    if masks is None:
        masks = cut_by_boxes(boxed, y_crf)
    agreement = y_crf == y_ret
    predicted = predicted_classes or [None] * len(boxed.boxes)
    instances = [
        _instance(boxed, number, masks[number], agreement, confidence, predicted[number])
        for number in range(len(boxed.boxes))
    ]
    return PseudoLabels(y_crf, y_ret, confidence, tuple(instances), table.ignore_index)


def cut_by_boxes(boxed: BoxedImage, labels: LabelMap) -> BoolArray:
    """The pixels of its class inside every box: bool (K, H, W)."""
    masks: BoolArray = boxed.regions.numpy() & (labels == boxed.class_ids[:, None, None])
    return masks


def _instance(
    boxed: BoxedImage,
    number: int,
    mask: BoolArray,
    agreement: BoolArray,
    confidence: FloatArray,
    predicted_class: int | None,
) -> Instance:
    box, class_id = boxed.boxes[number], int(boxed.class_ids[number])
    if not boxed.usable[number]:
        nothing = np.zeros(boxed.size, dtype=bool)
        return Instance(box, class_id, nothing, "rejected", 0.0, 0.0, 0.0, None)
    region = boxed.regions[number].numpy()
    return Instance(
        box=box,
        class_id=class_id,
        mask=mask,
        status="ok" if mask.any() else "empty",
        confidence=float(confidence[region].mean()),
        agreement=float(agreement[region].mean()),
        filling_rate=float(mask[region].mean()),
        predicted_class=predicted_class,
    )
