"""Boxes that look wrong by the labels that were made from them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from bana.data.label_folder import LabelFolder
from bana.data.masks import box_iou, decode_mask, mask_bounds
from bana.data.records import FloatArray, ImageRecord

MIN_TIGHT_IOU = 0.6
"""A box is suspect if its IoU with the tight box of its mask is less: it is loose, or cuts the object off."""

MIN_EXPECTED_IOU = 0.5
"""A box is suspect if its mask is expected to have a smaller IoU: there may be no object of one piece in it."""


@dataclass(frozen=True)
class Suspect:
    """A box that looks wrong.

    Attributes:
        image_id: The image.
        number: The box's place in the annotation, from 1 on.
        class_name: Its class.
        reason: What looks wrong, and what the mask suggests.
        tight_box: xyxy of its mask, in pixel-edge coordinates; None if the mask is empty.
    """

    image_id: str
    number: int
    class_name: str
    reason: str
    tight_box: tuple[float, ...] | None


def suspects(records: Iterable[ImageRecord], folder: LabelFolder) -> Iterator[Suspect]:
    """The boxes that look wrong, of images that have labels in the folder.

    Raises:
        DataError: If labels are damaged, or of other boxes.
    """
    for record in records:
        if not folder.has(record.image_id):
            continue
        for index, labeled in enumerate(folder.boxes(record)):
            if labeled.status == "rejected":
                continue
            mask = decode_mask(labeled.mask, record.height, record.width)
            tight = mask_bounds(mask) if mask.any() else None
            reason = _reason(record.boxes[index], tight, labeled.expected_iou)
            if reason is not None:
                name = folder.classes[labeled.class_id - 1]
                corners = None if tight is None else tuple(tight.tolist())
                yield Suspect(record.image_id, index + 1, name, reason, corners)


def _reason(box: FloatArray, tight: FloatArray | None, expected_iou: float | None) -> str | None:
    if tight is None:
        return "no object was found in it"
    if (iou := box_iou(box, tight)) < MIN_TIGHT_IOU:
        return f"its object fills {iou:.0%} of it; perhaps it should be {_corners(tight)}"
    if expected_iou is not None and expected_iou < MIN_EXPECTED_IOU:
        return f"its mask is expected to have an IoU of {expected_iou:.2f}; look at it"
    return None


def _corners(box: FloatArray) -> str:
    return "({:.0f}, {:.0f}, {:.0f}, {:.0f})".format(*box)
