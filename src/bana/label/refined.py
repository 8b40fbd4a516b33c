"""Labels from two opinions: the labeler's marginals of the whole image and the refiner's mask of each box.

The labeler knows classes and what the image's background looks like; the refiner sees each box enlarged. Their
probabilities are combined box by box. A pixel that several boxes claim belongs to the surest of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from bana.data.label_maps import LabelMap
from bana.data.objects import turned_rectangle_mask
from bana.data.records import BoolArray, ClassTable, FloatArray
from bana.label.boxes import BoxedImage, Place
from bana.label.instances import assemble
from bana.label.points import log_odds
from bana.label.pseudo_labels import PseudoLabels
from bana.label.reduced import ReducedMap
from bana.refine.refiner import BoxProbability

CLAIMED = 0.5
"""A box claims the pixels whose probability is greater."""

_MIN_OWN = 0.1
"""A box that keeps a smaller share of what it claims than this keeps next to nothing."""

_STRIP = 2**20
"""Pixels whose probabilities are looked at together."""

_REFINER_LIMIT, _LABELER_LIMIT = 0.003, 0.02
"""Probabilities are kept this far from 0 and 1, so that neither opinion can overrule the other altogether."""


def combined(refiner: FloatArray, labeler: FloatArray, share: float) -> FloatArray:
    """The weighted mean of two opinions' log odds, as a probability.

    Args:
        refiner: Probabilities of any shape, 0..1.
        labeler: The same of the labeler.
        share: Weight of the labeler, 0..1.
    """
    odds = (1 - share) * log_odds(refiner, _REFINER_LIMIT) + share * log_odds(labeler, _LABELER_LIMIT)
    probability: FloatArray = (1 / (1 + np.exp(-odds))).astype(np.float32)
    return probability


@dataclass(frozen=True)
class CombinedProbability:
    """A box's probability by both opinions.

    Attributes:
        refiner: The refiner's.
        labeler: The labeler's.
        share: Weight of the labeler, 0..1.
    """

    refiner: BoxProbability
    labeler: ReducedMap
    share: float

    @property
    def place(self) -> Place:
        """The rows and columns of the box's pixels."""
        return self.refiner.place

    def at(self, place: Place) -> FloatArray:
        """The probabilities at some rows and columns of the image: float32 (h, w) in 0..1."""
        return combined(self.refiner.at(place), self.labeler.at(place), self.share)


@dataclass(frozen=True)
class WithinRectangle:
    """A box's probability, and none outside the turned rectangle that the box is around.

    Attributes:
        box: The probability of the whole box.
        corners: Those of the rectangle, [x0, y0, ..., x3, y3] in pixel-edge coordinates.
    """

    box: BoxProbability
    corners: Sequence[float]

    @property
    def place(self) -> Place:
        """The rows and columns of the box's pixels."""
        return self.box.place

    def at(self, place: Place) -> FloatArray:
        """The probabilities at some rows and columns of the image: float32 (h, w) in 0..1."""
        return self.box.at(place) * turned_rectangle_mask(self.corners, place)


def within_rectangles(boxed: BoxedImage, boxes: Sequence[BoxProbability]) -> list[BoxProbability]:
    """The probabilities of the usable boxes, none outside their turned rectangles, where they have some."""
    corners = [boxed.oriented[number] for number in np.flatnonzero(boxed.usable)]
    return [box if each is None else WithinRectangle(box, each) for box, each in zip(boxes, corners, strict=True)]


def combined_boxes(
    boxed: BoxedImage, refined: Sequence[BoxProbability], marginals: Mapping[int, ReducedMap], share: float
) -> list[CombinedProbability]:
    """Each usable box's probabilities by both opinions.

    The labeler's weight is ``share`` times the IoU of both masks: it is the better judge of outlines and parts, but
    where the two see different objects, it has most often lost a small one or taken in what is around it.

    Args:
        boxed: The image's boxes.
        refined: The refiner's probabilities of the usable boxes.
        marginals: The labeler's probability of every class in the image, by class id.
        share: Weight of the labeler where both have the same mask, 0..1.
    """
    boxes = []
    for box, class_id in zip(refined, boxed.class_ids[boxed.usable], strict=True):
        labeler = marginals[int(class_id)]
        weight = share * _iou_of_claims(box, labeler)
        boxes.append(CombinedProbability(box, labeler, weight))
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
    alone = _named(names, owners(refined, boxed.size).owner)  # first, so that its confidence is gone in time
    owner, confidence, claimed = owners(boxes, boxed.size)
    y_crf = _named(names, owner)
    y_ret: LabelMap = np.where(alone == y_crf, labeler, alone)
    parts = boxed.empty_parts()
    expected = np.zeros(len(boxed.boxes))
    for index, (number, box) in enumerate(zip(usable, boxes, strict=True)):
        parts[number] = own_mask(box, owner[box.place] == index, claimed[index])
        expected[number] = expected_iou(box, parts[number])
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


class Owners(NamedTuple):
    """Which box each pixel belongs to.

    Attributes:
        owner: Whole numbers (H, W), 0..K-1, or -1 where no box claims the pixel.
        confidence: float32 (H, W), how sure that is.
        claimed: K numbers of pixels that each box claims.
    """

    owner: npt.NDArray[np.signedinteger[Any]]
    confidence: FloatArray
    claimed: list[int]


def owners(boxes: Sequence[BoxProbability], size: tuple[int, int]) -> Owners:
    """Give each pixel to the box that is surest of it.

    A smaller box that would keep next to nothing of what it claims lies in front of the others and gets it all.

    Args:
        boxes: K boxes' probabilities.
        size: (H, W).
    """
    owner = np.full(size, -1, dtype=np.min_scalar_type(-max(len(boxes), 1)))
    greatest = np.zeros(size, dtype=np.float32)
    claimed = [0] * len(boxes)
    for index, box in enumerate(boxes):
        for strip in strips(box.place):
            probability = box.at(strip)
            claims = probability > CLAIMED
            owner[strip][claims & (probability > greatest[strip])] = index
            np.maximum(greatest[strip], probability, out=greatest[strip])
            claimed[index] += int(claims.sum())
    for index in sorted(range(len(boxes)), key=lambda index: -owner[boxes[index].place].size):
        if _is_starved(owner[boxes[index].place] == index, claimed[index]):
            for strip in strips(boxes[index].place):
                probability = boxes[index].at(strip)
                claims = probability > CLAIMED
                owner[strip][claims] = index
                greatest[strip][claims] = probability[claims]
    np.subtract(1, greatest, out=greatest, where=owner < 0)
    return Owners(owner, greatest, claimed)


def own_mask(box: BoxProbability, owned: BoolArray, claimed: int) -> BoolArray:
    """A box's mask (h, w): the pixels that it owns, or all that it claims where a like box took nearly all of them.

    Args:
        box: The box's probability.
        owned: bool (h, w), the pixels that it owns.
        claimed: Number of pixels that it claims.
    """
    if not _is_starved(owned, claimed):
        return owned
    return np.concatenate([box.at(strip) > CLAIMED for strip in strips(box.place)])


def expected_iou(box: BoxProbability, mask: BoolArray) -> float:
    """The IoU to be expected of a box's mask (h, w), if pixels are object as often as their probability says, 0..1.

    The expected intersection over the expected union: the mask, and what else may be object.
    """
    intersection, union = 0.0, 0.0
    for strip in strips(box.place):
        first = strip[0].start - box.place[0].start
        within = mask[first : first + strip[0].stop - strip[0].start]
        probability = box.at(strip)
        intersection += float(probability[within].sum())
        union += float(within.sum() + probability[~within].sum())
    return intersection / union if union else 0.0


def strips(place: Place) -> Iterator[Place]:
    """Rows and columns in strips of so few pixels that numbers of all of them take little memory."""
    rows, columns = place
    step = max(_STRIP // max(columns.stop - columns.start, 1), 1)
    for first in range(rows.start, rows.stop, step):
        yield slice(first, min(first + step, rows.stop)), columns


def _named(names: LabelMap, owner: npt.NDArray[np.signedinteger[Any]]) -> LabelMap:
    """The name of each pixel's owner, in strips: numpy makes wide numbers of what it takes items by."""
    found = np.empty(owner.shape, dtype=names.dtype)
    for strip in strips((slice(0, owner.shape[0]), slice(0, owner.shape[1]))):
        found[strip] = names[owner[strip]]
    return found


def _is_starved(owned: BoolArray, claimed: int) -> bool:
    return bool(owned.sum() < _MIN_OWN * claimed)


def _iou_of_claims(first: BoxProbability, second: ReducedMap) -> float:
    """The IoU of what two opinions claim of the first one's box."""
    shared, either = 0, 0
    for strip in strips(first.place):
        ours, theirs = first.at(strip) > CLAIMED, second.at(strip) > CLAIMED
        shared += int((ours & theirs).sum())
        either += int((ours | theirs).sum())
    return shared / either if either else 1.0
