"""From label maps to one mask per input box.

A semantic label cut by the boxes gives a pixel in several boxes of one class to all of them. ``instance_masks`` gives
it to one: a CRF over the boxes starts from how much the pixel looks like what each box has for itself, and from how
near it is to each box's center.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from bana.data.label_maps import LabelMap
from bana.data.records import BoolArray, ClassTable, FloatArray, overlapping_groups, paint_order
from bana.label.boxes import BoxedImage, Image
from bana.label.pseudo_labels import Instance, PseudoLabels
from bana.label.upsampled import UpsampledFeatures
from densecrf import DenseCRF

LIKENESS = 8.0
"""Weight of the cosine of a pixel with a box's prototype."""

NEARNESS = 1.0
"""Weight of the squared distance from a box's center, where half a side is 1."""

_MIN_OWN = 0.1
"""Share of a mask. A box that has less of its mask for itself is represented by the whole mask; one that keeps less in
the end gets all of it."""


def assemble(
    boxed: BoxedImage,
    table: ClassTable,
    y_crf: LabelMap,
    y_ret: LabelMap,
    confidence: FloatArray,
    *,
    parts: Sequence[BoolArray] | None = None,
    predicted_classes: Sequence[int | None] | None = None,
    expected_ious: Sequence[float] | None = None,
) -> PseudoLabels:
    """Make PseudoLabels from label maps, with one instance per box in input order.

    Args:
        boxed: The image's boxes.
        table: The classes.
        y_crf: (H, W). Gets the ignore label, in place, where the truth is unknown and no object was found.
        y_ret: The same.
        confidence: float32 (H, W) in 0..1, of ``y_crf``.
        parts: K masks, each bool (h, w) of the box's pixels (``boxed.places``): the object (default: ``y_crf`` cut by
            the boxes).
        predicted_classes: K classes that a classifier gives the boxes (default: it has no say).
        expected_ious: K numbers, how good each mask is expected to be (default: nothing is expected).
    """
    for labels in (y_crf, y_ret):
        labels[boxed.ignored & (labels == 0)] = table.ignore_index
    if parts is None:
        parts = cut_by_boxes(boxed, y_crf)
    agreement = y_crf == y_ret
    predicted = predicted_classes or [None] * len(boxed.boxes)
    expected: Sequence[float | None] = expected_ious or [None] * len(boxed.boxes)
    instances = [
        _instance(boxed, number, parts[number], agreement, confidence, predicted[number], expected[number])
        for number in range(len(boxed.boxes))
    ]
    return PseudoLabels(y_crf, y_ret, confidence, tuple(instances), table)


def cut_by_boxes(boxed: BoxedImage, labels: LabelMap) -> list[BoolArray]:
    """The pixels of its class inside every box: K masks, each bool (h, w) of the box's pixels."""
    return [
        (labels[place] == class_id) & boxed.inside_of(number)
        for number, (place, class_id) in enumerate(zip(boxed.places, boxed.class_ids, strict=True))
    ]


def instance_masks(
    boxed: BoxedImage, labels: LabelMap, features: UpsampledFeatures, image: Image, crf: DenseCRF
) -> list[BoolArray]:
    """One mask per box: some of its class's pixels in the box, none of them in two boxes of a class.

    Args:
        boxed: The image's boxes.
        labels: (H, W), the class of every pixel.
        features: The image's features.
        image: RGB uint8 (H, W, 3).
        crf: Decides between boxes.

    Returns:
        K masks, each bool (h, w) of the box's pixels.
    """
    parts = cut_by_boxes(boxed, labels)
    usable = np.flatnonzero(boxed.usable)
    for group in overlapping_groups(boxed.inside[usable], boxed.class_ids[usable]):
        numbers = usable[group]
        own = np.zeros((len(numbers), *boxed.size), dtype=bool)
        for index, number in enumerate(numbers):
            own[(index, *boxed.places[number])] = parts[number]
        for number, mask in zip(numbers, divided_masks(own, boxed.inside[numbers], features, image, crf), strict=True):
            parts[number] = mask[boxed.places[number]]
    return parts


def divided_masks(
    own: BoolArray, boxes: FloatArray, features: UpsampledFeatures, image: Image, crf: DenseCRF
) -> BoolArray:
    """Divide the masks of a group of boxes of one class, so that no pixel is in two of them.

    Args:
        own: bool (G, H, W), the pixels of the class inside each box.
        boxes: (G, 4) xyxy inside the image.
        features: The image's features.
        image: RGB uint8 (H, W, 3).
        crf: Decides between the boxes.

    Returns:
        bool (G, H, W), parts of ``own`` with the same union.
    """
    contested: BoolArray = own.sum(0) > 1
    divided: BoolArray = own & ~contested
    if not contested.any():
        return divided
    enough = divided.sum((1, 2)) >= _MIN_OWN * own.sum((1, 2))
    prototypes = features.mean(torch.from_numpy(np.where(enough[:, None, None], divided, own)))
    scores = LIKENESS * features.cosine(prototypes) - NEARNESS * _squared_distance(boxes, features.size)
    shares = scores.masked_fill(~torch.from_numpy(own), -torch.inf).softmax(0).nan_to_num()
    nothing = torch.from_numpy(~own.any(0))[None].float()
    place = _around(own)
    marginals = crf(
        np.ascontiguousarray(image[place]),
        probabilities=torch.cat([nothing, shares])[(slice(None), *place)].contiguous(),
        fixed=~contested[place],
    )
    owner = np.full(own.shape[1:], -1)
    owner[place] = np.argmax(np.asarray(marginals)[1:] * own[(slice(None), *place)], axis=0)
    divided |= contested & (owner == np.arange(len(own))[:, None, None]) & own
    for number in paint_order(boxes):
        if divided[number].sum() < _MIN_OWN * own[number].sum():  # it looks like what it lies on
            divided &= ~own[number]
            divided[number] = own[number]
    return divided


def _squared_distance(boxes: FloatArray, size: tuple[int, int]) -> Tensor:
    """From every pixel's center to the center of each box, half a side being 1: (G, H, W)."""
    centers, halves = (boxes[:, :2] + boxes[:, 2:]) / 2, (boxes[:, 2:] - boxes[:, :2]) / 2
    across, down = (
        ((np.arange(length) + 0.5 - centers[:, axis : axis + 1]) / halves[:, axis : axis + 1]) ** 2
        for axis, length in ((0, size[1]), (1, size[0]))
    )
    return torch.from_numpy((down[:, :, None] + across[:, None, :]).astype(np.float32))


def _around(masks: BoolArray) -> tuple[slice, slice]:
    """The rows and columns from the first to the last pixel of any mask."""
    rows, columns = (np.flatnonzero(masks.any((0, axis))) for axis in (2, 1))
    return slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)


def _instance(
    boxed: BoxedImage,
    number: int,
    part: BoolArray,
    agreement: BoolArray,
    confidence: FloatArray,
    predicted_class: int | None,
    expected_iou: float | None,
) -> Instance:
    box, class_id, place = boxed.boxes[number], int(boxed.class_ids[number]), boxed.places[number]
    if not boxed.usable[number]:
        return Instance(box, class_id, boxed.size, place, part, "rejected", 0.0, 0.0, 0.0)
    return Instance(
        box=box,
        class_id=class_id,
        size=boxed.size,
        place=place,
        part=part,
        status="ok" if part.any() else "empty",
        confidence=float(confidence[place].ravel().mean()),
        agreement=float(agreement[place].mean()),
        filling_rate=float(part.mean()),
        predicted_class=predicted_class,
        expected_iou=expected_iou,
    )
