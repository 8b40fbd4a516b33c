"""Labels from two opinions: the labeler's marginals of the whole image and the refiner's mask of each box.

The labeler knows classes and what the image's background looks like; the refiner sees each box enlarged. Their
probabilities are combined box by box. A pixel that several boxes claim belongs to the surest of them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bana.data.label_maps import LabelMap
from bana.data.masks import mask_iou
from bana.data.records import BoolArray, ClassTable, FloatArray, IntArray
from bana.label.instances import assemble
from bana.label.method import BoxedImage
from bana.label.pseudo_labels import PseudoLabels
from bana.refine.refiner import BoxProbability

CLAIMED = 0.5
"""A box claims the pixels whose probability is greater."""

_MIN_OWN = 0.1
"""A box that keeps a smaller share of what it claims than this keeps next to nothing."""

_REFINER_LIMIT, _LABELER_LIMIT = 0.003, 0.02
"""Probabilities are kept this far from 0 and 1, so that neither opinion can overrule the other altogether."""


def combined(refiner: FloatArray, labeler: FloatArray, share: float) -> FloatArray:
    """The weighted mean of two opinions' log odds, as a probability.

    Args:
        refiner: Probabilities of any shape, 0..1.
        labeler: The same of the labeler.
        share: Weight of the labeler, 0..1.
    """
    odds = (1 - share) * _log_odds(refiner, _REFINER_LIMIT) + share * _log_odds(labeler, _LABELER_LIMIT)
    probability: FloatArray = (1 / (1 + np.exp(-odds))).astype(np.float32)
    return probability


def combined_boxes(
    boxed: BoxedImage,
    refined: Sequence[BoxProbability],
    marginals: FloatArray,
    labels: Sequence[int],
    share: float,
) -> list[BoxProbability]:
    """Each usable box's probabilities by both opinions.

    The labeler's weight is ``share`` times the IoU of both masks: it is the better judge of outlines and parts, but
    where the two see different objects, it has most often lost a small one or taken in what is around it.

    Args:
        boxed: The image's boxes.
        refined: The refiner's probabilities of the usable boxes.
        marginals: float32 (V, H, W), the labeler's probability of every label at every pixel.
        labels: V class ids, background first.
        share: Weight of the labeler where both have the same mask, 0..1.
    """
    rows = {label: row for row, label in enumerate(labels)}
    boxes = []
    for box, class_id in zip(refined, boxed.class_ids[boxed.usable], strict=True):
        labeler = marginals[(rows[int(class_id)], *box.place)]
        weight = share * mask_iou(labeler > CLAIMED, box.probability > CLAIMED)
        boxes.append(BoxProbability(box.place, combined(box.probability, labeler, weight)))
    return boxes


def assemble_refined(
    boxed: BoxedImage,
    table: ClassTable,
    boxes: Sequence[BoxProbability],
    refined: Sequence[BoxProbability],
    labeler: LabelMap,
    predicted_classes: Sequence[int | None],
) -> PseudoLabels:
    """Make PseudoLabels of the combined probabilities.

    As ``y_ret`` stands whichever of the two opinions differs from the combined label, so that S is where all agree.

    Args:
        boxed: The image's boxes.
        table: The classes.
        boxes: Combined probabilities of the usable boxes.
        refined: Those of the refiner alone.
        labeler: (H, W), the label by the labeler alone.
        predicted_classes: K classes that the classifier gives the boxes.
    """
    usable = np.flatnonzero(boxed.usable)
    names: LabelMap = np.append(boxed.class_ids[usable], 0).astype(table.label_dtype)  # the last: -1, of no box
    owner, confidence = owners(boxes, boxed.size)
    y_crf: LabelMap = names[owner]
    alone: LabelMap = names[owners(refined, boxed.size)[0]]
    y_ret: LabelMap = np.where(alone == y_crf, labeler, alone)
    parts = boxed.empty_parts()
    expected = np.zeros(len(boxed.boxes))
    for index, (number, box) in enumerate(zip(usable, boxes, strict=True)):
        parts[number] = own_mask(box, owner[box.place] == index)
        expected[number] = expected_iou(box.probability, parts[number])
    return assemble(
        boxed,
        table,
        y_crf,
        y_ret,
        confidence,
        parts=parts,
        predicted_classes=predicted_classes,
        expected_ious=expected.tolist(),
    )


def owners(boxes: Sequence[BoxProbability], size: tuple[int, int]) -> tuple[IntArray, FloatArray]:
    """Which box each pixel belongs to: the one that is surest of it.

    A smaller box that would keep next to nothing of what it claims lies in front of the others and gets it all.

    Args:
        boxes: K boxes' probabilities.
        size: (H, W).

    Returns:
        int64 (H, W), 0..K-1, or -1 where no box claims the pixel; and float32 (H, W), how sure that is.
    """
    owner = np.full(size, -1, dtype=np.int64)
    greatest = np.zeros(size, dtype=np.float32)
    for index, box in enumerate(boxes):
        surer = box.probability > greatest[box.place]
        greatest[box.place] = np.maximum(greatest[box.place], box.probability)
        owner[box.place] = np.where(surer & (box.probability > CLAIMED), index, owner[box.place])
    for index in sorted(range(len(boxes)), key=lambda index: -boxes[index].probability.size):
        claimed = boxes[index].probability > CLAIMED
        if _is_starved(owner[boxes[index].place] == index, claimed):
            owner[boxes[index].place][claimed] = index
            greatest[boxes[index].place][claimed] = boxes[index].probability[claimed]
    return owner, np.where(owner >= 0, greatest, 1 - greatest)


def own_mask(box: BoxProbability, owned: BoolArray) -> BoolArray:
    """A box's mask (h, w): the pixels that it owns, or all that it claims where a like box took nearly all of them."""
    claimed = box.probability > CLAIMED
    return claimed if _is_starved(owned, claimed) else owned


def expected_iou(probability: FloatArray, mask: BoolArray) -> float:
    """The IoU to be expected of a mask, if pixels are object as often as their probability says, 0..1.

    The expected intersection over the expected union: the mask, and what else may be object.
    """
    union = float(mask.sum() + probability[~mask].sum())
    return float(probability[mask].sum()) / union if union else 0.0


def _is_starved(owned: BoolArray, claimed: BoolArray) -> bool:
    return bool(owned.sum() < _MIN_OWN * claimed.sum())


def _log_odds(probability: FloatArray, limit: float) -> FloatArray:
    kept = np.clip(probability, limit, 1 - limit)
    odds: FloatArray = np.log(kept) - np.log1p(-kept)
    return odds
