"""Which photographs of a labeled data set a sheet shows as examples, and their rows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from bana.data.images import open_record_image
from bana.data.label_folder import LabelFolder
from bana.data.label_maps import LabelMap
from bana.data.records import BoolArray, BoxDataset, ImageRecord, boxes_to_mask
from bana.report.frame import SheetRow

EXAMPLES = 8
"""Photographs on a sheet."""

_MIN_SHARE = 0.02
_MAX_BOXES = 12


@dataclass(frozen=True)
class Candidate:
    """What the choice of photographs depends on.

    Attributes:
        image_id: The photograph.
        reliable: Share of the pixels inside boxes on which Y_crf and Y_ret agree, 0..1.
        boxes: How many there are.
        visible: Classes with a box that covers a fiftieth of the photograph or more.
    """

    image_id: str
    reliable: float
    boxes: int
    visible: frozenset[int]


def examples(dataset: BoxDataset, labels: LabelFolder, count: int = EXAMPLES) -> list[ImageRecord]:
    """Up to ``count`` photographs, from the surest labels to the least sure; none where no box has some size.

    Raises:
        DataError: If labels of an image are missing or damaged.
    """
    records = {record.image_id: record for record in dataset}
    return [records[image_id] for image_id in choose(_candidates(dataset, labels), count)]


def _candidates(dataset: BoxDataset, labels: LabelFolder) -> list[Candidate]:
    """The facts of every photograph that has a box of some size."""
    found = []
    for record in dataset:
        sides = record.boxes[:, 2:] - record.boxes[:, :2]
        large = (sides.prod(axis=1) >= _MIN_SHARE * record.width * record.height) & ~record.crowd
        if large.any():
            inside = boxes_to_mask(record.boxes[~record.crowd], record.height, record.width)
            reliable = 1.0 - float(unreliable_pixels(labels, record)[inside].mean())
            visible = frozenset(record.class_ids[large].tolist())
            found.append(Candidate(record.image_id, reliable, len(record), visible))
    return found


def choose(candidates: Iterable[Candidate], count: int) -> tuple[str, ...]:
    """Photographs from the most to the least reliable, so that good and bad ones are seen alike.

    They are sorted by reliability and cut into ``count`` parts of one size. Each part gives the photograph that shows
    most classes not seen yet; of equal ones that with fewest boxes. Photographs with more than twelve boxes are
    taken only where a part has no others.

    Returns:
        At most ``count`` image ids.
    """
    ranked = sorted(candidates, key=lambda each: (-each.reliable, each.image_id))
    bounds = [len(ranked) * part // count for part in range(count + 1)]
    seen: set[int] = set()
    chosen = []
    for begin, end in pairwise(bounds):
        part = ranked[begin:end]
        if part:
            best = min(
                part,
                key=lambda each: (each.boxes > _MAX_BOXES, -len(each.visible - seen), each.boxes, each.image_id),
            )
            seen |= best.visible
            chosen.append(best.image_id)
    return tuple(chosen)


def sheet_row(record: ImageRecord, labels: Mapping[str, LabelMap], **more: Any) -> SheetRow:
    """The row of an image and its label maps, with what else SheetRow takes.

    Crowd regions, which are not labeled, are not shown. Raises DataError if the image is missing or damaged.
    """
    image, objects = open_record_image(record), ~record.crowd
    return SheetRow(image, record.class_ids[objects], labels, boxes=record.boxes[objects], **more)


def unreliable_pixels(labels: LabelFolder, record: ImageRecord) -> BoolArray:
    """Where Y_crf and Y_ret differ, bool (H, W)."""
    unreliable: BoolArray = labels.label_map("y_crf", record) != labels.label_map("y_ret", record)
    return unreliable
