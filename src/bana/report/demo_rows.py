"""Which photographs of a labeled data set a contact sheet shows, and what it says of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from bana.data.images import open_record_image
from bana.data.label_folder import LabelFolder
from bana.data.records import BoolArray, BoxDataset, ImageRecord, boxes_to_mask
from bana.report.frame import SheetRow

_MIN_SHARE = 0.02
_MAX_BOXES = 12


@dataclass(frozen=True)
class Candidate:
    """What the choice of photographs depends on.

    Attributes:
        image_id: Of the photograph.
        reliable: Share of the pixels inside boxes on which Y_crf and Y_ret agree, 0..1.
        boxes: How many there are.
        visible: Classes with a box that covers a fiftieth of the photograph or more.
    """

    image_id: str
    reliable: float
    boxes: int
    visible: frozenset[int]


def candidates(dataset: BoxDataset, labels: LabelFolder) -> list[Candidate]:
    """The facts of every photograph that has a box of some size.

    Raises:
        DataError: If labels of an image are missing or damaged.
    """
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


def choose(all_of: Iterable[Candidate], count: int) -> tuple[str, ...]:
    """Photographs from the most to the least reliable, so that good and bad ones are seen alike.

    They are sorted by reliability and cut into ``count`` parts of one size. Of each part the one is taken that shows
    most classes not seen yet; of equal ones that with fewest boxes. Photographs with more than twelve boxes are
    taken only where a part has no others.

    Returns:
        At most ``count`` image ids.
    """
    ranked = sorted(all_of, key=lambda each: (-each.reliable, each.image_id))
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


def sheet_rows(dataset: BoxDataset, labels: LabelFolder, image_ids: Sequence[str]) -> list[SheetRow]:
    """The rows of a contact sheet.

    Raises:
        DataError: If an image or its labels are missing or damaged.
    """
    records = {record.image_id: record for record in dataset}
    return [_sheet_row(records[image_id], labels) for image_id in image_ids]


def unreliable_pixels(labels: LabelFolder, record: ImageRecord) -> BoolArray:
    """Where Y_crf and Y_ret differ, bool (H, W)."""
    unreliable: BoolArray = labels.label_map("y_crf", record) != labels.label_map("y_ret", record)
    return unreliable


def _sheet_row(record: ImageRecord, labels: LabelFolder) -> SheetRow:
    """The row of an image; crowd regions, which are not labeled, are not shown."""
    boxes = record.boxes[~record.crowd]
    unreliable = unreliable_pixels(labels, record)
    inside = boxes_to_mask(boxes, record.height, record.width)
    return SheetRow(
        image=open_record_image(record),
        boxes=boxes,
        class_ids=record.class_ids[~record.crowd],
        labels={"labels": labels.label_map("y_crf", record)},
        unreliable=unreliable,
        caption=f"{record.image_id} · {len(boxes)} {'box' if len(boxes) == 1 else 'boxes'}",
        note=f"{unreliable[inside].mean():.0%} of the pixels in boxes" if inside.any() else "",
    )
